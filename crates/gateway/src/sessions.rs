//! What happens to sessions: made on a worker, found again, ended. HTTP is not known here.

mod create;

use std::{collections::HashMap, sync::Arc};

use tracing::warn;
use whipcord_directory::{Freshness, Health, Hello, Lookup, Session};
use whipcord_identity::{Hint, Owner, SessionId, StreamName, WorkerAddress};
use whipcord_proto::worker::DeleteReason;
use whipcord_whip::etag::EntityTag;

use crate::{
    Shared,
    auth::Bearer,
    problem::{Defect, Error},
    workers::CallError,
};

/// A session to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewSession {
    pub(crate) stream: StreamName,
    pub(crate) offer: Vec<u8>,
    pub(crate) metadata: HashMap<String, String>,
    /// Who publishes, as far as can be told.
    pub(crate) client: u64,
    /// By whose leave.
    pub(crate) bearer: Bearer,
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
    pub(crate) stream: StreamName,
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

    /// Finds the worker with a session's recording, and who made it. A recording outlives the session and the start of the worker that
    /// wrote it: a later start under the same name reads the same folder. While both are listed, the one that wrote it is asked.
    pub(crate) async fn locate_recording(
        &self,
        stream: &StreamName,
        sid: SessionId,
        hint: Option<Hint>,
    ) -> Result<(Hello, Owner), Error> {
        let owner = match (self.directory.lookup(stream, sid).await, hint) {
            (Lookup::Live(session), _) => session.owner,
            (Lookup::Absent | Lookup::Unknown, Some(hint)) => hint.owner,
            (Lookup::Unknown, None) => return Err(Error::DirectoryAway),
            (Lookup::Absent, None) => return Err(Error::NoSuchRecording),
        };
        let workers = self.directory.workers().workers;
        let named = workers.iter().filter(|worker| worker.hello.worker == owner.worker);
        // Of two others one that reports: the silent one is likely to be gone.
        let nearest = named.max_by_key(|worker| {
            let wrote_it = worker.hello.incarnation == owner.incarnation;
            (wrote_it, worker.health != Health::Suspect)
        });
        let worker = nearest.ok_or(Error::NoSuchRecording)?;
        Ok((worker.hello.clone(), owner))
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
        match self.workers.get(&located.address, located.sid, &located.owner).await {
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
}
