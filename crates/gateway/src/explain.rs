//! Why a session does not deliver, or why there is none: asked of all workers and gateways, and said in one diagnosis. HTTP is not
//! known here.
//!
//! The directory does not know where a session was once it has ended, and need not: to ask every worker is one small call to each, of
//! which a gateway does 10,000 a second, whenever an operator asks. A hint for each session that ended would be a write to Redis for
//! each, 55 a second where 200,000 sessions last an hour, and 20 MB, for questions that nearly never come.

mod diagnosis;
mod facts;
mod refused;

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};
use tracing::warn;
use whipcord_directory::{Freshness, Worker};
use whipcord_identity::{SessionId, StreamName, WorkerId};
use whipcord_proto::{
    convert,
    worker::{ExplainSessionResponse, explain_session_request as proto},
};

pub(crate) use self::{diagnosis::Diagnosis, refused::Refused};
use self::{
    diagnosis::{before_end, diagnose},
    facts::Facts,
};
use crate::{
    Shared,
    problem::Error,
    refusals::Noted,
    workers::{CallError, incarnation},
};

/// A worker answers within a millisecond; an operator waits no longer for those that do not.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Workers asked at the same moment: a rack of hosts that hang does not keep the others from being asked.
const ASKED_MAX: usize = 256;

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Session(SessionId),
    Stream(StreamName),
}

#[derive(Debug)]
pub(crate) struct Explanation {
    pub(crate) diagnosis: Diagnosis,
    /// What was the matter before somebody ended it.
    pub(crate) before_end: Option<Diagnosis>,
    /// Absent where no worker that answers knows one.
    pub(crate) session: Option<Told>,
    /// Of its stream, the last first.
    pub(crate) refused: Vec<Noted>,
    /// What other gateways refused is among them.
    pub(crate) refused_is_complete: bool,
    pub(crate) unanswered: Vec<WorkerId>,
}

/// A session, as its worker told of it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) worker: WorkerId,
    pub(crate) sid: SessionId,
    pub(crate) stream: StreamName,
    pub(crate) response: ExplainSessionResponse,
}

/// What the workers said.
#[derive(Default)]
struct Answers {
    told: Vec<Told>,
    unanswered: Vec<WorkerId>,
    dead: Vec<WorkerId>,
}

impl Shared {
    pub(crate) async fn explain(&self, subject: Subject) -> Result<Explanation, Error> {
        let answers = self.ask_all(&subject).await;
        let orphaned = self.orphaned(&subject);
        let newest = newest(answers.told);
        let stream = match (&newest, subject) {
            (Some(told), _) => Some(told.stream.clone()),
            (None, Subject::Stream(stream)) => Some(stream),
            (None, Subject::Session(_)) => None,
        };
        let (refused, refused_is_complete) = match stream {
            Some(stream) => self.refusals_of(&stream).await,
            None => (Vec::new(), true),
        };
        // A session that lives says more than what strangers were refused; of what is over the last counts.
        let refused_last = refused.iter().find(|noted| noted.reason.method == "POST");
        let refused_last = refused_last.filter(|noted| match (&newest, &orphaned) {
            (Some(told), _) => told.ended().is_some_and(|ended| noted.age < ended),
            (None, Some((_, placed))) => noted.age < *placed,
            (None, None) => true,
        });
        let mut unanswered = answers.unanswered;
        let (diagnosis, before_end) = match (&newest, refused_last, orphaned) {
            (_, Some(noted), _) => (Diagnosis::Refused(noted.reason.refused), None),
            (Some(told), None, _) => told.judge(),
            (None, None, Some((worker, _))) => {
                unanswered.push(worker);
                (Diagnosis::WorkerDied, None)
            }
            (None, None, None) if !unanswered.is_empty() => (Diagnosis::WorkerAway, None),
            (None, None, None) if !answers.dead.is_empty() => {
                unanswered = answers.dead;
                (Diagnosis::WorkerDied, None)
            }
            (None, None, None) => return Err(Error::NothingKnown),
        };
        unanswered.sort();
        unanswered.dedup();
        Ok(Explanation {
            diagnosis,
            before_end,
            session: newest,
            refused,
            refused_is_complete,
            unanswered,
        })
    }

    /// The worker that this gateway gave it to, and how long ago, where that start of the worker is no more.
    fn orphaned(&self, subject: &Subject) -> Option<(WorkerId, Duration)> {
        let (owner, age) = self.placed.find(subject)?;
        let view = self.directory.workers();
        let is_there = |worker: &Worker| worker.hello.incarnation == owner.incarnation;
        let is_gone = view.freshness == Freshness::Current && !view.workers.iter().any(is_there);
        is_gone.then_some((owner.worker, age))
    }

    async fn ask_all(&self, subject: &Subject) -> Answers {
        let deadline = Instant::now() + ANSWER_MAX;
        let workers = self.directory.workers().workers.to_vec();
        let mut awaited: Vec<WorkerId> = workers.iter().map(|worker| worker.hello.worker.clone()).collect();
        let asked = stream::iter(workers).map(async |worker| {
            let answer = self.ask(&worker, subject).await;
            (worker.hello.worker, answer)
        });
        let mut answered = std::pin::pin!(asked.buffer_unordered(ASKED_MAX));
        let mut answers = Answers::default();
        while let Ok(Some((worker, answer))) = timeout_at(deadline, answered.next()).await {
            if let Some(at) = awaited.iter().position(|awaited| *awaited == worker) {
                awaited.swap_remove(at);
            }
            match answer {
                Ok(response) => answers.told.extend(Told::new(worker, response)),
                Err(CallError::NotFound) => {}
                Err(CallError::Dead) => answers.dead.push(worker),
                Err(error) => {
                    warn!(%worker, %error, "a worker does not say what it knows of a session");
                    answers.unanswered.push(worker);
                }
            }
        }
        answers.unanswered.extend(awaited);
        answers
    }

    async fn ask(&self, worker: &Worker, subject: &Subject) -> Result<ExplainSessionResponse, CallError> {
        let subject = match subject {
            Subject::Session(sid) => proto::Subject::SessionId(sid.as_bytes().to_vec()),
            Subject::Stream(stream) => proto::Subject::Stream(stream.to_string()),
        };
        let owner = incarnation(&worker.hello);
        let answer = self
            .workers
            .explain(&worker.hello.address, subject, &owner, ANSWER_MAX)
            .await;
        self.heard(owner.incarnation, answer).await
    }
}

impl Told {
    fn new(worker: WorkerId, response: ExplainSessionResponse) -> Option<Self> {
        let session = response.session.as_ref()?;
        Some(Self {
            worker,
            sid: convert::session_id(&session.session_id).ok()?,
            stream: convert::stream(&session.stream).ok()?,
            response,
        })
    }

    fn created_at_ms(&self) -> u64 {
        self.response
            .session
            .as_ref()
            .map_or(0, |session| session.created_at_ms)
    }

    /// How long ago.
    pub(crate) fn ended(&self) -> Option<Duration> {
        self.response.ended_ms.map(Duration::from_millis)
    }

    fn judge(&self) -> (Diagnosis, Option<Diagnosis>) {
        let (facts, age) = (Facts::new(&self.response), Duration::from_millis(self.response.age_ms));
        (diagnose(&facts, age), before_end(&facts, age))
    }
}

/// Of those that live the one created last; else of those that ended.
fn newest(told: Vec<Told>) -> Option<Told> {
    told.into_iter()
        .max_by_key(|told| (told.response.ended_ms.is_none(), told.created_at_ms()))
}

/// What is said of a session goes to terminals: no control characters of whoever may have written it.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).collect()
}
