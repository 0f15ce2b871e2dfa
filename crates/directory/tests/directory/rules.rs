//! Leases, sessions and reports: rules as functions over any directory.

use tokio::time::{Instant, interval};
use whipcord_directory::{
    CommitError, Directory, Health, Hello, HelloError, Load, Lookup, PlaceError, ReportError, Reported,
};
use whipcord_identity::{Incarnation, SessionId};

use crate::{
    bed::{
        BEAT, SHORT, eventually, health, hello, holders, introduction, is_live, keep, knows, live, place, placement,
        report, reported, session, sid, worker,
    },
    server::{Server, is_installed},
};

rules![
    a_lease_lives_while_it_is_beaten: SHORT,
    a_lease_lives_while_its_worker_tells_of_sessions: SHORT,
    a_number_rests_after_its_last_beat: SHORT,
    a_number_only_asked_for_is_free_again_soon: SHORT,
    who_draws_another_number_gives_the_former_back: LONG,
    a_second_hello_voids_the_first_lease: LONG,
    nothing_is_placed_on_a_suspect_or_a_stranger: LONG,
    a_reserved_session_shows_only_after_its_commit: LONG,
    a_commit_takes_the_stream_and_names_the_one_replaced: LONG,
    a_reservation_is_committed_once: LONG,
    of_two_reservations_the_later_wins: LONG,
    an_old_reservation_is_over: SHORT,
    a_commit_on_a_worker_without_a_lease_says_so: SHORT,
    a_commit_on_a_dead_worker_whose_stream_was_taken_is_lost: LONG,
    a_session_that_ended_before_its_commit_is_lost: LONG,
    a_report_before_the_commit_leaves_the_decision_to_it: LONG,
    a_snapshot_ends_what_it_does_not_name: LONG,
    a_snapshot_keeps_what_was_committed_since_the_hello: LONG,
    what_lives_on_a_worker_is_held_and_nothing_else: LONG,
    a_worker_that_comes_back_keeps_streams_nobody_took: SHORT,
    a_dead_worker_takes_its_sessions_along: LONG,
    only_the_owner_removes_and_releases: LONG,
    a_beat_tells_the_load: LONG,
    where_a_worker_drains_or_has_no_address_nothing_is_placed_and_what_lives_stays: LONG,
    many_sessions_are_reported_and_removed: LONG,
];

async fn a_lease_lives_while_it_is_beaten(d: &Directory) {
    let lease = hello(d, 1).await;
    // Each beat is taken: one whose lease is over is refused.
    keep(d, &lease, SHORT.lease * 2).await;
    eventually(async || {
        assert_eq!(d.beat(&lease, Load::default()).await, Ok(()));
        health(d, 1) == Some(Health::Alive)
    })
    .await;
    eventually(async || d.workers().workers.is_empty()).await;
    assert_eq!(d.beat(&lease, Load::default()).await, Err(ReportError::Expired));
    assert_eq!(d.worker(Incarnation(1)).await, None);
}

/// Its beats may stand behind many reports, each of which takes a while.
async fn a_lease_lives_while_its_worker_tells_of_sessions(d: &Directory) {
    let lease = hello(d, 1).await;
    let (start, mut ticks) = (Instant::now(), interval(BEAT));
    while start.elapsed() < SHORT.lease * 2 {
        ticks.tick().await;
        assert_eq!(d.add(&lease, vec![reported(1, 1, "cam", 5)]).await, Ok(vec![]));
        assert!(is_live(d, &session(1, 1, "cam", 5)).await);
        ticks.tick().await;
        assert_eq!(d.remove(&lease, &[sid(1)]).await, Ok(()));
        assert_eq!(holders(d, "cam").await, []);
    }
    assert_eq!(d.beat(&lease, Load::default()).await, Ok(()));
    // One that tells nothing is as silent as one that does not beat.
    eventually(async || d.workers().workers.is_empty()).await;
}

async fn a_number_rests_after_its_last_beat(d: &Directory) {
    let second = Hello {
        number: introduction(1).number,
        ..introduction(2)
    };
    let lease = hello(d, 1).await;
    assert_eq!(d.hello(second.clone()).await, Err(HelloError::NumberTaken));
    assert_eq!(d.beat(&lease, Load::default()).await, Ok(()));
    let beaten = Instant::now();
    eventually(async || d.workers().workers.is_empty()).await;
    assert_eq!(
        d.hello(second.clone()).await,
        Err(HelloError::NumberTaken),
        "longer than its lease"
    );
    eventually(async || d.hello(second.clone()).await.is_ok()).await;
    assert!(beaten.elapsed() >= SHORT.number_rest);
}

/// Or else a worker that says hello again and again, each time as another, would use them up.
async fn a_number_only_asked_for_is_free_again_soon(d: &Directory) {
    let second = Hello {
        number: introduction(1).number,
        ..introduction(2)
    };
    hello(d, 1).await;
    assert_eq!(d.hello(second.clone()).await, Err(HelloError::NumberTaken));
    let begun = Instant::now();
    eventually(async || d.hello(second.clone()).await.is_ok()).await;
    assert!(begun.elapsed() < SHORT.number_rest, "{:?}", begun.elapsed());
}

async fn who_draws_another_number_gives_the_former_back(d: &Directory) {
    let lease = hello(d, 1).await;
    assert_eq!(d.beat(&lease, Load::default()).await, Ok(()));
    let redrawn = Hello {
        number: introduction(9).number,
        ..introduction(1)
    };
    d.hello(redrawn).await.unwrap();
    let second = Hello {
        number: introduction(1).number,
        ..introduction(2)
    };
    assert!(d.hello(second).await.is_ok());
    assert_eq!(d.hello(introduction(9)).await, Err(HelloError::NumberTaken));
}

async fn a_second_hello_voids_the_first_lease(d: &Directory) {
    let first = hello(d, 1).await;
    let cam = live(d, 1, 1, "cam").await;
    let second = hello(d, 1).await;
    assert_eq!(d.beat(&first, Load::default()).await, Err(ReportError::Expired));
    assert_eq!(d.add(&first, report(&cam)).await, Err(ReportError::Expired));
    assert_eq!(d.beat(&second, Load::default()).await, Ok(()));
    d.suspect(&first).await;
    assert_eq!(
        health(d, 1),
        Some(Health::Alive),
        "a late word about the first stream changes nothing"
    );
    assert!(is_live(d, &cam).await, "its sessions stay until the snapshot tells");
}

async fn nothing_is_placed_on_a_suspect_or_a_stranger(d: &Directory) {
    assert_eq!(d.place(&placement(1, 1, "cam")).await, Err(PlaceError::NotAlive));
    let lease = hello(d, 1).await;
    let cam = live(d, 1, 1, "cam").await;
    d.suspect(&lease).await;
    assert_eq!(health(d, 1), Some(Health::Suspect));
    assert_eq!(d.place(&placement(1, 2, "cam2")).await, Err(PlaceError::NotAlive));
    assert!(is_live(d, &cam).await, "what lives there is kept");
    hello(d, 1).await;
    assert!(d.place(&placement(1, 2, "cam2")).await.is_ok());
}

async fn a_reserved_session_shows_only_after_its_commit(d: &Directory) {
    hello(d, 1).await;
    let cam = place(d, 1, 1, "cam").await;
    assert_eq!(d.lookup(&cam.stream, cam.sid).await, Lookup::Absent);
    assert_eq!(holders(d, "cam").await, []);
    knows(d, 1, 1).await;
    assert_eq!(d.commit(&cam).await, Ok(vec![]));
    assert!(is_live(d, &cam).await);
    assert_eq!(holders(d, "cam").await, std::slice::from_ref(&cam));
    assert_eq!(d.lookup(&"cam2".parse().unwrap(), cam.sid).await, Lookup::Absent);
    d.release(&cam).await;
    assert_eq!(d.lookup(&cam.stream, cam.sid).await, Lookup::Absent);
    knows(d, 1, 0).await;
}

async fn a_commit_takes_the_stream_and_names_the_one_replaced(d: &Directory) {
    hello(d, 1).await;
    hello(d, 2).await;
    let first = live(d, 1, 1, "cam").await;
    let second = place(d, 2, 2, "cam").await;
    assert_eq!(
        holders(d, "cam").await,
        std::slice::from_ref(&first),
        "until the commit"
    );
    assert_eq!(d.commit(&second).await, Ok(vec![first.clone()]));
    assert_eq!(holders(d, "cam").await, [second]);
    assert_eq!(d.lookup(&first.stream, first.sid).await, Lookup::Absent);
}

async fn a_reservation_is_committed_once(d: &Directory) {
    hello(d, 1).await;
    let cam = live(d, 1, 1, "cam").await;
    assert_eq!(d.commit(&cam).await, Err(CommitError::Lost));
    assert_eq!(d.commit(&session(1, 2, "cam", 7)).await, Err(CommitError::Lost));
    assert!(is_live(d, &cam).await);
}

async fn of_two_reservations_the_later_wins(d: &Directory) {
    hello(d, 1).await;
    let first = place(d, 1, 1, "cam").await;
    let second = place(d, 1, 2, "cam").await;
    assert_eq!(d.commit(&first).await, Err(CommitError::Lost));
    assert_eq!(d.commit(&second).await, Ok(vec![]));
    knows(d, 1, 1).await;
}

async fn an_old_reservation_is_over(d: &Directory) {
    let lease = hello(d, 1).await;
    let cam = place(d, 1, 1, "cam").await;
    keep(d, &lease, SHORT.reservation * 2).await;
    assert_eq!(d.commit(&cam).await, Err(CommitError::Lost));
    // Its gateway may have died: nobody releases it, and nobody asks for its stream again.
    eventually(async || {
        assert_eq!(d.beat(&lease, Load::default()).await, Ok(()));
        worker(d, 1).is_some_and(|worker| worker.sessions == 0)
    })
    .await;
    place(d, 1, 2, "cam").await;
    knows(d, 1, 1).await;
}

/// No other publisher has to do with it.
async fn a_commit_on_a_worker_without_a_lease_says_so(d: &Directory) {
    let lease = hello(d, 1).await;
    let cam = place(d, 1, 1, "cam").await;
    eventually(async || d.workers().workers.is_empty()).await;
    assert_eq!(d.commit(&cam).await, Err(CommitError::NotAlive));
    assert_eq!(d.beat(&lease, Load::default()).await, Err(ReportError::Expired));
    hello(d, 2).await;
    let buried = place(d, 2, 2, "cam").await;
    d.bury(Incarnation(2)).await;
    assert_eq!(
        d.commit(&buried).await,
        Err(CommitError::NotAlive),
        "its reservation went, too"
    );
}

async fn a_commit_on_a_dead_worker_whose_stream_was_taken_is_lost(d: &Directory) {
    hello(d, 1).await;
    hello(d, 2).await;
    let cam = place(d, 1, 1, "cam").await;
    let other = live(d, 2, 2, "cam").await;
    d.bury(Incarnation(1)).await;
    assert_eq!(d.commit(&cam).await, Err(CommitError::Lost));
    assert!(is_live(d, &other).await);
}

async fn a_session_that_ended_before_its_commit_is_lost(d: &Directory) {
    let lease = hello(d, 1).await;
    let cam = place(d, 1, 1, "cam").await;
    d.remove(&lease, &[cam.sid]).await.unwrap();
    assert_eq!(d.commit(&cam).await, Err(CommitError::Lost));
}

async fn a_report_before_the_commit_leaves_the_decision_to_it(d: &Directory) {
    let lease = hello(d, 1).await;
    let first = live(d, 1, 1, "cam").await;
    let second = place(d, 1, 2, "cam").await;
    assert_eq!(d.add(&lease, report(&second)).await, Ok(vec![]));
    assert!(is_live(d, &first).await);
    assert_eq!(d.commit(&second).await, Ok(vec![first]));
}

async fn a_snapshot_ends_what_it_does_not_name(d: &Directory) {
    hello(d, 1).await;
    let one = live(d, 1, 1, "cam1").await;
    let two = live(d, 1, 2, "cam2").await;
    let lease = hello(d, 1).await;
    let named = [report(&two), vec![reported(1, 3, "cam3", 5)]].concat();
    assert_eq!(d.add(&lease, named).await, Ok(vec![]));
    assert!(is_live(d, &one).await, "not before the last chunk");
    d.end_snapshot(&lease).await.unwrap();
    assert_eq!(d.lookup(&one.stream, one.sid).await, Lookup::Absent);
    assert_eq!(holders(d, "cam1").await, []);
    assert!(is_live(d, &two).await);
    assert!(is_live(d, &session(1, 3, "cam3", 5)).await);
    knows(d, 1, 2).await;
}

async fn a_snapshot_keeps_what_was_committed_since_the_hello(d: &Directory) {
    let lease = hello(d, 1).await;
    let cam = live(d, 1, 1, "cam").await;
    let waiting = place(d, 1, 2, "cam2").await;
    d.end_snapshot(&lease).await.unwrap();
    assert!(is_live(d, &cam).await);
    assert_eq!(d.commit(&waiting).await, Ok(vec![]));
}

async fn what_lives_on_a_worker_is_held_and_nothing_else(d: &Directory) {
    let former = hello(d, 1).await;
    let lease = hello(d, 1).await;
    assert_eq!(d.held(&lease).await, Some(vec![]));
    let other = hello(d, 2).await;
    let (one, two) = (live(d, 1, 1, "cam1").await, live(d, 1, 2, "cam2").await);
    place(d, 1, 3, "reserved").await;
    live(d, 2, 4, "elsewhere").await;
    d.remove(&lease, &[two.sid]).await.unwrap();
    assert_eq!(d.held(&lease).await, Some(vec![one]));
    assert_eq!(d.held(&former).await, None, "its worker has said hello elsewhere");
    let many = (0..1200).map(|n| one_of_many(2, n)).collect::<Vec<_>>();
    d.add(&other, many.clone()).await.unwrap();
    let mut held = d.held(&other).await.unwrap();
    held.retain(|session| session.stream.as_str() != "elsewhere");
    held.sort_by_key(|session| session.sid);
    let sessions = many.into_iter().map(|reported| reported.session);
    assert!(held.into_iter().eq(sessions), "by several pages");
}

async fn a_worker_that_comes_back_keeps_streams_nobody_took(d: &Directory) {
    hello(d, 1).await;
    let (one, two) = (live(d, 1, 1, "cam1").await, live(d, 1, 2, "cam2").await);
    eventually(async || d.workers().workers.is_empty()).await;
    let other = hello(d, 2).await;
    let taken = live(d, 2, 3, "cam1").await;
    let lease = hello(d, 1).await;
    let lost = d.add(&lease, [report(&one), report(&two)].concat()).await;
    assert_eq!(lost, Ok(vec![one.clone()]));
    assert_eq!(holders(d, "cam1").await, [taken]);
    assert_eq!(holders(d, "cam2").await, [two]);
    assert_eq!(d.lookup(&one.stream, one.sid).await, Lookup::Absent);
    assert_eq!(d.beat(&other, Load::default()).await, Ok(()));
}

async fn a_dead_worker_takes_its_sessions_along(d: &Directory) {
    let lease = hello(d, 1).await;
    let cam = live(d, 1, 1, "cam").await;
    d.bury(Incarnation(1)).await;
    assert_eq!(d.lookup(&cam.stream, cam.sid).await, Lookup::Absent);
    assert_eq!(holders(d, "cam").await, []);
    assert_eq!(d.worker(Incarnation(1)).await, None);
    assert_eq!(d.beat(&lease, Load::default()).await, Err(ReportError::Expired));
}

async fn only_the_owner_removes_and_releases(d: &Directory) {
    hello(d, 1).await;
    let cam = live(d, 1, 1, "cam").await;
    let other = hello(d, 2).await;
    d.remove(&other, &[cam.sid]).await.unwrap();
    d.release(&session(2, 1, "cam", cam.owner.epoch.0)).await;
    d.release(&session(1, 1, "cam", cam.owner.epoch.0 - 1)).await;
    assert!(is_live(d, &cam).await);
}

/// As when a partition heals: both sides have gone on.
async fn a_beat_tells_the_load(d: &Directory) {
    let lease = hello(d, 1).await;
    let load = Load {
        sessions: 3,
        packets_per_second: 5_000_000_000,
        cpu: 85,
    };
    d.beat(&lease, load).await.unwrap();
    eventually(async || worker(d, 1).is_some_and(|worker| worker.load == load)).await;
}

async fn where_a_worker_drains_or_has_no_address_nothing_is_placed_and_what_lives_stays(d: &Directory) {
    let lease = hello(d, 1).await;
    let cam = live(d, 1, 1, "cam").await;
    d.beat_draining(&lease, Load::default()).await.unwrap();
    eventually(async || worker(d, 1).is_some_and(|worker| worker.health == Health::Draining)).await;
    assert_eq!(d.place(&placement(1, 2, "other")).await, Err(PlaceError::NotAlive));
    assert!(is_live(d, &cam).await);
    d.beat_unaddressed(&lease, Load::default()).await.unwrap();
    eventually(async || worker(d, 1).is_some_and(|worker| worker.health == Health::Unaddressed)).await;
    assert_eq!(d.place(&placement(1, 2, "other")).await, Err(PlaceError::NotAlive));
    assert!(is_live(d, &cam).await);
    d.beat(&lease, Load::default()).await.unwrap();
    eventually(async || worker(d, 1).is_some_and(|worker| worker.health == Health::Alive)).await;
}

fn one_of_many(worker: u8, n: u16) -> Reported {
    let mut one = reported(worker, 0, &format!("live/{n}"), 5);
    let [high, low] = n.to_be_bytes();
    one.session.sid = SessionId::new([high, low, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7]);
    one
}

async fn many_sessions_are_reported_and_removed(d: &Directory) {
    let lease = hello(d, 1).await;
    let many: Vec<_> = (0..1200).map(|n| one_of_many(1, n)).collect();
    assert_eq!(d.add(&lease, many.clone()).await, Ok(vec![]));
    assert!(is_live(d, &many[1199].session).await);
    let again = hello(d, 1).await;
    d.add(&again, many[..600].to_vec()).await.unwrap();
    d.end_snapshot(&again).await.unwrap();
    knows(d, 1, 600).await;
    assert_eq!(
        d.lookup(&many[600].session.stream, many[600].session.sid).await,
        Lookup::Absent
    );
    assert!(is_live(d, &many[599].session).await);
    let sids: Vec<_> = many[..600].iter().map(|one| one.session.sid).collect();
    d.remove(&again, &sids).await.unwrap();
    knows(d, 1, 0).await;
    assert_eq!(holders(d, "live/0").await, []);
}
