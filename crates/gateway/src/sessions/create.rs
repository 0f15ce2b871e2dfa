//! A session is made: a worker chosen, its stream reserved, the worker asked, the stream taken.

use std::{sync::Arc, time::Duration};

use opentelemetry::trace::FutureExt as _;
use tokio::{
    sync::SemaphorePermit,
    time::{Instant, sleep, sleep_until},
};
use tracing::{info, warn};
use whipcord_directory::{CommitError, Health, PlaceError, Placement, Session, Takeover, Worker};
use whipcord_identity::{Epoch, Hint, Incarnation, Power, SessionId, WorkerAddress};
use whipcord_proto::worker::{CreateSessionRequest, CreateSessionResponse};
use whipcord_whip::etag::EntityTag;

use super::{Created, NewSession};
use crate::{
    Shared,
    auth::Bearer,
    limits::{
        CREATE_ATTEMPT_TIMEOUT, CREATE_ATTEMPTS_MAX, CREATE_REST, CREATE_TIMEOUT, RETRY_AFTER, ROOM_LOOK, ROOM_WAIT,
    },
    placement,
    problem::{Defect, Error},
    random,
    shares::Share,
    trace,
    workers::CallError,
};

/// How asking one worker ended, without a session.
enum Failure {
    /// The POST is over.
    Final(Error),
    /// Another worker may do.
    Elsewhere(Error),
    /// As many sessions live there as may: another worker may do, or this one in a moment.
    Full,
}

/// What is looked for a worker by.
struct Search<'s> {
    bearer: Bearer,
    /// Asked, in vain: not again.
    tried: Vec<Incarnation>,
    /// Said that they are full since the last look: not before the next.
    full: Vec<Incarnation>,
    /// Among those that wait, once it had to.
    place: Option<(Share<Bearer>, SemaphorePermit<'s>)>,
}

/// What a session is made by.
enum Place {
    Reserved(Session),
    /// The directory does not answer: whoever else has the stream, the later epoch keeps it.
    Unknown(Session),
}

impl Place {
    fn session(&self) -> &Session {
        match self {
            Self::Reserved(session) | Self::Unknown(session) => session,
        }
    }
}

impl Shared {
    /// Makes a session on a worker that takes it, and gives it its stream. Runs to its end even when the encoder goes away, so
    /// that nothing is left half done.
    pub(crate) async fn create(self: &Arc<Self>, new: NewSession) -> Result<Created, Error> {
        let shared = Arc::clone(self);
        self.tasks
            .spawn(async move { shared.create_measured(&new).await }.with_current_context())
            .await
            .map_err(|_| Defect::Task)?
    }

    async fn create_measured(self: &Arc<Self>, new: &NewSession) -> Result<Created, Error> {
        let begun = Instant::now();
        let mut search = Search {
            bearer: new.bearer,
            tried: Vec::new(),
            full: Vec::new(),
            place: None,
        };
        trace::place(&new.stream, async {
            let outcome = self.create_somewhere(new, begun, &mut search).await;
            let attempts = search.tried.len();
            self.metrics.placed(attempts, outcome.as_ref().err(), begun.elapsed());
            (outcome, attempts)
        })
        .await
    }

    async fn create_somewhere<'s>(
        self: &'s Arc<Self>,
        new: &NewSession,
        begun: Instant,
        search: &mut Search<'s>,
    ) -> Result<Created, Error> {
        let deadline = begun + CREATE_TIMEOUT;
        let mut former = None;
        let mut last = Error::NoWorker;
        while search.tried.len() < CREATE_ATTEMPTS_MAX && Instant::now() < deadline {
            let Some(worker) = self.worker_with_room(search, begun + ROOM_WAIT).await else {
                break;
            };
            let asked = worker.hello.incarnation;
            search.tried.push(asked);
            match self.create_on(worker, new, &mut former, deadline).await {
                Ok(created) => return Ok(created),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Elsewhere(error)) => last = error,
                Err(Failure::Full) => {
                    search.tried.pop();
                    search.full.push(asked);
                }
            }
        }
        Err(last)
    }

    /// Waits for one until then. `None` at once where as many POSTs wait as may, or of this bearer. Between two looks no more say that
    /// they are full than are asked for one POST: the view is behind them all, and asking a thousand brings no room.
    async fn worker_with_room<'s>(&'s self, search: &mut Search<'s>, until: Instant) -> Option<Worker> {
        let choose = |search: &Search<'_>| {
            let draw = u64::from_ne_bytes(random::bytes());
            let workers = self.directory.workers().workers;
            let random = [draw as u32, (draw >> 32) as u32];
            let passed = [search.tried.as_slice(), &search.full].concat();
            placement::choose(&workers, &passed, self.config.placement, random).cloned()
        };
        if search.full.len() < CREATE_ATTEMPTS_MAX
            && let Some(worker) = choose(search)
        {
            return Some(worker);
        }
        if search.place.is_none() {
            let share = self.waiting_by_bearer.take(search.bearer)?;
            search.place = Some((share, self.waiting.try_acquire().ok()?));
        }
        while Instant::now() < until {
            sleep(ROOM_LOOK).await;
            search.full.clear();
            if let Some(worker) = choose(search) {
                return Some(worker);
            }
        }
        None
    }

    /// Under an id of its own for each worker: two of which one answers too late never hold the same session. `former` is the epoch of
    /// the last attempt: a later POST that took the stream while a worker kept this one waiting is not replaced.
    async fn create_on(
        self: &Arc<Self>,
        worker: Worker,
        new: &NewSession,
        former: &mut Option<Epoch>,
        deadline: Instant,
    ) -> Result<Created, Failure> {
        let is_reporting = worker.health == Health::Alive;
        let hello = worker.hello;
        let placement = Placement {
            sid: new_sid(),
            stream: new.stream.clone(),
            worker: hello.worker.clone(),
            incarnation: hello.incarnation,
            takeover: self.config.takeover(&new.stream),
            client: Some(new.client),
            force: false,
            former: *former,
        };
        let place = self.reserve(&placement, deadline).await?;
        let Session { sid, owner, .. } = place.session();
        *former = Some(owner.epoch);
        let request = CreateSessionRequest {
            session_id: sid.as_bytes().to_vec(),
            stream: new.stream.to_string(),
            offer: new.offer.clone(),
            owner: Some(owner.into()),
            metadata: new.metadata.clone(),
        };
        let limit = CREATE_ATTEMPT_TIMEOUT.min(deadline.saturating_duration_since(Instant::now()));
        let response = match self.workers.create(&hello.address, request, limit).await {
            Ok(response) => response,
            Err(error) => {
                // One that was killed a moment ago is seen so, too; one that reports on has told a wrong address.
                if is_reporting && matches!(error, CallError::Dead) && self.rates.may_log() {
                    warn!(
                        "worker {} reports, but nobody, or another process, answers at {}: check its --grpc-advertise and the firewall",
                        place.session().owner.worker,
                        hello.address
                    );
                }
                return Err(self.create_failed(place.session().clone(), &hello.address, error).await);
            }
        };
        self.take_stream(place, placement.takeover, hello.address, response)
            .await
    }

    async fn reserve(&self, placement: &Placement, deadline: Instant) -> Result<Place, Failure> {
        let refused = match self.place_when_rebuilt(placement, deadline - CREATE_REST).await {
            Ok(session) => return Ok(Place::Reserved(session)),
            Err(refused) => refused,
        };
        let error = match refused {
            PlaceError::NotAlive => return Err(Failure::Elsewhere(Error::NoWorker)),
            PlaceError::Unavailable(error) if self.config.places_without_directory(placement.takeover, error) => {
                warn!(stream = %placement.stream, %error, "placing a session without the directory");
                return Ok(Place::Unknown(placement.without_directory()));
            }
            PlaceError::Unavailable(_) => Error::DirectoryAway,
            PlaceError::Held => Error::Held,
            PlaceError::Full => Error::StreamFull,
            // An epoch is a second: the next one is free then.
            PlaceError::Hurry => Error::TooManyRequests {
                retry_after: RETRY_AFTER,
            },
            PlaceError::Lost { .. } => Error::LostStream,
            PlaceError::Superseded => Error::Superseded,
            PlaceError::Rebuilding { .. } => Error::Rebuilding,
            PlaceError::Unreadable => Defect::Directory.into(),
        };
        Err(Failure::Final(error))
    }

    /// Waits until the directory knows whether anybody has the stream, if that is soon. Answers at once where as many POSTs wait as may.
    async fn place_when_rebuilt(&self, placement: &Placement, until: Instant) -> Result<Session, PlaceError> {
        let until = until.min(Instant::now() + ROOM_WAIT);
        let mut permit = None;
        loop {
            let placed = self.place(placement.clone()).await;
            let Err(PlaceError::Rebuilding { left }) = placed else {
                return placed;
            };
            if permit.is_none() {
                permit = self.waiting.try_acquire().ok();
            }
            if permit.is_none() || Instant::now() >= until {
                return placed;
            }
            // Its clock's milliseconds are rounded down.
            sleep_until(until.min(Instant::now() + left + Duration::from_millis(1))).await;
        }
    }

    /// The worker has the session; now the stream becomes its own.
    async fn take_stream(
        self: &Arc<Self>,
        place: Place,
        takeover: Takeover,
        address: WorkerAddress,
        response: CreateSessionResponse,
    ) -> Result<Created, Failure> {
        let session = place.session().clone();
        let Ok(etag) = EntityTag::new(&response.ice_session) else {
            self.abandon(session, &address).await;
            return Err(Failure::Final(Defect::EntityTag.into()));
        };
        if let Place::Reserved(_) = place {
            match self.directory.commit(&session).await {
                Ok(all) => {
                    for replaced in all {
                        self.end_replaced(replaced).await;
                    }
                }
                // The worker's report makes it known.
                Err(CommitError::Unavailable(error)) if self.config.places_without_directory(takeover, error) => {}
                Err(CommitError::Unavailable(_)) => {
                    self.abandon(session, &address).await;
                    return Err(Failure::Final(Error::DirectoryAway));
                }
                // The data were lost meanwhile. Who may replace, and who stands beside others, need not know who else there is.
                Err(CommitError::Rebuilding) if takeover != Takeover::Reject => {}
                Err(CommitError::Rebuilding) => {
                    self.abandon(session, &address).await;
                    return Err(Failure::Final(Error::Rebuilding));
                }
                // It made the session, but the cluster does not hear it any more.
                Err(CommitError::NotAlive) => {
                    self.abandon(session, &address).await;
                    return Err(Failure::Elsewhere(Error::NoWorker));
                }
                Err(CommitError::Lost) => {
                    self.abandon(session, &address).await;
                    return Err(Failure::Final(Error::Superseded));
                }
            }
        }
        self.placed.note(&session);
        let Session { sid, stream, owner } = session;
        info!(%sid, %stream, worker = %owner.worker, "session placed");
        let hint = Hint { owner, address }.seal(Power::Publish, &self.keys, &stream, sid, random::bytes());
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
                self.directory.release(&session).await;
                Failure::Final(Error::Refused(refusal))
            }
            CallError::Full => {
                warn!(worker = %session.owner.worker, stream = %session.stream, "a worker has as many sessions as it may (--sessions-max)");
                self.directory.release(&session).await;
                Failure::Full
            }
            CallError::Dead => {
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
