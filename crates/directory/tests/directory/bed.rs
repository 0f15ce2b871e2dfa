//! Workers, sessions and waiting, for every store.

use std::time::Duration;

use tokio::time::{Instant, interval};
use whipcord_directory::{
    Directory, Health, Hello, Lease, Load, Lookup, Placement, Reported, Session, Takeover, Timing, Worker,
};
use whipcord_identity::{Epoch, Incarnation, Owner, SessionId, WorkerNumber};

use crate::server::PATIENCE;

/// As [`LONG`], and new data are incomplete for a while.
pub(crate) const REBUILT: Timing = Timing {
    rebuild: Duration::from_millis(600),
    ..LONG
};

/// As [`REBUILT`], for longer than it takes to look at several things.
pub(crate) const REBUILDING: Timing = Timing {
    rebuild: Duration::from_secs(4),
    ..LONG
};

/// Nothing ends while a test looks, and absence means something at once.
pub(crate) const LONG: Timing = Timing {
    lease: Duration::from_secs(15),
    rebuild: Duration::ZERO,
    ..Timing::STANDARD
};

/// What ends does so while a test waits; a busy machine still beats in time.
pub(crate) const SHORT: Timing = Timing {
    lease: Duration::from_millis(1500),
    reservation: Duration::from_millis(400),
    number_rest: Duration::from_millis(2500),
    rebuild: Duration::ZERO,
    loser_wait: Duration::from_millis(400),
};

pub(crate) const BEAT: Duration = Duration::from_millis(100);

/// Waits for a condition, and fails when it never holds.
#[track_caller]
pub(crate) fn eventually(condition: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    within(PATIENCE, condition)
}

#[track_caller]
pub(crate) fn within(limit: Duration, mut condition: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let start = Instant::now();
        let mut ticks = interval(Duration::from_millis(10));
        while !condition().await {
            assert!(
                start.elapsed() < limit,
                "{caller}: it did not come true within {limit:?}"
            );
            ticks.tick().await;
        }
    }
}

/// Beats for so long, and sees every beat answered well.
pub(crate) async fn keep(d: &Directory, lease: &Lease, time: Duration) {
    let start = Instant::now();
    let mut ticks = interval(BEAT);
    while start.elapsed() < time {
        ticks.tick().await;
        assert_eq!(d.beat(lease, Load::default()).await, Ok(()));
    }
}

pub(crate) fn introduction(n: u8) -> Hello {
    Hello {
        worker: format!("worker-{n}").parse().unwrap(),
        incarnation: Incarnation(n.into()),
        number: WorkerNumber::new(n.into()),
        address: format!("10.0.0.{n}:7000").parse().unwrap(),
        sessions_max: 100,
    }
}

pub(crate) async fn hello(d: &Directory, n: u8) -> Lease {
    d.hello(introduction(n)).await.unwrap()
}

pub(crate) fn sid(n: u8) -> SessionId {
    SessionId::new([n; 16])
}

pub(crate) fn session(worker: u8, n: u8, stream: &str, epoch: u32) -> Session {
    Session {
        sid: sid(n),
        stream: stream.parse().unwrap(),
        owner: Owner {
            worker: introduction(worker).worker,
            incarnation: introduction(worker).incarnation,
            epoch: Epoch(epoch),
        },
    }
}

pub(crate) fn reported(worker: u8, n: u8, stream: &str, epoch: u32) -> Reported {
    Reported {
        session: session(worker, n, stream, epoch),
        takeover: Takeover::Replace,
        heard: true,
    }
}

/// Of a session as it was placed.
pub(crate) fn report(session: &Session) -> Vec<Reported> {
    vec![Reported {
        session: session.clone(),
        takeover: Takeover::Replace,
        heard: false,
    }]
}

pub(crate) fn placement(worker: u8, n: u8, stream: &str) -> Placement {
    Placement {
        sid: sid(n),
        stream: stream.parse().unwrap(),
        worker: introduction(worker).worker,
        incarnation: introduction(worker).incarnation,
        takeover: Takeover::Replace,
        client: None,
        force: false,
        former: None,
    }
}

pub(crate) async fn place(d: &Directory, worker: u8, n: u8, stream: &str) -> Session {
    d.place(&placement(worker, n, stream)).await.unwrap()
}

pub(crate) async fn live(d: &Directory, worker: u8, n: u8, stream: &str) -> Session {
    let session = place(d, worker, n, stream).await;
    d.commit(&session).await.unwrap();
    session
}

pub(crate) async fn is_live(d: &Directory, session: &Session) -> bool {
    d.lookup(&session.stream, session.sid).await == Lookup::Live(session.clone())
}

/// Of sessions that a test names by a number.
const SIDS: u8 = 32;

/// Who lives in a stream, by number.
pub(crate) async fn holders(d: &Directory, stream: &str) -> Vec<Session> {
    let stream = stream.parse().unwrap();
    let mut found = Vec::new();
    for n in 0..SIDS {
        if let Lookup::Live(session) = d.lookup(&stream, sid(n)).await {
            found.push(session);
        }
    }
    found
}

pub(crate) fn worker(d: &Directory, n: u8) -> Option<Worker> {
    let workers = d.workers().workers;
    workers.iter().find(|worker| worker.hello == introduction(n)).cloned()
}

pub(crate) fn health(d: &Directory, n: u8) -> Option<Health> {
    worker(d, n).map(|worker| worker.health)
}

/// Waits until so many sessions are known of a worker.
pub(crate) async fn knows(d: &Directory, n: u8, sessions: usize) {
    eventually(async || worker(d, n).is_some_and(|worker| worker.sessions == sessions)).await;
}
