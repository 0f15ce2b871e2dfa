//! Redis goes, and comes back with or without its data.

use std::time::Duration;

use tokio::time::Instant;
use whipcord_directory::{
    CALL_MAX, Directory, Freshness, Load, Lookup, PlaceError, Placement, ReportError, Takeover, Timing, Unavailable,
};

use crate::{
    bed::{
        BEAT, eventually, health, hello, holders, introduction, is_live, live, place, placement, report, session, sid,
        within, worker,
    },
    server::Server,
};

/// As in a cluster, with less to wait for.
const TIMING: Timing = Timing {
    lease: Duration::from_millis(1500),
    rebuild: Duration::from_millis(2500),
    ..Timing::STANDARD
};

/// What a worker does when a beat is refused: hello, and all it has.
async fn beat_or_tell(
    d: &Directory,
    n: u8,
    lease: &mut whipcord_directory::Lease,
    sessions: &[whipcord_directory::Session],
) -> bool {
    match d.beat(lease, Load::default()).await {
        Ok(()) => false,
        Err(ReportError::Expired) => {
            *lease = hello(d, n).await;
            for session in sessions {
                assert_eq!(d.add(lease, report(session)).await, Ok(vec![]));
            }
            d.end_snapshot(lease).await.unwrap();
            true
        }
        Err(error) => panic!("{error}"),
    }
}

/// Past the time after its very beginning.
async fn settled(d: &Directory) {
    let stream = "nobody".parse().unwrap();
    eventually(async || d.lookup(&stream, sid(99)).await == Lookup::Absent).await;
}

#[tokio::test]
async fn a_killed_server_comes_back_empty_and_is_filled_again() {
    let mut server = Server::start().await;
    let d = server.directory(TIMING);
    let mut lease = hello(&d, 1).await;
    let cam = live(&d, 1, 1, "cam").await;
    d.add(&lease, report(&cam)).await.unwrap();
    eventually(async || {
        beat_or_tell(&d, 1, &mut lease, std::slice::from_ref(&cam)).await;
        d.lookup(&"nobody".parse().unwrap(), sid(99)).await == Lookup::Absent
    })
    .await;

    server.kill();
    let newcomer = server.directory(TIMING);
    // Longer than a lease: everyone who reports stays acknowledged, and known.
    let gone = Instant::now();
    let mut ticks = tokio::time::interval(BEAT);
    let mut late = hello(&newcomer, 2).await;
    while gone.elapsed() < TIMING.lease * 2 {
        ticks.tick().await;
        assert_eq!(d.beat(&lease, Load::default()).await, Ok(()));
        assert_eq!(newcomer.beat(&late, Load::default()).await, Ok(()));
    }
    assert_eq!(d.lookup(&cam.stream, cam.sid).await, Lookup::Unknown);
    assert_eq!(
        d.place(&placement(1, 5, "new")).await,
        Err(PlaceError::Unavailable(Unavailable::Away))
    );
    assert_eq!(d.workers().freshness, Freshness::Stale);
    assert!(health(&d, 1).is_some() && health(&newcomer, 2).is_some());
    let added = session(2, 7, "made-meanwhile", 1_700_000_000);
    assert_eq!(newcomer.add(&late, report(&added)).await, Ok(vec![]));

    server.restart().await;
    let mut told = [false, false];
    within(TIMING.lease, async || {
        told[0] |= beat_or_tell(&d, 1, &mut lease, std::slice::from_ref(&cam)).await;
        told[1] |= beat_or_tell(&newcomer, 2, &mut late, std::slice::from_ref(&added)).await;
        told == [true, true]
    })
    .await;
    assert!(
        is_live(&d, &added).await && is_live(&newcomer, &cam).await,
        "the index is whole"
    );
    assert_eq!(
        d.lookup(&"nobody".parse().unwrap(), sid(99)).await,
        Lookup::Unknown,
        "others may not have told yet"
    );
    eventually(async || health(&d, 2).is_some() && health(&newcomer, 1).is_some()).await;
    assert_eq!(d.workers().freshness, Freshness::Current);
}

#[tokio::test]
async fn flushed_under_load_it_lets_no_duplicate_in() {
    let server = Server::start().await;
    let d = server.directory(TIMING);
    settled(&d).await;
    let mut lease = hello(&d, 1).await;
    let knock = |n| Placement {
        takeover: Takeover::Reject,
        ..placement(1, n, "only")
    };
    let only = d.place(&knock(1)).await.unwrap();
    d.commit(&only).await.unwrap();
    d.add(&lease, report(&only)).await.unwrap();
    assert_eq!(d.beat(&lease, Load::default()).await, Ok(()));

    let _: () = server.ask("FLUSHALL").await;
    assert!(matches!(d.place(&knock(2)).await, Err(PlaceError::Rebuilding { .. })));
    assert_eq!(d.lookup(&only.stream, only.sid).await, Lookup::Unknown, "no wrong 404");
    let other = live(&d, 1, 9, "other").await;
    assert!(
        is_live(&d, &other).await,
        "what need not be the only one goes on at once"
    );

    let mut told = false;
    within(TIMING.lease * 4, async || {
        told |= beat_or_tell(&d, 1, &mut lease, &[only.clone(), other.clone()]).await;
        match d.place(&knock(3)).await {
            Err(PlaceError::Rebuilding { .. } | PlaceError::Held) => {}
            other => panic!("a duplicate is let in: {other:?}"),
        }
        let stranger = d.lookup(&only.stream, sid(50)).await;
        told && stranger == Lookup::Absent
    })
    .await;
    assert_eq!(holders(&d, "only").await, [only]);
    assert!(is_live(&d, &other).await);
}

/// Nobody could renew a lease: who would say that the workers are dead?
#[tokio::test]
async fn a_server_that_stood_still_declares_nobody_dead() {
    let server = Server::start().await;
    let d = server.directory(TIMING);
    settled(&d).await;
    let lease = hello(&d, 1).await;
    let cam = live(&d, 1, 1, "cam").await;
    server.signal("-STOP");
    let stopped = Instant::now();
    assert_eq!(d.lookup(&cam.stream, cam.sid).await, Lookup::Unknown);
    assert!(
        stopped.elapsed() < CALL_MAX * 2,
        "a call has its limit: {:?}",
        stopped.elapsed()
    );
    eventually(async || {
        assert_eq!(d.beat(&lease, Load::default()).await, Ok(()));
        stopped.elapsed() > TIMING.lease * 2
    })
    .await;
    server.signal("-CONT");
    eventually(async || {
        let beaten = d.beat(&lease, Load::default()).await;
        assert_eq!(beaten, Ok(()), "nothing was lost: it need not tell all again");
        d.workers().freshness == Freshness::Current
    })
    .await;
    assert!(is_live(&d, &cam).await);
    assert!(worker(&d, 1).is_some_and(|worker| worker.sessions == 1));
}

/// Without its answer a session would be placed with an epoch by the clock, which a stream placed more often than once a second is ahead of.
#[tokio::test]
async fn a_place_that_is_late_once_is_asked_again() {
    let server = Server::start().await;
    let d = server.directory(TIMING);
    settled(&d).await;
    let lease = hello(&d, 1).await;
    let mut last = live(&d, 1, 1, "cam").await;
    for n in 2..6 {
        last = live(&d, 1, n, "cam").await;
    }
    let pause = CALL_MAX + CALL_MAX / 3;
    let _: () = server.ask(&format!("CLIENT PAUSE {}", pause.as_millis())).await;
    let begun = Instant::now();
    let placed = place(&d, 1, 9, "cam").await;
    assert!(begun.elapsed() < CALL_MAX * 2 + CALL_MAX / 2, "{:?}", begun.elapsed());
    assert!(placed.owner.epoch > last.owner.epoch);
    assert_eq!(d.commit(&placed).await, Ok(vec![last]));
    assert_eq!(d.beat(&lease, Load::default()).await, Ok(()));
    server.signal("-STOP");
    let begun = Instant::now();
    let refused = d.place(&placement(1, 10, "cam")).await;
    assert_eq!(refused, Err(PlaceError::Unavailable(Unavailable::Away)));
    assert!(begun.elapsed() < CALL_MAX * 3, "{:?}", begun.elapsed());
    server.signal("-CONT");
}

#[tokio::test]
async fn data_of_a_later_version_are_refused() {
    let mut server = Server::start().await;
    // The words of a command are parted by spaces here, so a script joins those of the value.
    let _: () = server
        .ask("EVAL return(redis.call('SET',KEYS[1],table.concat(ARGV,'\\32'))) 1 whipcord:1:{test}:boot 2 17 17")
        .await;
    let d = server.directory(TIMING);
    let refused = d.hello(introduction(1)).await.unwrap_err();
    assert!(refused.to_string().contains("format 2"), "{refused}");
    assert_eq!(
        d.place(&placement(1, 1, "cam")).await,
        Err(PlaceError::Unavailable(Unavailable::Newer(2)))
    );
    assert_eq!(d.lookup(&"cam".parse().unwrap(), sid(1)).await, Lookup::Unknown);
    let kept: String = server.ask("GET whipcord:1:{test}:boot").await;
    assert_eq!(kept, "2 17 17");
    eventually(async || d.newer() == Some(2)).await;
    server.kill();
    let gone = Instant::now();
    eventually(async || gone.elapsed() > TIMING.lease).await;
    assert_eq!(d.newer(), Some(2), "nothing else is known");
    server.restart().await;
    eventually(async || d.newer().is_none()).await;
}

/// It says so by a word that redis-rs does not know: the next connection would be told the same.
#[tokio::test]
async fn a_server_out_of_memory_keeps_its_connection() {
    let server = Server::start().await;
    let d = server.directory(TIMING);
    settled(&d).await;
    hello(&d, 1).await;
    let connections = async || -> u64 {
        let stats: String = server.ask("INFO stats").await;
        let mut lines = stats.lines();
        let count = lines.find_map(|line| line.strip_prefix("total_connections_received:"));
        count.unwrap().parse().unwrap()
    };
    let _: () = server.ask("CONFIG SET maxmemory 1").await;
    let before = connections().await;
    for n in 0..20 {
        assert_eq!(
            d.place(&placement(1, n, "cam")).await,
            Err(PlaceError::Unavailable(Unavailable::Away))
        );
    }
    assert_eq!(connections().await, before + 1, "the one that asks");
    let _: () = server.ask("CONFIG SET maxmemory 0").await;
    hello(&d, 1).await;
    assert!(d.place(&placement(1, 50, "cam")).await.is_ok());
}
