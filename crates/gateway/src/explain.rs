//! Why a session does not deliver, or why there is none: asked of all workers and gateways, and said in one diagnosis. HTTP is not
//! known here.
//!
//! The directory does not know where a session was once it has ended, and need not: to ask every worker is one small call to each, of
//! which a gateway does 10,000 a second, whenever an operator asks. A hint for each session that ended would be a write to Redis for
//! each, 55 a second where 200,000 sessions last an hour, and 20 MB, for questions that nearly never come.

mod conclusion;
mod diagnosis;
mod facts;

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};
use tracing::debug;
use whipcord_directory::{Freshness, Worker};
use whipcord_identity::{SessionId, StreamName, WorkerId};
use whipcord_proto::{
    convert,
    worker::{ExplainSessionResponse, explain_session_request as proto},
};

pub(crate) use self::diagnosis::Diagnosis;
use self::{
    conclusion::{Conclusion, Known, conclude},
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
/// Of one session: twice what workers keep of one; what is more nobody reads.
const MOMENTS_MAX: usize = 64;

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
        let stream = match (&newest, &subject) {
            (Some(told), _) => Some(&told.stream),
            (None, Subject::Stream(stream)) => Some(stream),
            (None, Subject::Session(_)) => None,
        };
        let (refused, refused_is_complete) = match stream {
            Some(stream) => self.refusals_of(stream).await,
            None => (Vec::new(), true),
        };
        let known = Known {
            subject: &subject,
            session: newest.as_ref(),
            orphaned,
            refused: &refused,
            unanswered: answers.unanswered,
            dead: answers.dead,
        };
        let Conclusion {
            diagnosis,
            before_end,
            unanswered,
        } = conclude(known).ok_or(Error::NothingKnown)?;
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
                Ok(response) => answers.told.extend(Told::new(worker, subject, response)),
                Err(CallError::NotFound) => {}
                Err(CallError::Dead) => answers.dead.push(worker),
                Err(error) => {
                    // Named in the answer; an operator may ask every second.
                    debug!(%worker, %error, "a worker does not say what it knows of a session");
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
    /// None of another session than was asked for.
    fn new(worker: WorkerId, subject: &Subject, mut response: ExplainSessionResponse) -> Option<Self> {
        response.timeline.truncate(MOMENTS_MAX);
        let session = response.session.as_ref()?;
        let sid = convert::session_id(&session.session_id).ok()?;
        let stream = convert::stream(&session.stream).ok()?;
        let is_asked = match subject {
            Subject::Session(asked) => *asked == sid,
            Subject::Stream(asked) => *asked == stream,
        };
        is_asked.then_some(Self {
            worker,
            sid,
            stream,
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

/// What is said of a session goes to terminals: nothing of whoever may have written it that those take for commands, or that turns the
/// direction of a line (UAX #9) so that it reads as another.
pub(crate) fn printable(text: &str) -> String {
    let is_bidi =
        |character| matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let shown = text
        .chars()
        .filter(|character| !character.is_control() && !is_bidi(*character));
    shown.collect()
}
