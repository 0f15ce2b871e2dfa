//! What is said to the directory, and what it answers.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use whipcord_identity::{Epoch, Incarnation, Owner, SessionId, StreamName, WorkerAddress, WorkerId, WorkerNumber};

use crate::{SESSIONS_PER_STREAM_MAX, SESSIONS_PER_WORKER_MAX, WORKERS_MAX};

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
    pub(crate) incarnation: Incarnation,
    pub(crate) serial: u64,
}

/// What a worker carries, as it says itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub sessions: u32,
    pub packets_per_second: u64,
    /// Of all it may use, in percent.
    pub cpu: u8,
}

/// A worker whose lease lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    pub hello: Hello,
    pub health: Health,
    /// Live sessions and reservations, as far as the directory knows.
    pub sessions: usize,
    pub load: Load,
}

/// How much a worker can be relied on while its lease lives. One without a lease is dead, and not in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Alive,
    /// Its report stream broke: nothing is placed there, but what lives there is kept.
    Suspect,
    /// It serves what lives there, and takes nothing new.
    Draining,
    /// It reports, and takes nothing before a controller has told it where encoders reach it.
    Unaddressed,
}

/// The workers, as last heard of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Shared by all who look at the same moment.
    pub workers: Arc<Vec<Worker>>,
    pub freshness: Freshness,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    Current,
    /// The directory has not been heard of for longer than a lease lasts: these are the last known, who is missing may live, and who
    /// is named may not.
    Stale,
}

/// Who owns which session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub sid: SessionId,
    pub stream: StreamName,
    pub owner: Owner,
}

/// A session its worker names, and whether its stream may have several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    pub session: Session,
    pub takeover: Takeover,
    /// Its encoder has been: so it has its answer, which is given after the commit. Until then it takes no stream from another.
    pub heard: bool,
}

/// What a publisher of a stream that is held gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Takeover {
    /// The stream: its holder is ended.
    #[default]
    Replace,
    /// Nothing, as long as the holder lives.
    Reject,
    /// A session beside the holder's.
    Several,
}

/// A session to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    pub sid: SessionId,
    pub stream: StreamName,
    pub worker: WorkerId,
    pub incarnation: Incarnation,
    pub takeover: Takeover,
    /// Who publishes, as far as can be told: a hash, by which a publisher that lost its stream is known again.
    pub client: Option<u64>,
    /// Places also who lost the stream a moment ago: its holder was found silent.
    pub force: bool,
    /// The epoch that an earlier attempt of the same request was given: a later holder is not replaced.
    pub former: Option<Epoch>,
}

/// What is known of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    Live(Session),
    Absent,
    /// The directory is away, or is being rebuilt: its worker may know.
    Unknown,
}

/// Why a hello is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    #[error("the worker number is another incarnation's: draw again")]
    NumberTaken,
    #[error("the directory holds {WORKERS_MAX} workers, which is its limit")]
    Full,
    #[error(transparent)]
    Unavailable(Unavailable),
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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    #[error("the worker has no lease, is suspect, drains, or has no address")]
    NotAlive,
    #[error("another session holds the stream")]
    Held,
    #[error("the stream has {SESSIONS_PER_STREAM_MAX} sessions, which is the limit")]
    Full,
    /// Its epochs are as far ahead of the clock as they may be.
    #[error("the stream has been placed more than once a second for long: it waits for a second")]
    Hurry,
    #[error("another publisher took the stream from this one a moment ago")]
    Lost { holder: Session },
    #[error("a later request took the stream")]
    Superseded,
    #[error("the directory is being rebuilt: who holds the stream is not known yet")]
    Rebuilding { left: Duration },
    /// It may be reserved. That is a defect, and no outage: nothing is placed as if the directory were away.
    #[error("an answer of the directory is not understood")]
    Unreadable,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a reservation cannot be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    #[error("the reservation was replaced, ended or expired")]
    Lost,
    /// Nobody else took the stream.
    #[error("the worker has no lease any more")]
    NotAlive,
    /// The data were lost since it was placed. Its worker's report makes it known, if nobody else has the stream.
    #[error("the directory is being rebuilt, and knows the reservation no more")]
    Rebuilding,
    /// It may have been committed all the same.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why the directory does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("Redis does not answer")]
    Away,
    #[error("the directory's data are of format {0}, which this version does not know: update this gateway")]
    Newer(u64),
}

impl Placement {
    /// Of which the directory knows nothing yet, because it does not answer. Its worker's report makes it known, and of two that live the
    /// later epoch keeps the stream.
    pub fn without_directory(&self) -> Session {
        self.session(epoch_by_clock())
    }

    pub(crate) fn session(&self, epoch: Epoch) -> Session {
        Session {
            sid: self.sid,
            stream: self.stream.clone(),
            owner: Owner {
                worker: self.worker.clone(),
                incarnation: self.incarnation,
                epoch,
            },
        }
    }
}

/// The clock's seconds since 1970, as an epoch: what a directory that has lost its data is sure to exceed what it gave before with.
pub(crate) fn epoch_by_clock() -> Epoch {
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // Until 2106.
    Epoch(clock.map_or(0, |clock| u32::try_from(clock.as_secs()).unwrap_or(u32::MAX)))
}

/// No epoch is later: one is a second, or one more than the last where two are given in the same second.
pub(crate) fn latest_epoch() -> Epoch {
    Epoch(epoch_by_clock().0.saturating_add(EPOCH_AHEAD))
}

/// How far epochs may run ahead of the clock, in seconds: a stream placed twice a second for ten minutes. As long may a worker keep a
/// stream that names an epoch nobody gave.
const EPOCH_AHEAD: u32 = 600;
