//! Which worker lives, and which session owns a stream: a soft index, rebuilt from the workers.
//!
//! In memory for one process; later in Redis. It must not choose a worker: that is the gateway's placement. It knows no session's
//! media, and no live statistics.
//!
//! A worker says hello and gets a lease, which each beat renews. It reports all its sessions once (`add`, then `end_snapshot`), and
//! then what changes. A gateway reserves a stream with `place` before it asks the worker, and takes it with `commit` afterwards:
//! until then the former holder keeps it. Of two that place one stream at once the later wins.

mod memory;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use whipcord_identity::{Incarnation, Owner, SessionId, StreamName, WorkerAddress, WorkerId, WorkerNumber};

use memory::Memory;

/// A lease not renewed for this long is over: of a worker's beats, one a second, two may be lost.
pub const LEASE: Duration = Duration::from_secs(3);
/// A reservation not committed for this long is over: longer than a gateway waits for a worker, and an encoder for a gateway
/// (OBS: 8 s).
pub const RESERVATION: Duration = Duration::from_secs(10);
/// A worker number names one incarnation only for this long after its last beat, because encoders may go on sending to it.
pub const NUMBER_REST: Duration = Duration::from_secs(24 * 3600);
/// Beyond any cluster planned for; a bound for the tables.
pub const WORKERS_MAX: usize = 4096;
/// Beyond what one worker carries; a bound for what one may report.
pub const SESSIONS_PER_WORKER_MAX: usize = 100_000;

/// The directory of one cluster. Cheap to clone: clones share it.
#[derive(Clone, Debug)]
pub struct Directory(Store);

#[derive(Clone, Debug)]
enum Store {
    /// Owned by the `Directory`; held for one table operation, never across an await.
    Memory(Arc<Mutex<Memory>>),
}

/// How a worker introduces one incarnation of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    pub worker: WorkerId,
    pub incarnation: Incarnation,
    pub number: WorkerNumber,
    pub address: WorkerAddress,
    /// Sessions it accepts at once.
    pub sessions_max: u32,
}

/// The right to report for one incarnation; each hello gives a new one, and the former is void.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    incarnation: Incarnation,
    serial: u64,
}

/// A worker whose lease lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    pub hello: Hello,
    pub health: Health,
    /// Live sessions and reservations, as far as the directory knows.
    pub sessions: usize,
}

/// How much a worker can be relied on while its lease lives. One without a lease is dead, and not in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Alive,
    /// Its report stream broke: nothing is placed there, but what lives there is kept.
    Suspect,
}

/// Who owns which session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub sid: SessionId,
    pub stream: StreamName,
    pub owner: Owner,
}

impl Directory {
    /// Empty, in this process's memory.
    pub fn memory() -> Self {
        Self(Store::Memory(Arc::default()))
    }

    /// A worker's incarnation introduces itself, or comes back.
    pub async fn hello(&self, hello: Hello) -> Result<Lease, HelloError> {
        self.lock().hello(hello, now())
    }

    /// Renews a lease.
    pub async fn beat(&self, lease: &Lease) -> Result<(), ReportError> {
        self.lock().beat(lease, now())
    }

    /// Sessions a worker reports as living there. Returns those whose stream another session holds: they must be ended.
    pub async fn add(&self, lease: &Lease, sessions: Vec<Session>) -> Result<Vec<Session>, ReportError> {
        self.lock().add(lease, sessions, now())
    }

    /// Sessions a worker reports as ended.
    pub async fn remove(&self, lease: &Lease, sids: &[SessionId]) -> Result<(), ReportError> {
        self.lock().remove(lease, sids, now())
    }

    /// All of a worker's sessions have been added: those known from before its hello and not added since are gone.
    pub async fn end_snapshot(&self, lease: &Lease) -> Result<(), ReportError> {
        self.lock().end_snapshot(lease, now())
    }

    /// The worker's report stream broke. Without effect if it has said hello elsewhere since.
    pub async fn suspect(&self, lease: &Lease) {
        self.lock().suspect(lease);
    }

    /// An incarnation is known to be dead: its address refused, or answered as another.
    pub async fn bury(&self, incarnation: Incarnation) {
        self.lock().bury(incarnation);
    }

    /// Reserves the stream for a session about to be created on `session.owner`. It replaces a reservation of the same stream.
    pub async fn place(&self, session: Session) -> Result<(), PlaceError> {
        self.lock().place(session, now())
    }

    /// The reserved session lives: it takes its stream. Returns the session that held it and must be ended now.
    pub async fn commit(&self, sid: SessionId) -> Result<Option<Session>, CommitError> {
        self.lock().commit(sid, now())
    }

    /// Forgets a reservation or a session.
    pub async fn release(&self, sid: SessionId) {
        self.lock().release(sid);
    }

    /// A live session; not a reserved one.
    pub async fn by_sid(&self, sid: SessionId) -> Option<Session> {
        self.lock().by_sid(sid, now())
    }

    /// The session that holds a stream.
    pub async fn by_stream(&self, stream: &StreamName) -> Option<Session> {
        self.lock().by_stream(stream, now())
    }

    /// A worker by incarnation, while its lease lives.
    pub async fn worker(&self, incarnation: Incarnation) -> Option<Worker> {
        self.lock().worker(incarnation, now())
    }

    /// All workers whose lease lives, in no order.
    pub async fn workers(&self) -> Vec<Worker> {
        self.lock().workers(now())
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        let Store::Memory(memory) = &self.0;
        // A panic inside an operation would be a defect; refusing every later request would make it an outage.
        memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a hello is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    #[error("the worker number is another incarnation's: draw again")]
    NumberTaken,
    #[error("the directory holds {WORKERS_MAX} workers, which is its limit")]
    Full,
}

/// Why a report is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    #[error("the lease is over: say hello again")]
    Expired,
    #[error("a worker reports at most {SESSIONS_PER_WORKER_MAX} sessions")]
    TooManySessions,
}

/// Why a session cannot be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    #[error("the worker has no lease, or is suspect")]
    NotAlive,
}

/// Why a reservation cannot be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    #[error("the reservation was replaced, ended or expired")]
    Lost,
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
