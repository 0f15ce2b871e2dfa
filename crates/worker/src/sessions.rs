//! The worker's own list of its sessions: who may be admitted, what was answered, what has ended.
//!
//! Owned by the RPC service; the task that reads the shard's notices tells it of ends, the report reads it. The shard never sees it.

mod tombstones;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

use tokio::{sync::watch, time::Instant};
use whipcord_identity::{Epoch, SessionId, StreamName};
use whipcord_proto::worker::Session;
use whipcord_whip::{Credentials, etag::EntityTag, negotiate::Transport};

use crate::snapshot::Info;
use tombstones::Tombstones;

/// SHA-256 of the request that made a session: a repeat has the same.
pub(crate) type Digest = [u8; 32];

#[derive(Debug)]
pub(crate) struct Sessions {
    table: Mutex<Table>,
    sessions_max: usize,
    /// Counts changes of what is reported.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct Table {
    admission: Admission,
    entries: BTreeMap<SessionId, Entry>,
    tombstones: Tombstones,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    Open,
    /// Those that live are served, and none is added.
    Draining,
}

#[derive(Debug)]
struct Entry {
    digest: Digest,
    epoch: Epoch,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// On its way to the shard. The channel brings what it answers; it closes if it does not.
    Creating(watch::Receiver<Option<Created>>),
    Live(Box<Live>),
    /// Told to end; the shard has not said yet that it has.
    Closing(Arc<Info>),
}

/// What a creation was answered, and is again if it is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Created {
    pub(crate) answer: String,
    pub(crate) ice_session: EntityTag,
}

/// A live session, as far as a PATCH needs it.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) info: Arc<Info>,
    pub(crate) created: Created,
    /// The current ICE session.
    pub(crate) ice_session: EntityTag,
    /// The encoder's current ICE credentials.
    pub(crate) remote: Credentials,
    pub(crate) transport: Transport,
    pub(crate) origin: u64,
}

/// How a creation begins.
#[derive(Debug)]
pub(crate) enum Admitted {
    /// Ours to do: report through the channel, and call [`Sessions::establish`] or [`Sessions::abandon`].
    New(watch::Sender<Option<Created>>),
    /// Somebody else's, the same request: what it was or will be answered.
    Same(watch::Receiver<Option<Created>>),
    Done(Created),
}

/// Why no session is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AdmitError {
    #[error("the worker is draining")]
    Draining,
    #[error("the worker has as many sessions as it may")]
    Full,
    #[error("the session id is in use with another offer")]
    OtherOffer,
    #[error("the worker does not know yet where encoders reach it")]
    Unaddressed,
}

/// Why a session cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LookUpError {
    #[error("no such session")]
    NotFound,
    #[error("the session has epoch {0}", .current.0)]
    Stale { current: Epoch },
}

/// What is to be done to end a session.
#[derive(Debug)]
pub(crate) enum Close {
    Now,
    /// It is being made: wait until that is over, and ask again.
    After(watch::Receiver<Option<Created>>),
    /// It has ended, or is about to.
    Over,
}

/// Sessions as a directory is told of them.
pub(crate) type Reported = BTreeMap<SessionId, Standing>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) stream: StreamName,
    pub(crate) epoch: Epoch,
    /// Its encoder has been.
    pub(crate) heard: bool,
}

impl Sessions {
    pub(crate) fn new(sessions_max: usize) -> Self {
        let table = Table {
            admission: Admission::Open,
            entries: BTreeMap::new(),
            tombstones: Tombstones::default(),
        };
        Self {
            table: Mutex::new(table),
            sessions_max,
            changes: watch::Sender::new(0),
        }
    }

    /// Takes a place for a session. The number of places is never exceeded: a session has its own until the shard has said
    /// that it ended.
    pub(crate) fn admit(&self, sid: SessionId, epoch: Epoch, digest: Digest) -> Result<Admitted, AdmitError> {
        let mut table = self.lock();
        if let Some(entry) = table.entries.get(&sid) {
            return match &entry.phase {
                _ if entry.digest != digest => Err(AdmitError::OtherOffer),
                Phase::Creating(created) => Ok(Admitted::Same(created.clone())),
                Phase::Live(live) => Ok(Admitted::Done(live.created.clone())),
                Phase::Closing(_) => Err(AdmitError::OtherOffer),
            };
        }
        if table.tombstones.get(sid, Instant::now()).is_some() {
            return Err(AdmitError::OtherOffer);
        }
        if table.admission == Admission::Draining {
            return Err(AdmitError::Draining);
        }
        if table.entries.len() >= self.sessions_max {
            return Err(AdmitError::Full);
        }
        let (sender, receiver) = watch::channel(None);
        table.entries.insert(
            sid,
            Entry {
                digest,
                epoch,
                phase: Phase::Creating(receiver),
            },
        );
        Ok(Admitted::New(sender))
    }

    /// The shard has made it.
    pub(crate) fn establish(&self, live: Live) {
        let mut table = self.lock();
        // It is no longer there if it has ended already.
        if let Some(entry) = table.entries.get_mut(&live.info.sid) {
            entry.phase = Phase::Live(Box::new(live));
        }
        drop(table);
        self.changed();
    }

    /// The shard has not made it.
    pub(crate) fn abandon(&self, sid: SessionId) {
        self.lock().entries.remove(&sid);
    }

    /// Runs `act` on the live session. It must not wait: the list is locked meanwhile, so that what two requests do to one
    /// session happens in one order here and on the shard.
    pub(crate) fn with_live<T, E: From<LookUpError>>(
        &self,
        sid: SessionId,
        epoch: Epoch,
        act: impl FnOnce(&mut Live) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut table = self.lock();
        match table.find(sid, epoch)? {
            Entry {
                phase: Phase::Live(live),
                ..
            } => act(live),
            Entry {
                phase: Phase::Creating(_) | Phase::Closing(_),
                ..
            } => Err(LookUpError::NotFound.into()),
        }
    }

    /// Begins to end a session. Those that ended within the last minute are found, too.
    pub(crate) fn close(&self, sid: SessionId, epoch: Epoch) -> Result<Close, LookUpError> {
        let mut table = self.lock();
        if table.tombstones.get(sid, Instant::now()).is_some() {
            return Ok(Close::Over);
        }
        let entry = table.find(sid, epoch)?;
        let info = match &entry.phase {
            Phase::Creating(created) => return Ok(Close::After(created.clone())),
            Phase::Closing(_) => return Ok(Close::Over),
            Phase::Live(live) => Arc::clone(&live.info),
        };
        entry.phase = Phase::Closing(info);
        drop(table);
        self.changed();
        Ok(Close::Now)
    }

    /// The shard has ended it: frees its place, and keeps its last state for a minute.
    pub(crate) fn end(&self, sid: SessionId, last: Session) {
        let mut table = self.lock();
        table.entries.remove(&sid);
        table.tombstones.put(sid, last, Instant::now());
        drop(table);
        self.changed();
    }

    /// The last state of a session that ended within the last minute.
    pub(crate) fn ended(&self, sid: SessionId) -> Option<Session> {
        self.lock().tombstones.get(sid, Instant::now()).cloned()
    }

    /// At most `limit` sessions after `after`, in the order of their ids; and whether there are more.
    pub(crate) fn page(&self, after: Option<SessionId>, limit: usize) -> (Vec<Arc<Info>>, bool) {
        use std::ops::Bound::{Excluded, Unbounded};
        let table = self.lock();
        let from = after.map_or(Unbounded, Excluded);
        let mut infos = table
            .entries
            .range((from, Unbounded))
            .filter_map(|(_, entry)| entry.info());
        let page = infos.by_ref().take(limit).cloned().collect();
        (page, infos.next().is_some())
    }

    /// The latest of a stream's that live.
    pub(crate) fn newest_of(&self, stream: &StreamName) -> Option<SessionId> {
        let table = self.lock();
        let infos = table.entries.values().filter_map(Entry::info);
        let of_stream = infos.filter(|info| info.stream == *stream);
        of_stream.max_by_key(|info| info.epoch).map(|info| info.sid)
    }

    /// Of all that have been made and have not ended.
    pub(crate) fn infos(&self) -> Vec<Arc<Info>> {
        self.lock().entries.values().filter_map(Entry::info).cloned().collect()
    }

    pub(crate) fn info(&self, sid: SessionId) -> Option<Arc<Info>> {
        self.lock().entries.get(&sid).and_then(Entry::info).cloned()
    }

    /// Admits no more. Returns how many sessions there are.
    pub(crate) fn drain(&self) -> usize {
        let mut table = self.lock();
        table.admission = Admission::Draining;
        let sessions = table.entries.len();
        drop(table);
        self.changed();
        sessions
    }

    /// Of all that have a place.
    pub(crate) fn count(&self) -> usize {
        self.lock().entries.len()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.lock().admission == Admission::Draining
    }

    /// The ids and epochs of all that may be told to end.
    pub(crate) fn all(&self) -> Vec<(SessionId, Epoch)> {
        self.lock()
            .entries
            .iter()
            .map(|(sid, entry)| (*sid, entry.epoch))
            .collect()
    }

    pub(crate) fn reported(&self) -> Reported {
        let table = self.lock();
        let live = table.entries.iter().filter_map(|(sid, entry)| match &entry.phase {
            Phase::Live(live) => Some((
                *sid,
                Standing {
                    stream: live.info.stream.clone(),
                    epoch: entry.epoch,
                    heard: live.info.heard.load(Ordering::Relaxed),
                },
            )),
            Phase::Creating(_) | Phase::Closing(_) => None,
        });
        live.collect()
    }

    /// Wakes when [`Sessions::reported`] may have changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// A panic while it was held left the table whole: no method leaves it half changed.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn find(&mut self, sid: SessionId, epoch: Epoch) -> Result<&mut Entry, LookUpError> {
        let entry = self.entries.get_mut(&sid).ok_or(LookUpError::NotFound)?;
        if entry.epoch == epoch {
            Ok(entry)
        } else {
            Err(LookUpError::Stale { current: entry.epoch })
        }
    }
}

impl Entry {
    fn info(&self) -> Option<&Arc<Info>> {
        match &self.phase {
            Phase::Creating(_) => None,
            Phase::Live(live) => Some(&live.info),
            Phase::Closing(info) => Some(info),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
