//! What happens to sessions: made on a worker, found again, ended. HTTP is not known here.

mod create;

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt as _, stream};
use tracing::{info, warn};
use whipcord_directory::{Freshness, Lookup, Session, Worker};
use whipcord_identity::{Epoch, Hint, Owner, SessionId, StreamName, WorkerAddress, WorkerId};
use whipcord_proto::{
    convert,
    worker::{self as proto, DeleteReason},
};
use whipcord_whip::etag::EntityTag;

use crate::{
    Shared,
    limits::{PAGE_MAX, STATS_SESSIONS_MAX},
    problem::{Defect, Error},
    workers::CallError,
};

/// Workers asked for one session at the same moment.
const ASKED_MAX: usize = 32;

/// A session to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewSession {
    pub(crate) stream: StreamName,
    pub(crate) offer: Vec<u8>,
    pub(crate) metadata: HashMap<String, String>,
    /// Who publishes, as far as can be told.
    pub(crate) client: u64,
}

/// A session as its encoder is told of it.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) sid: SessionId,
    /// Sealed: a capability.
    pub(crate) hint: String,
    pub(crate) answer: String,
    pub(crate) etag: EntityTag,
}

/// Where a session lives.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub(crate) sid: SessionId,
    stream: StreamName,
    pub(crate) owner: Owner,
    pub(crate) address: WorkerAddress,
    pub(crate) source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// It lives.
    Directory,
    /// It lived when its URL was made.
    Hint,
}

impl Located {
    fn session(&self) -> Session {
        Session {
            sid: self.sid,
            stream: self.stream.clone(),
            owner: self.owner.clone(),
        }
    }
}

impl Shared {
    /// Finds a session's worker: by the directory, else by the hint of its URL.
    ///
    /// A hint to an incarnation without a lease leads nowhere: it is dead. While the directory does not answer or does not know yet,
    /// the hint is all there is, and the worker itself says whether the session lives.
    pub(crate) async fn locate(
        &self,
        stream: &StreamName,
        sid: SessionId,
        hint: Option<Hint>,
    ) -> Result<Located, Error> {
        let (owner, address, source) = match (self.directory.lookup(stream, sid).await, hint) {
            (Lookup::Live(session), hint) => {
                let hinted = hint.filter(|hint| hint.owner.incarnation == session.owner.incarnation);
                (session.owner, hinted.map(|hint| hint.address), Source::Directory)
            }
            (Lookup::Unknown, Some(hint)) => (hint.owner, Some(hint.address), Source::Hint),
            (Lookup::Unknown, None) => return Err(Error::DirectoryAway),
            (Lookup::Absent, Some(hint)) => (hint.owner, None, Source::Hint),
            (Lookup::Absent, None) => return Err(Error::NoSuchSession),
        };
        let address = match address {
            Some(address) => address,
            None => self.address_of(&owner).await?,
        };
        Ok(Located {
            sid,
            stream: stream.clone(),
            owner,
            address,
            source,
        })
    }

    /// Finds the worker with a session's recording, which outlives the session and the start of the worker that wrote it.
    pub(crate) async fn locate_recording(
        &self,
        stream: &StreamName,
        sid: SessionId,
        hint: Option<Hint>,
    ) -> Result<(WorkerAddress, Owner), Error> {
        let owner = match (self.directory.lookup(stream, sid).await, hint) {
            (Lookup::Live(session), _) => session.owner,
            (Lookup::Absent | Lookup::Unknown, Some(hint)) => hint.owner,
            (Lookup::Unknown, None) => return Err(Error::DirectoryAway),
            (Lookup::Absent, None) => return Err(Error::NoSuchRecording),
        };
        let workers = self.directory.workers().workers;
        let worker = workers.iter().find(|worker| worker.hello.worker == owner.worker);
        let worker = worker.ok_or(Error::NoSuchRecording)?;
        Ok((worker.hello.address.clone(), owner))
    }

    async fn address_of(&self, owner: &Owner) -> Result<WorkerAddress, Error> {
        match self.directory.worker(owner.incarnation).await {
            Some(worker) => Ok(worker.hello.address),
            None if self.directory.workers().freshness == Freshness::Stale => Err(Error::DirectoryAway),
            None => Err(Error::NoSuchSession),
        }
    }

    /// Makes sure that a located session lives, for answers that are not the worker's.
    pub(crate) async fn confirm(&self, located: &Located) -> Result<(), Error> {
        if located.source == Source::Directory {
            return Ok(());
        }
        match self.workers.get(&located.address, located.sid).await {
            Ok(session) if session.end_reason.is_empty() => Ok(()),
            Ok(_) => Err(Error::NoSuchSession),
            Err(error) => Err(self.call_failed(located, error).await),
        }
    }

    /// Ends a session.
    pub(crate) async fn end(&self, located: &Located, reason: DeleteReason) -> Result<(), Error> {
        let Located {
            sid, owner, address, ..
        } = located;
        match self.workers.delete(address, *sid, owner, reason).await {
            Ok(()) => {
                self.directory.release(&located.session()).await;
                Ok(())
            }
            Err(error) => Err(self.call_failed(located, error).await),
        }
    }

    /// What a failed call about a session says about it.
    pub(crate) async fn call_failed(&self, located: &Located, error: CallError) -> Error {
        match error {
            CallError::Refused(refusal) => Error::Refused(refusal),
            CallError::NotFound => {
                self.directory.release(&located.session()).await;
                Error::NoSuchSession
            }
            CallError::Dead => {
                self.directory.bury(located.owner.incarnation).await;
                Error::NoSuchSession
            }
            CallError::Stale => Error::IfMatchStale,
            CallError::Unavailable | CallError::TimedOut => Error::WorkerAway(error),
            CallError::Full | CallError::Unknown | CallError::Defect { .. } => Defect::Worker(error).into(),
        }
    }

    /// Ends a session that lost its stream.
    pub(crate) async fn end_replaced(self: &Arc<Self>, session: Session) {
        if let Some(worker) = self.directory.worker(session.owner.incarnation).await {
            self.delete_in_background(session, worker.hello.address, DeleteReason::Replaced);
        }
    }

    /// Gives up a session whose encoder never learns of it.
    async fn abandon(self: &Arc<Self>, session: Session, address: &WorkerAddress) {
        self.directory.release(&session).await;
        self.delete_in_background(session, address.clone(), DeleteReason::Abandoned);
    }

    fn delete_in_background(self: &Arc<Self>, session: Session, address: WorkerAddress, reason: DeleteReason) {
        let shared = Arc::clone(self);
        self.tasks.spawn(async move {
            let Session { sid, stream, owner } = session;
            match shared.workers.delete(&address, sid, &owner, reason).await {
                Ok(()) | Err(CallError::NotFound) => {}
                // Its encoder has been replaced or has heard nothing: the worker ends it for want of media.
                Err(error) => warn!(%sid, %stream, %error, "cannot end a session"),
            }
        });
    }

    /// A session by its id alone: every worker is asked, because the directory knows sessions by their streams.
    pub(crate) async fn find(&self, sid: SessionId) -> Result<(Worker, proto::Session), Error> {
        let workers = self.directory.workers().workers.to_vec();
        let asked = stream::iter(workers).map(async |worker| {
            let session = self.workers.get(&worker.hello.address, sid).await.ok()?;
            Some((worker, session))
        });
        let mut answers = std::pin::pin!(asked.buffer_unordered(ASKED_MAX));
        while let Some(answer) = answers.next().await {
            if let Some(found) = answer {
                return Ok(found);
            }
        }
        Err(Error::NoSuchSession)
    }

    /// Ends a session because an operator wants it.
    pub(crate) async fn end_for_operator(&self, sid: SessionId) -> Result<(), Error> {
        let (worker, session) = self.find(sid).await?;
        let located = Located {
            sid,
            stream: convert::stream(&session.stream).map_err(|_| Error::NoSuchSession)?,
            owner: Owner {
                worker: worker.hello.worker,
                incarnation: worker.hello.incarnation,
                epoch: Epoch(session.epoch),
            },
            address: worker.hello.address,
            source: Source::Directory,
        };
        self.end(&located, DeleteReason::Operator).await
    }

    /// Tells every incarnation of a worker to drain. Returns how many sessions live there.
    pub(crate) async fn drain(&self, worker: &WorkerId, deadline_seconds: u32) -> Result<u32, Error> {
        let mut workers = self.directory.workers().workers.to_vec();
        workers.retain(|listed| listed.hello.worker == *worker);
        if workers.is_empty() {
            return Err(Error::NoSuchWorker);
        }
        let mut sessions = 0;
        for listed in workers {
            let drained = self.workers.drain(&listed.hello.address, deadline_seconds).await;
            sessions += drained.map_err(Error::WorkerAway)?;
        }
        info!(%worker, deadline_seconds, sessions, "an operator drains a worker");
        Ok(sessions)
    }

    /// The live state of all sessions, of the workers that answer, with the worker of each.
    pub(crate) async fn list(&self) -> Vec<(WorkerId, proto::Session)> {
        let mut all = Vec::new();
        for worker in self.directory.workers().workers.iter() {
            let mut page_token = String::new();
            while all.len() < STATS_SESSIONS_MAX {
                match self.workers.list(&worker.hello.address, page_token, PAGE_MAX).await {
                    Ok(page) => {
                        let of_worker = page.sessions.into_iter();
                        all.extend(of_worker.map(|session| (worker.hello.worker.clone(), session)));
                        page_token = page.next_page_token;
                    }
                    Err(error) => {
                        warn!(worker = %worker.hello.worker, %error, "a worker does not list its sessions");
                        break;
                    }
                }
                if page_token.is_empty() {
                    break;
                }
            }
        }
        all
    }
}
