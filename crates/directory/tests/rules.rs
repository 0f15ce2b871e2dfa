//! The directory's rules, as functions over any `Directory`: a second store must pass the same.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use tokio::time::advance;
use whipcord_directory::{
    CommitError, Directory, Health, Hello, HelloError, LEASE, Lease, NUMBER_REST, PlaceError, RESERVATION, ReportError,
    Session,
};
use whipcord_identity::{Epoch, Incarnation, Owner, SessionId, WorkerNumber};

macro_rules! rules {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(start_paused = true)]
            async fn $name() {
                super::$name(&super::Directory::memory()).await;
            })*
        }
    };
}

rules![
    a_lease_lives_while_it_is_beaten,
    a_number_rests_for_a_day,
    a_second_hello_voids_the_first_lease,
    nothing_is_placed_on_a_suspect_or_a_stranger,
    a_reserved_session_shows_only_after_its_commit,
    a_commit_takes_the_stream_and_names_the_one_replaced,
    a_reservation_is_committed_once,
    of_two_reservations_the_later_wins,
    an_old_reservation_is_over,
    a_session_that_ended_before_its_commit_is_lost,
    a_report_before_the_commit_leaves_the_decision_to_it,
    a_snapshot_ends_what_it_does_not_name,
    a_snapshot_keeps_what_was_committed_since_the_hello,
    a_worker_that_comes_back_keeps_streams_nobody_took,
    a_dead_worker_takes_its_sessions_along,
    only_the_owner_removes,
    a_stale_epoch_is_refused,
];

async fn a_lease_lives_while_it_is_beaten(d: &Directory) {
    let lease = hello(d, 1).await;
    for _ in 0..10 {
        advance(LEASE - Duration::from_millis(1)).await;
        assert_eq!(d.beat(&lease).await, Ok(()));
    }
    assert_eq!(d.workers().await.len(), 1);
    advance(LEASE).await;
    assert_eq!(d.workers().await, []);
    assert_eq!(d.beat(&lease).await, Err(ReportError::Expired));
}

async fn a_number_rests_for_a_day(d: &Directory) {
    let second = Hello {
        number: introduction(1).number,
        ..introduction(2)
    };
    let lease = hello(d, 1).await;
    assert_eq!(d.hello(second.clone()).await, Err(HelloError::NumberTaken));
    advance(Duration::from_secs(2)).await;
    d.beat(&lease).await.unwrap();
    advance(NUMBER_REST - Duration::from_secs(1)).await;
    assert_eq!(
        d.hello(second.clone()).await,
        Err(HelloError::NumberTaken),
        "the last beat counts"
    );
    advance(Duration::from_secs(1)).await;
    assert!(d.hello(second).await.is_ok());
}

async fn a_second_hello_voids_the_first_lease(d: &Directory) {
    let first = hello(d, 1).await;
    live(d, 1, 1, "cam").await;
    let second = hello(d, 1).await;
    assert_eq!(d.beat(&first).await, Err(ReportError::Expired));
    assert_eq!(d.beat(&second).await, Ok(()));
    d.suspect(&first).await;
    assert_eq!(
        d.workers().await[0].health,
        Health::Alive,
        "a late word about the first stream changes nothing"
    );
    assert!(
        d.by_sid(sid(1)).await.is_some(),
        "its sessions stay until the snapshot tells"
    );
}

async fn nothing_is_placed_on_a_suspect_or_a_stranger(d: &Directory) {
    assert_eq!(d.place(session(1, 1, "cam")).await, Err(PlaceError::NotAlive));
    let lease = hello(d, 1).await;
    live(d, 1, 1, "cam").await;
    d.suspect(&lease).await;
    assert_eq!(d.place(session(1, 2, "cam2")).await, Err(PlaceError::NotAlive));
    assert_eq!(
        d.by_sid(sid(1)).await,
        Some(session(1, 1, "cam")),
        "what lives there is kept"
    );
    hello(d, 1).await;
    assert_eq!(d.place(session(1, 2, "cam2")).await, Ok(()));
}

async fn a_reserved_session_shows_only_after_its_commit(d: &Directory) {
    hello(d, 1).await;
    d.place(session(1, 1, "cam")).await.unwrap();
    assert_eq!(d.by_sid(sid(1)).await, None);
    assert_eq!(d.by_stream(&"cam".parse().unwrap()).await, None);
    assert_eq!(d.workers().await[0].sessions, 1, "but it counts as load");
    assert_eq!(d.commit(sid(1)).await, Ok(None));
    assert_eq!(d.by_sid(sid(1)).await, Some(session(1, 1, "cam")));
    assert_eq!(d.by_stream(&"cam".parse().unwrap()).await, Some(session(1, 1, "cam")));
    d.release(sid(1)).await;
    assert_eq!(d.by_sid(sid(1)).await, None);
    assert_eq!(d.workers().await[0].sessions, 0);
}

async fn a_commit_takes_the_stream_and_names_the_one_replaced(d: &Directory) {
    hello(d, 1).await;
    hello(d, 2).await;
    live(d, 1, 1, "cam").await;
    d.place(session(2, 2, "cam")).await.unwrap();
    assert_eq!(
        d.by_stream(&"cam".parse().unwrap()).await,
        Some(session(1, 1, "cam")),
        "until the commit"
    );
    assert_eq!(d.commit(sid(2)).await, Ok(Some(session(1, 1, "cam"))));
    assert_eq!(d.by_stream(&"cam".parse().unwrap()).await, Some(session(2, 2, "cam")));
    assert_eq!(d.by_sid(sid(1)).await, None);
}

async fn a_reservation_is_committed_once(d: &Directory) {
    hello(d, 1).await;
    live(d, 1, 1, "cam").await;
    assert_eq!(d.commit(sid(1)).await, Err(CommitError::Lost));
    assert_eq!(d.commit(sid(2)).await, Err(CommitError::Lost));
    assert_eq!(d.by_sid(sid(1)).await, Some(session(1, 1, "cam")));
}

async fn of_two_reservations_the_later_wins(d: &Directory) {
    hello(d, 1).await;
    d.place(session(1, 1, "cam")).await.unwrap();
    d.place(session(1, 2, "cam")).await.unwrap();
    assert_eq!(d.commit(sid(1)).await, Err(CommitError::Lost));
    assert_eq!(d.commit(sid(2)).await, Ok(None));
    assert_eq!(d.workers().await[0].sessions, 1);
}

async fn an_old_reservation_is_over(d: &Directory) {
    let lease = hello(d, 1).await;
    d.place(session(1, 1, "cam")).await.unwrap();
    for _ in 0..10 {
        advance(RESERVATION / 10).await;
        d.beat(&lease).await.unwrap();
    }
    assert_eq!(d.commit(sid(1)).await, Err(CommitError::Lost));
    assert_eq!(d.workers().await[0].sessions, 0);
}

async fn a_session_that_ended_before_its_commit_is_lost(d: &Directory) {
    let lease = hello(d, 1).await;
    d.place(session(1, 1, "cam")).await.unwrap();
    d.remove(&lease, &[sid(1)]).await.unwrap();
    assert_eq!(d.commit(sid(1)).await, Err(CommitError::Lost));
}

async fn a_report_before_the_commit_leaves_the_decision_to_it(d: &Directory) {
    let lease = hello(d, 1).await;
    live(d, 1, 1, "cam").await;
    d.place(session(1, 2, "cam")).await.unwrap();
    assert_eq!(d.add(&lease, vec![session(1, 2, "cam")]).await, Ok(vec![]));
    assert_eq!(d.commit(sid(2)).await, Ok(Some(session(1, 1, "cam"))));
}

async fn a_snapshot_ends_what_it_does_not_name(d: &Directory) {
    hello(d, 1).await;
    live(d, 1, 1, "cam1").await;
    live(d, 1, 2, "cam2").await;
    let lease = hello(d, 1).await;
    assert_eq!(
        d.add(&lease, vec![session(1, 2, "cam2"), session(1, 3, "cam3")]).await,
        Ok(vec![])
    );
    assert!(d.by_sid(sid(1)).await.is_some(), "not before the last chunk");
    d.end_snapshot(&lease).await.unwrap();
    assert_eq!(d.by_sid(sid(1)).await, None);
    assert_eq!(d.by_stream(&"cam1".parse().unwrap()).await, None);
    assert!(d.by_sid(sid(2)).await.is_some());
    assert!(d.by_sid(sid(3)).await.is_some());
}

async fn a_snapshot_keeps_what_was_committed_since_the_hello(d: &Directory) {
    let lease = hello(d, 1).await;
    live(d, 1, 1, "cam").await;
    d.place(session(1, 2, "cam2")).await.unwrap();
    d.end_snapshot(&lease).await.unwrap();
    assert!(d.by_sid(sid(1)).await.is_some());
    assert_eq!(d.commit(sid(2)).await, Ok(None));
}

async fn a_worker_that_comes_back_keeps_streams_nobody_took(d: &Directory) {
    hello(d, 1).await;
    live(d, 1, 1, "cam1").await;
    live(d, 1, 2, "cam2").await;
    advance(LEASE).await;
    hello(d, 2).await;
    live(d, 2, 3, "cam1").await;
    let lease = hello(d, 1).await;
    let lost = d.add(&lease, vec![session(1, 1, "cam1"), session(1, 2, "cam2")]).await;
    assert_eq!(lost, Ok(vec![session(1, 1, "cam1")]));
    assert_eq!(d.by_stream(&"cam1".parse().unwrap()).await, Some(session(2, 3, "cam1")));
    assert_eq!(d.by_stream(&"cam2".parse().unwrap()).await, Some(session(1, 2, "cam2")));
    assert_eq!(d.by_sid(sid(1)).await, None);
}

async fn a_dead_worker_takes_its_sessions_along(d: &Directory) {
    hello(d, 1).await;
    live(d, 1, 1, "cam").await;
    d.bury(Incarnation(1)).await;
    assert_eq!(d.by_sid(sid(1)).await, None);
    assert_eq!(d.by_stream(&"cam".parse().unwrap()).await, None);
    assert_eq!(d.worker(Incarnation(1)).await, None);
}

async fn only_the_owner_removes(d: &Directory) {
    hello(d, 1).await;
    live(d, 1, 1, "cam").await;
    let other = hello(d, 2).await;
    d.remove(&other, &[sid(1)]).await.unwrap();
    assert!(d.by_sid(sid(1)).await.is_some());
}

async fn a_stale_epoch_is_refused(d: &Directory) {
    hello(d, 1).await;
    let mut newer = session(1, 1, "cam");
    newer.owner.epoch = Epoch(2);
    d.place(newer.clone()).await.unwrap();
    d.commit(sid(1)).await.unwrap();
    let other = hello(d, 2).await;
    let stale = session(2, 1, "cam");
    assert_eq!(d.add(&other, vec![stale.clone()]).await, Ok(vec![stale]));
    assert_eq!(d.by_sid(sid(1)).await, Some(newer));
}

fn introduction(n: u8) -> Hello {
    Hello {
        worker: format!("worker-{n}").parse().unwrap(),
        incarnation: Incarnation(n.into()),
        number: WorkerNumber::new(n.into()),
        address: format!("10.0.0.{n}:7000").parse().unwrap(),
        sessions_max: 100,
    }
}

async fn hello(d: &Directory, n: u8) -> Lease {
    d.hello(introduction(n)).await.unwrap()
}

fn sid(n: u8) -> SessionId {
    SessionId::new([n; 16])
}

fn session(worker: u8, n: u8, stream: &str) -> Session {
    let Hello {
        worker, incarnation, ..
    } = introduction(worker);
    Session {
        sid: sid(n),
        stream: stream.parse().unwrap(),
        owner: Owner {
            worker,
            incarnation,
            epoch: Epoch(1),
        },
    }
}

async fn live(d: &Directory, worker: u8, n: u8, stream: &str) {
    d.place(session(worker, n, stream)).await.unwrap();
    d.commit(sid(n)).await.unwrap();
}
