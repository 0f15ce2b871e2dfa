//! What operators ask of all workers at once: sessions found, listed and ended by their ids, workers drained. HTTP is not known here.
//!
//! A worker that does not answer is no proof of anything: what could not be asked is said, and never taken for what is not there.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt as _, stream};
use tracing::{info, warn};
use whipcord_directory::{Freshness, Lookup, Worker};
use whipcord_identity::{Epoch, Incarnation, Owner, SessionId, WorkerId};
use whipcord_proto::{
    convert,
    worker::{self as proto, DeleteReason},
};

use crate::{
    Shared,
    limits::{PAGE_MAX, STATS_SESSIONS_MAX},
    problem::Error,
    sessions::{Located, Source},
    workers::{CallError, incarnation},
};

/// Workers asked at the same moment.
const ASKED_MAX: usize = 32;

/// The live state of sessions.
#[derive(Debug)]
pub(crate) struct Listing {
    /// With the worker of each.
    pub(crate) sessions: Vec<(WorkerId, proto::Session)>,
    /// Workers that did not answer, or not to the end.
    pub(crate) unanswered: Vec<WorkerId>,
    /// There are more than fit.
    pub(crate) cut: bool,
}

/// What came of a drain of all incarnations of a worker.
#[derive(Debug)]
pub(crate) struct Drained {
    /// That live there.
    pub(crate) sessions: u32,
    /// Those that may not have heard of it.
    pub(crate) unanswered: Vec<Incarnation>,
}

/// Who wants something done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    Operator,
    Controller,
}

/// A worker that says it has a session.
#[derive(Debug)]
struct Claim {
    worker: Worker,
    session: proto::Session,
    owner: Owner,
}

/// One worker's pages.
struct Pages {
    sessions: Vec<proto::Session>,
    end: End,
}

/// How they ended.
enum End {
    Last,
    /// As many as fit.
    Cut,
    /// With an error, or with what is no list.
    Broken,
}

impl Shared {
    /// A call's outcome, after an incarnation that it found dead is buried.
    pub(crate) async fn heard<T>(
        &self,
        incarnation: Incarnation,
        outcome: Result<T, CallError>,
    ) -> Result<T, CallError> {
        if let Err(CallError::Dead) = outcome {
            self.directory.bury(incarnation).await;
        }
        outcome
    }

    /// A session by its id alone, also for a minute after its end.
    pub(crate) async fn find(&self, sid: SessionId) -> Result<(Worker, proto::Session), Error> {
        let claims = self.claims(sid).await?;
        let living = claims.iter().position(|claim| claim.session.end_reason.is_empty());
        let claim = claims
            .into_iter()
            .nth(living.unwrap_or(0))
            .ok_or(Error::NoSuchSession)?;
        Ok((claim.worker, claim.session))
    }

    /// Ends a session because an operator wants it: wherever it may be.
    pub(crate) async fn end_for_operator(&self, sid: SessionId) -> Result<(), Error> {
        let mut ended = Err(Error::NoSuchSession);
        for claim in self.claims(sid).await? {
            let located = Located {
                sid,
                stream: convert::stream(&claim.session.stream).map_err(|_| Error::NoSuchSession)?,
                owner: claim.owner,
                address: claim.worker.hello.address,
                source: Source::Directory,
            };
            let outcome = self.end(&located, DeleteReason::Operator).await;
            if ended.is_err() {
                ended = outcome;
            }
        }
        ended
    }

    /// Who has a session. Every worker is asked, because the directory knows sessions by their streams; and then the directory, whether
    /// the stream's session is that one's: its word counts, and without it everybody's.
    async fn claims(&self, sid: SessionId) -> Result<Vec<Claim>, Error> {
        let view = self.directory.workers();
        let asked = stream::iter(view.workers.to_vec()).map(async |worker| {
            let owner = incarnation(&worker.hello);
            let answer = self.workers.get(&worker.hello.address, sid, &owner).await;
            let answer = self.heard(owner.incarnation, answer).await;
            (worker, owner, answer)
        });
        let mut answers = std::pin::pin!(asked.buffer_unordered(ASKED_MAX));
        let (mut claims, mut failed) = (Vec::new(), None);
        while let Some((worker, owner, answer)) = answers.next().await {
            match answer {
                Ok(session) => {
                    let Ok(stream) = convert::stream(&session.stream) else {
                        continue;
                    };
                    let owner = Owner {
                        epoch: Epoch(session.epoch),
                        ..owner
                    };
                    match self.directory.lookup(&stream, sid).await {
                        Lookup::Live(known) if known.owner.incarnation == owner.incarnation => {
                            return Ok(vec![Claim {
                                worker,
                                session,
                                owner: known.owner,
                            }]);
                        }
                        Lookup::Live(_) => {
                            warn!(%sid, worker = %worker.hello.worker, "a worker claims another's session");
                        }
                        Lookup::Absent | Lookup::Unknown => claims.push(Claim { worker, session, owner }),
                    }
                }
                Err(CallError::NotFound | CallError::Dead) => {}
                Err(error) => {
                    warn!(%sid, worker = %worker.hello.worker, %error, "a worker does not say whether it has a session");
                    failed.get_or_insert(error);
                }
            }
        }
        match failed {
            Some(error) if claims.is_empty() => Err(Error::WorkerAway(error)),
            None if claims.is_empty() && view.freshness == Freshness::Stale => Err(Error::DirectoryAway),
            _ => Ok(claims),
        }
    }

    /// Tells every incarnation of a worker to drain: an error of one is no reason to leave the others.
    pub(crate) async fn drain(
        &self,
        worker: &WorkerId,
        deadline_seconds: u32,
        asking: Asking,
    ) -> Result<Drained, Error> {
        let mut workers = self.directory.workers().workers.to_vec();
        workers.retain(|listed| listed.hello.worker == *worker);
        let (mut sessions, mut unanswered, mut failed) = (None, Vec::new(), None);
        for Worker { hello, .. } in workers {
            let owner = incarnation(&hello);
            let drained = self.workers.drain(&hello.address, &owner, deadline_seconds).await;
            match self.heard(hello.incarnation, drained).await {
                Ok(living) => sessions = Some(sessions.unwrap_or(0_u32).saturating_add(living)),
                // Nothing lives there.
                Err(CallError::Dead) => {}
                Err(error) => {
                    warn!(%worker, incarnation = %hello.incarnation, %error, "a worker does not drain");
                    unanswered.push(hello.incarnation);
                    failed.get_or_insert(error);
                }
            }
        }
        match (sessions, failed) {
            (Some(sessions), _) => {
                let who = match asking {
                    Asking::Operator => "an operator",
                    Asking::Controller => "a controller",
                };
                info!(%worker, deadline_seconds, sessions, "{who} drains a worker");
                Ok(Drained { sessions, unanswered })
            }
            (None, Some(error)) => Err(Error::WorkerAway(error)),
            (None, None) => Err(Error::NoSuchWorker),
        }
    }

    /// The live state of all sessions, or of those of one worker.
    pub(crate) async fn list(&self, only: Option<&WorkerId>) -> Listing {
        let mut workers = self.directory.workers().workers.to_vec();
        workers.retain(|worker| only.is_none_or(|only| worker.hello.worker == *only));
        let room = AtomicUsize::new(STATS_SESSIONS_MAX);
        let room = &room;
        let asked = stream::iter(workers).map(async |worker| {
            let pages = self.pages(&worker, room).await;
            (worker.hello.worker, pages)
        });
        let mut answers = std::pin::pin!(asked.buffer_unordered(ASKED_MAX));
        let mut listing = Listing {
            sessions: Vec::new(),
            unanswered: Vec::new(),
            cut: false,
        };
        while let Some((worker, pages)) = answers.next().await {
            let sessions = pages.sessions.into_iter();
            listing
                .sessions
                .extend(sessions.map(|session| (worker.clone(), session)));
            match pages.end {
                End::Last => {}
                End::Cut => listing.cut = true,
                End::Broken => listing.unanswered.push(worker),
            }
        }
        listing.unanswered.sort();
        listing.unanswered.dedup();
        listing
    }

    /// One worker's sessions, as far as there is room. Pages follow each other in the order of their ids: what does not go on is no
    /// list, and would never end.
    async fn pages(&self, worker: &Worker, room: &AtomicUsize) -> Pages {
        let hello = &worker.hello;
        let owner = incarnation(hello);
        let (mut sessions, mut page_token, mut last) = (Vec::new(), String::new(), Vec::new());
        let end = loop {
            let page = self.workers.list(&hello.address, &owner, page_token, PAGE_MAX).await;
            let page = match self.heard(hello.incarnation, page).await {
                Ok(page) => page,
                // Whoever is there now is listed under its own incarnation.
                Err(CallError::Dead) => break End::Last,
                Err(error) => {
                    warn!(worker = %hello.worker, %error, "a worker does not list its sessions");
                    break End::Broken;
                }
            };
            let Some(greatest) = page.sessions.iter().map(|session| session.session_id.clone()).max() else {
                break End::Last;
            };
            if greatest <= last {
                warn!(worker = %hello.worker, "a worker lists its sessions again and again");
                break End::Broken;
            }
            last = greatest;
            let taken = take(room, page.sessions.len());
            let is_cut = taken < page.sessions.len();
            sessions.extend(page.sessions.into_iter().take(taken));
            page_token = page.next_page_token;
            match (is_cut, page_token.is_empty()) {
                (true, _) => break End::Cut,
                (false, true) => break End::Last,
                (false, false) => {}
            }
        };
        Pages { sessions, end }
    }
}

/// So many of those wanted as there is room for.
fn take(room: &AtomicUsize, wanted: usize) -> usize {
    let taken = room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        Some(left.saturating_sub(wanted))
    });
    // It never refuses: this is what was left before.
    taken.map_or(0, |left| left.min(wanted))
}
