//! Which worker lives, and which session owns a stream: a soft index, rebuilt from the workers.
//!
//! In memory for one process, in Redis or Valkey for a cluster, by the same rules. It must not choose a worker: that is the
//! gateway's placement. It knows no session's media, and no live statistics.
//!
//! A worker says hello and gets a lease, which each beat renews, and each change it tells. It reports all its sessions once (`add`, then `end_snapshot`), and
//! then what changes. A gateway reserves a stream with `place` before it asks the worker, and takes it with `commit` afterwards:
//! until then the former holder keeps it. Each ownership of a stream has a later epoch than all before: of two sessions that live
//! through a partition, the later keeps the stream. One whose encoder was never heard of takes no stream from another: its gateway may
//! have died before the answer left.
//!
//! # In Redis
//!
//! Keys begin with `whipcord:1:{CLUSTER}:`; the braces put all of a cluster into one slot of a Redis Cluster, because scripts touch
//! several keys at once. All times are the server's own (`TIME`), in milliseconds. Redis 6.2, or any Valkey.
//!
//! | key | kind | holds |
//! |---|---|---|
//! | `boot` | text | `FORMAT BEGAN SEEN`: the version of these data, when they began, when a gateway last looked |
//! | `leases` | sorted set | incarnation → end of its lease |
//! | `workers` | hash | incarnation → hello, as JSON |
//! | `states` | hash | incarnation → lease serial, changes counted, health, sessions known and told, packets/s, CPU |
//! | `sessions:INCARNATION` | hash | sid → serial of the lease that last confirmed it, stream |
//! | `stream:STREAM` | hash | sid → incarnation, epoch, live or reserved since, mode, client, worker |
//! | `reserved` | sorted set | incarnation, sid and stream of a reservation → when it is over; any gateway's next look takes it out |
//! | `past:STREAM` | text, 60 s | the last epoch, and who lost the stream when |
//! | `refused:1`, `refused:0` | sorted set | what was refused of which stream, with a good token and without → when last; told again by its gateways, not by workers, when `boot` is another |
//! | `number:NUMBER` | text, 25 h after a beat | the incarnation that claimed this worker number |
//!
//! - **Rebuilding.** Data that began less than [`REBUILD`] ago are incomplete: absence means nothing then, [`Lookup::Unknown`] is said
//!   instead of `Absent`, and nothing is placed that must be the only one. They begin when `boot` is missing (a server came back
//!   empty, `FLUSHALL`), and when no gateway has looked for half a lease: leases that ended then ended because nobody could renew them.
//! - **Lost writes.** A replica may be promoted that lacks acknowledged writes. Each change a worker reports is counted in its state,
//!   and in the gateway it reports to; a beat whose count differs is refused, so that the worker says hello and tells all again. A
//!   commit is not counted: it is made good by the report that its session's encoder was heard of, which comes after it.
//! - **Sessions that lost their stream unheard.** A commit takes the former session out of the index; that its worker ends it is one call
//!   of a gateway, which may die. A worker whose beats tell another number of sessions than the index has, for longer than a
//!   reservation and a lease, is refused: it tells all again, and is told what it lost.
//! - **Redis away.** Every call ends within [`CALL_MAX`], a `place` within two. A gateway goes on acknowledging the workers that report to it, and knows
//!   them; their next beat after it is back is refused, and so they tell all again. [`Directory::workers`] never asks Redis.
//! - **Cost.** Beats of all workers of a gateway are renewed by one script each 200 ms, the view of all workers is one script each
//!   500 ms; both run a constant number of commands, and so do `place` and `commit`.

mod agreement;
mod config;
mod memory;
mod redis;
mod refusals;
mod timing;
mod values;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use whipcord_identity::{ClusterId, Incarnation, SessionId, StreamName};

use memory::Memory;

pub use self::{
    config::{Config, ConfigError, Url, UrlError},
    redis::CALL_MAX,
    refusals::{Beginning, REFUSALS_KEPT, REFUSALS_MAX, RefusedRequest, Told},
    timing::{LEASE, LOSER_WAIT, NUMBER_REST, REBUILD, RESERVATION, Timing},
    values::{
        CommitError, Freshness, Health, Hello, HelloError, Lease, Load, Lookup, PlaceError, Placement, ReportError,
        Reported, Session, Takeover, Unavailable, View, Worker,
    },
};

/// Beyond any cluster planned for; a bound for the tables.
pub const WORKERS_MAX: usize = 4096;
/// Beyond what one worker carries; a bound for what one may report.
pub const SESSIONS_PER_WORKER_MAX: usize = 100_000;
/// Where a stream may have several sessions; a bound for what one script looks at.
pub const SESSIONS_PER_STREAM_MAX: usize = 256;

/// The directory of one cluster. Cheap to clone: clones share it.
#[derive(Clone, Debug)]
pub struct Directory(Store);

#[derive(Clone, Debug)]
enum Store {
    /// Owned by the `Directory`; held for one table operation, never across an await.
    Memory(Arc<Mutex<Memory>>),
    Redis(Arc<redis::Redis>),
}

impl Directory {
    /// Empty, in this process's memory. It begins and ends with its one worker, so its absence always means something.
    pub fn memory() -> Self {
        Self::memory_with(Timing {
            rebuild: std::time::Duration::ZERO,
            ..Timing::STANDARD
        })
    }

    /// With other times than the standard ones: for tests.
    pub fn memory_with(timing: Timing) -> Self {
        Self(Store::Memory(Arc::new(Mutex::new(Memory::new(timing, now())))))
    }

    /// In Redis, which need not be there yet. Inside a tokio runtime.
    pub fn redis(config: &Config, cluster: &ClusterId) -> Result<Self, ConfigError> {
        Self::redis_with(config, cluster, Timing::STANDARD)
    }

    /// With other times than the standard ones: for tests.
    pub fn redis_with(config: &Config, cluster: &ClusterId, timing: Timing) -> Result<Self, ConfigError> {
        let redis = redis::Redis::start(config, cluster, timing)?;
        Ok(Self(Store::Redis(redis)))
    }

    /// A worker's incarnation introduces itself, or comes back.
    pub async fn hello(&self, hello: Hello) -> Result<Lease, HelloError> {
        match &self.0 {
            Store::Memory(memory) => lock(memory).hello(hello, now()),
            Store::Redis(redis) => redis.hello(hello).await,
        }
    }

    /// Renews a lease, and tells what the worker carries, which takes more.
    pub async fn beat(&self, lease: &Lease, load: Load) -> Result<(), ReportError> {
        self.renew(lease, load, Health::Alive).await
    }

    /// The same of a worker that takes no new sessions.
    pub async fn beat_draining(&self, lease: &Lease, load: Load) -> Result<(), ReportError> {
        self.renew(lease, load, Health::Draining).await
    }

    /// The same of one that takes none before it is told where encoders reach it.
    pub async fn beat_unaddressed(&self, lease: &Lease, load: Load) -> Result<(), ReportError> {
        self.renew(lease, load, Health::Unaddressed).await
    }

    async fn renew(&self, lease: &Lease, load: Load, health: Health) -> Result<(), ReportError> {
        match &self.0 {
            Store::Memory(memory) => lock(memory).beat(lease, load, health, now()),
            Store::Redis(redis) => redis.beat(lease, load, health).await,
        }
    }

    /// Sessions a worker reports as living there. Returns those that lost their stream to a later epoch's: they must be ended.
    pub async fn add(&self, lease: &Lease, sessions: Vec<Reported>) -> Result<Vec<Session>, ReportError> {
        match &self.0 {
            Store::Memory(memory) => lock(memory).add(lease, sessions, now()),
            Store::Redis(redis) => redis.add(lease, &sessions).await,
        }
    }

    /// Sessions a worker reports as ended.
    pub async fn remove(&self, lease: &Lease, sids: &[SessionId]) -> Result<(), ReportError> {
        match &self.0 {
            Store::Memory(memory) => lock(memory).remove(lease, sids, now()),
            Store::Redis(redis) => redis.remove(lease, sids).await,
        }
    }

    /// All of a worker's sessions have been added: those known from before its hello and not added since are gone.
    pub async fn end_snapshot(&self, lease: &Lease) -> Result<(), ReportError> {
        match &self.0 {
            Store::Memory(memory) => lock(memory).end_snapshot(lease, now()),
            Store::Redis(redis) => redis.end_snapshot(lease).await,
        }
    }

    /// What the directory holds as living on this worker: a worker that has just these need not tell them again. None while that is
    /// not known.
    pub async fn held(&self, lease: &Lease) -> Option<Vec<Session>> {
        match &self.0 {
            Store::Memory(memory) => lock(memory).held(lease, now()),
            Store::Redis(redis) => redis.held(lease).await,
        }
    }

    /// The worker's report stream broke. Without effect if it has said hello elsewhere since.
    pub async fn suspect(&self, lease: &Lease) {
        match &self.0 {
            Store::Memory(memory) => lock(memory).suspect(lease),
            Store::Redis(redis) => redis.suspect(lease).await,
        }
    }

    /// An incarnation is known to be dead: its address refused, or answered as another.
    pub async fn bury(&self, incarnation: Incarnation) {
        match &self.0 {
            Store::Memory(memory) => lock(memory).bury(incarnation),
            Store::Redis(redis) => redis.bury(incarnation).await,
        }
    }

    /// Reserves the stream for a session about to be created.
    pub async fn place(&self, placement: &Placement) -> Result<Session, PlaceError> {
        match &self.0 {
            Store::Memory(memory) => lock(memory).place(placement, now()),
            Store::Redis(redis) => redis.place(placement).await,
        }
    }

    /// The reserved session lives: it takes its stream. Returns the sessions that held it and must be ended now.
    pub async fn commit(&self, session: &Session) -> Result<Vec<Session>, CommitError> {
        match &self.0 {
            Store::Memory(memory) => lock(memory).commit(session, now()),
            Store::Redis(redis) => redis.commit(session).await,
        }
    }

    /// Forgets a reservation or a session of this owner. Where Redis is away, its worker's report says so later.
    pub async fn release(&self, session: &Session) {
        match &self.0 {
            Store::Memory(memory) => lock(memory).release(session),
            Store::Redis(redis) => redis.release(session).await,
        }
    }

    /// A live session; not a reserved one.
    pub async fn lookup(&self, stream: &StreamName, sid: SessionId) -> Lookup {
        match &self.0 {
            Store::Memory(memory) => lock(memory).lookup(stream, sid, now()),
            Store::Redis(redis) => redis.lookup(stream, sid).await,
        }
    }

    /// A worker by incarnation, while its lease lives.
    pub async fn worker(&self, incarnation: Incarnation) -> Option<Worker> {
        match &self.0 {
            Store::Memory(memory) => lock(memory).worker(incarnation, now()),
            Store::Redis(redis) => redis.worker(incarnation).await,
        }
    }

    /// Requests that this gateway refused, with the time since each one's last. Those that cannot be told are for whoever asks here.
    pub async fn refused(&self, refusals: &[(RefusedRequest, std::time::Duration)]) -> Result<(), Unavailable> {
        match &self.0 {
            Store::Memory(memory) => lock(memory).refusals.note(refusals, now()),
            Store::Redis(redis) => redis.refused(refusals).await?,
        }
        Ok(())
    }

    /// What all gateways refused of a stream within [`REFUSALS_KEPT`].
    pub async fn refusals(&self, stream: &StreamName) -> Result<Told, Unavailable> {
        match &self.0 {
            Store::Memory(memory) => Ok(lock(memory).refusals(stream, now())),
            Store::Redis(redis) => redis.refusals(stream).await,
        }
    }

    /// When its data began, as last heard; none before that. Where it is another than before, what was refused is told again.
    pub fn began(&self) -> Option<Beginning> {
        match &self.0 {
            Store::Memory(_) => Some(Beginning(0)),
            Store::Redis(redis) => redis.began(),
        }
    }

    /// The format of the directory's data where a later version wrote them: they are refused, not guessed, so that this gateway can
    /// serve nobody, and is not ready.
    pub fn newer(&self) -> Option<u64> {
        match &self.0 {
            Store::Memory(_) => None,
            Store::Redis(redis) => redis.newer(),
        }
    }

    /// All workers whose lease lives, in no order, as this gateway last heard of them.
    pub fn workers(&self) -> View {
        match &self.0 {
            Store::Memory(memory) => lock(memory).view(now()),
            Store::Redis(redis) => redis.view(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic inside an operation would be a defect; refusing every later request would make it an outage.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
