//! What happens to sessions: made on a worker, found again, ended. HTTP is not known here.

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;
use tracing::{info, warn};
use whipcord_directory::{CommitError, Session, Worker};
use whipcord_identity::{Epoch, Hint, Owner, Power, SessionId, StreamName, WorkerAddress, WorkerId};
use whipcord_proto::worker::{self as proto, CreateSessionRequest, CreateSessionResponse, DeleteReason};
use whipcord_whip::etag::EntityTag;

use crate::{
    Shared,
    limits::{CREATE_ATTEMPT_TIMEOUT, CREATE_ATTEMPTS_MAX, CREATE_TIMEOUT, PAGE_MAX, STATS_SESSIONS_MAX},
    placement,
    problem::{Defect, Error},
    random,
    workers::CallError,
};

/// Workers asked for one session at the same moment.
const ASKED_AT_ONCE: usize = 32;

/// A session to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewSession {
    pub(crate) stream: StreamName,
    pub(crate) offer: Vec<u8>,
    pub(crate) metadata: HashMap<String, String>,
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

/// A recording is named by it, and a file whose name begins with `-` is taken for an option.
fn new_sid() -> SessionId {
    loop {
        let sid = SessionId::new(random::bytes());
        if !sid.to_string().starts_with('-') {
            return sid;
        }
    }
}

/// How asking one worker ended, without a session.
enum Failure {
    /// The POST is over.
    Final(Error),
    /// Another worker may do.
    Elsewhere(Error),
}

impl Shared {
    /// Makes a session on a worker that takes it, and gives it its stream. Runs to its end even when the encoder goes away, so
    /// that nothing is left half done.
    pub(crate) async fn create(self: &Arc<Self>, new: NewSession) -> Result<Created, Error> {
        let shared = Arc::clone(self);
        self.tasks
            .spawn(async move { shared.create_somewhere(&new).await })
            .await
            .map_err(|_| Defect::Task)?
    }

    async fn create_somewhere(self: &Arc<Self>, new: &NewSession) -> Result<Created, Error> {
        let deadline = Instant::now() + CREATE_TIMEOUT;
        let holder = self.holder(&new.stream).await;
        let mut tried = Vec::new();
        let mut last = Error::NoWorker;
        while tried.len() < CREATE_ATTEMPTS_MAX && Instant::now() < deadline {
            if !tried.is_empty() && self.holder(&new.stream).await.is_some_and(|now| Some(now) != holder) {
                // A later POST took the stream while a worker kept this one waiting: it is not taken back.
                return Err(Error::Superseded);
            }
            let draw = u64::from_ne_bytes(random::bytes());
            let workers = self.directory.workers().await;
            let Some(worker) = placement::choose(workers, &tried, [draw as u32, (draw >> 32) as u32]) else {
                break;
            };
            tried.push(worker.hello.incarnation);
            match self.create_on(worker, new, deadline).await {
                Ok(created) => return Ok(created),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Elsewhere(error)) => last = error,
            }
        }
        Err(last)
    }

    async fn holder(&self, stream: &StreamName) -> Option<SessionId> {
        self.directory.by_stream(stream).await.map(|session| session.sid)
    }

    /// Under an id of its own for each worker: two of which one answers too late never hold the same session.
    async fn create_on(
        self: &Arc<Self>,
        worker: Worker,
        new: &NewSession,
        deadline: Instant,
    ) -> Result<Created, Failure> {
        let sid = new_sid();
        let hello = worker.hello;
        let owner = Owner {
            worker: hello.worker,
            incarnation: hello.incarnation,
            epoch: Epoch(1),
        };
        let session = Session {
            sid,
            stream: new.stream.clone(),
            owner: owner.clone(),
        };
        self.directory
            .place(session.clone())
            .await
            .map_err(|_| Failure::Elsewhere(Error::NoWorker))?;

        let request = CreateSessionRequest {
            session_id: sid.as_bytes().to_vec(),
            stream: new.stream.to_string(),
            offer: new.offer.clone(),
            owner: Some((&owner).into()),
            metadata: new.metadata.clone(),
        };
        let limit = CREATE_ATTEMPT_TIMEOUT.min(deadline.saturating_duration_since(Instant::now()));
        let response = match self.workers.create(&hello.address, request, limit).await {
            Ok(response) => response,
            Err(error) => return Err(self.create_failed(session, &hello.address, error).await),
        };
        let hint = Hint {
            owner,
            address: hello.address,
        };
        self.take_stream(session, hint, response).await.map_err(Failure::Final)
    }

    /// The worker has the session; now the stream becomes its own.
    async fn take_stream(
        self: &Arc<Self>,
        session: Session,
        hint: Hint,
        response: CreateSessionResponse,
    ) -> Result<Created, Error> {
        let Ok(etag) = EntityTag::new(&response.ice_session) else {
            self.abandon(session, &hint.address).await;
            return Err(Defect::EntityTag.into());
        };
        match self.directory.commit(session.sid).await {
            Ok(None) => {}
            Ok(Some(replaced)) => self.end_replaced(replaced).await,
            Err(CommitError::Lost) => {
                self.abandon(session, &hint.address).await;
                return Err(Error::Superseded);
            }
        }
        let Session { sid, stream, owner } = session;
        info!(%sid, %stream, worker = %owner.worker, "session placed");
        let hint = hint.seal(Power::Publish, &self.keys, &stream, sid, random::bytes());
        Ok(Created {
            sid,
            hint,
            answer: response.answer,
            etag,
        })
    }

    async fn create_failed(self: &Arc<Self>, session: Session, address: &WorkerAddress, error: CallError) -> Failure {
        match error {
            CallError::Refused(refusal) => {
                self.directory.release(session.sid).await;
                Failure::Final(Error::Refused(refusal))
            }
            CallError::Full => {
                warn!(worker = %session.owner.worker, stream = %session.stream, "a worker has as many sessions as it may (--sessions-max)");
                self.directory.release(session.sid).await;
                Failure::Elsewhere(Error::NoWorker)
            }
            CallError::NotOwner => {
                self.directory.bury(session.owner.incarnation).await;
                Failure::Elsewhere(Error::NoWorker)
            }
            // It may have made the session, and its answer may have been lost.
            CallError::Unavailable | CallError::TimedOut => {
                warn!(worker = %session.owner.worker, sid = %session.sid, %error, "a worker did not take a session");
                self.abandon(session, address).await;
                Failure::Elsewhere(Error::WorkerAway(error))
            }
            CallError::NotFound | CallError::Stale | CallError::Unknown | CallError::Defect { .. } => {
                self.abandon(session, address).await;
                Failure::Elsewhere(Defect::Worker(error).into())
            }
        }
    }

    /// Finds a session's worker: by the directory, else by the hint of its URL.
    ///
    /// A hint to an incarnation without a lease leads nowhere: it is dead.
    pub(crate) async fn locate(
        &self,
        stream: &StreamName,
        sid: SessionId,
        hint: Option<Hint>,
    ) -> Result<Located, Error> {
        let (owner, source) = self.owner(stream, sid, hint).await.ok_or(Error::NoSuchSession)?;
        let worker = self
            .directory
            .worker(owner.incarnation)
            .await
            .ok_or(Error::NoSuchSession)?;
        Ok(Located {
            sid,
            owner,
            address: worker.hello.address,
            source,
        })
    }

    /// Finds the worker with a session's recording, which outlives the session and the start of the worker that wrote it.
    pub(crate) async fn locate_recording(
        &self,
        stream: &StreamName,
        sid: SessionId,
        hint: Option<Hint>,
    ) -> Result<Located, Error> {
        let (owner, source) = self.owner(stream, sid, hint).await.ok_or(Error::NoSuchRecording)?;
        let mut workers = self.directory.workers().await.into_iter().map(|worker| worker.hello);
        let worker = workers.find(|hello| hello.worker == owner.worker);
        let worker = worker.ok_or(Error::NoSuchRecording)?;
        Ok(Located {
            sid,
            owner,
            address: worker.address,
            source,
        })
    }

    async fn owner(&self, stream: &StreamName, sid: SessionId, hint: Option<Hint>) -> Option<(Owner, Source)> {
        match (self.directory.by_sid(sid).await, hint) {
            (Some(session), _) if session.stream == *stream => Some((session.owner, Source::Directory)),
            (None, Some(hint)) => Some((hint.owner, Source::Hint)),
            (Some(_) | None, _) => None,
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
                self.directory.release(*sid).await;
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
                self.directory.release(located.sid).await;
                Error::NoSuchSession
            }
            CallError::NotOwner => {
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
        self.directory.release(session.sid).await;
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
        let workers = self.directory.workers().await;
        let asked = stream::iter(workers).map(async |worker| {
            let session = self.workers.get(&worker.hello.address, sid).await.ok()?;
            Some((worker, session))
        });
        let mut answers = std::pin::pin!(asked.buffer_unordered(ASKED_AT_ONCE));
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
        let mut workers = self.directory.workers().await;
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
        for worker in self.directory.workers().await {
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
