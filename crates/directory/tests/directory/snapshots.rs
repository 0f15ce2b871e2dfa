//! Many workers tell all they have at the same moment, as when Redis comes back empty.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use tokio::{task::JoinSet, time::interval};
use whipcord_directory::{Directory, Hello, Load, ReportError, Reported, Session, Takeover};
use whipcord_identity::{Epoch, Incarnation, Owner, SessionId, WorkerNumber};

use crate::{bed::SHORT, server::Server};

/// 200,000 sessions take Redis seconds: longer than a call may, and longer than a lease lasts.
const WORKERS: u32 = 400;
const SESSIONS: u32 = 500;

/// How far the workers are, all together.
#[derive(Default)]
struct Progress {
    /// Those that have told all.
    told: AtomicU32,
    /// How often one was refused and told all again.
    again: AtomicU32,
}

#[tokio::test]
async fn a_queue_of_snapshots_is_no_lost_connection_and_ends_no_lease() {
    let server = Server::start().await;
    let d = server.directory(SHORT);
    let progress: Arc<Progress> = Arc::default();
    let mut workers = JoinSet::new();
    for n in 0..WORKERS {
        let (d, progress) = (d.clone(), Arc::clone(&progress));
        workers.spawn(async move {
            let mut told = false;
            while report(&d, n, &progress, &mut told).await.is_err() {
                progress.again.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.unwrap();
    }
    // A machine that is busy elsewhere may make one late; all of them were, when each stood in the others' way.
    let again = progress.again.load(Ordering::Relaxed);
    assert!(again <= WORKERS / 10, "{again} times a worker told all again");
    for n in 0..WORKERS {
        let key = format!("HLEN whipcord:1:{{test}}:sessions:{n:016x}");
        assert_eq!(server.ask::<u32>(&key).await, SESSIONS, "worker {n}");
    }
}

/// One worker's report stream, until all workers have told all.
async fn report(d: &Directory, n: u32, progress: &Progress, told: &mut bool) -> Result<(), ReportError> {
    let owner = Owner {
        worker: format!("worker-{n}").parse().unwrap(),
        incarnation: Incarnation(n.into()),
        epoch: Epoch(1),
    };
    let hello = Hello {
        worker: owner.worker.clone(),
        incarnation: owner.incarnation,
        number: WorkerNumber::new(n),
        address: "10.0.0.1:7000".parse().unwrap(),
        sessions_max: SESSIONS,
    };
    let sessions = (0..SESSIONS).map(|k| Reported {
        session: Session {
            sid: SessionId::new((u128::from(n) << 64 | u128::from(k)).to_be_bytes()),
            stream: format!("live/{n}/{k}").parse().unwrap(),
            owner: owner.clone(),
        },
        takeover: Takeover::Replace,
        heard: true,
    });
    let lease = d.hello(hello).await.unwrap();
    assert_eq!(d.add(&lease, sessions.collect()).await?, vec![], "worker {n}");
    d.end_snapshot(&lease).await?;
    let load = Load {
        sessions: SESSIONS,
        ..Load::default()
    };
    let mut beats = interval(SHORT.lease / 3);
    loop {
        beats.tick().await;
        // Refused where a change may not have reached Redis.
        d.beat(&lease, load).await?;
        if !std::mem::replace(told, true) {
            progress.told.fetch_add(1, Ordering::Relaxed);
        }
        if progress.told.load(Ordering::Relaxed) == WORKERS {
            return Ok(());
        }
    }
}
