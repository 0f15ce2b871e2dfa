//! Which diagnosis counts, of all that workers and gateways know.
//!
//! Pure. What each of them says is not known here.

use std::time::Duration;

use http::Method;
use whipcord_identity::WorkerId;

use super::{Diagnosis, Subject, Told};
use crate::refusals::Noted;

/// What was found out.
pub(super) struct Known<'a> {
    pub(super) subject: &'a Subject,
    /// The one that lives, or ended last.
    pub(super) session: Option<&'a Told>,
    /// Whom this gateway gave it to, how long ago, where that is no more.
    pub(super) orphaned: Option<(WorkerId, Duration)>,
    /// The last first.
    pub(super) refused: &'a [Noted],
    pub(super) unanswered: Vec<WorkerId>,
    pub(super) dead: Vec<WorkerId>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Conclusion {
    pub(super) diagnosis: Diagnosis,
    /// What was the matter before somebody ended it.
    pub(super) before_end: Option<Diagnosis>,
    /// Each once.
    pub(super) unanswered: Vec<WorkerId>,
}

/// None where nothing is known, and everybody answered.
pub(super) fn conclude(known: Known<'_>) -> Option<Conclusion> {
    let refused = refused_last(&known);
    let mut unanswered = known.unanswered;
    let (diagnosis, before_end) = match (known.session, refused, known.orphaned) {
        (_, Some(noted), _) => (Diagnosis::Refused(noted.kind.cause), None),
        (Some(told), None, _) => told.judge(),
        (None, None, Some((worker, _))) => {
            unanswered.push(worker);
            (Diagnosis::WorkerDied, None)
        }
        (None, None, None) if !unanswered.is_empty() => (Diagnosis::Unanswered, None),
        (None, None, None) if !known.dead.is_empty() => {
            unanswered = known.dead;
            (Diagnosis::WorkerDied, None)
        }
        (None, None, None) => return None,
    };
    unanswered.sort();
    unanswered.dedup();
    Some(Conclusion {
        diagnosis,
        before_end,
        unanswered,
    })
}

/// The POST that was refused last, where it says more than the session does: of a stream, after its end. What strangers were refused
/// says something only where there was no session: else whoever knows a stream's name would have the last word on why it ended.
fn refused_last<'a>(known: &Known<'a>) -> Option<&'a Noted> {
    let since = match (known.subject, known.session, &known.orphaned) {
        (Subject::Session(_), _, _) => return None,
        (Subject::Stream(_), Some(told), _) => Some(told.ended()?),
        (Subject::Stream(_), None, Some((_, placed))) => Some(*placed),
        (Subject::Stream(_), None, None) => None,
    };
    let mut posts = known.refused.iter().filter(|noted| noted.kind.method == Method::POST);
    posts.find(|noted| since.is_none_or(|since| noted.proven && noted.age < since))
}

#[cfg(test)]
mod tests {
    use whipcord_identity::SessionId;
    use whipcord_proto::worker::ExplainSessionResponse;

    use super::*;
    use crate::{problem::Error, refusals::Kind};

    fn told(ended: Option<u64>) -> Told {
        Told {
            worker: worker("worker-0"),
            sid: SessionId::new([1; 16]),
            stream: "cam".parse().unwrap(),
            response: ExplainSessionResponse {
                age_ms: 60_000,
                ended_ms: ended.map(|seconds| seconds * 1000),
                ..ExplainSessionResponse::default()
            },
        }
    }

    fn worker(name: &str) -> WorkerId {
        name.parse().unwrap()
    }

    fn noted(method: &Method, error: &Error, proven: bool, age: u64) -> Noted {
        Noted {
            kind: Kind::new(method, error).unwrap(),
            proven,
            age: Duration::from_secs(age),
        }
    }

    /// What is known of a stream, or of a session, and the word for it.
    #[test]
    fn what_came_last_counts_and_no_strangers_word_on_a_session() {
        let stream = Subject::Stream("cam".parse().unwrap());
        let session = Subject::Session(SessionId::new([1; 16]));
        let (lives, ended) = (told(None), told(Some(10)));
        let own = |age| noted(&Method::POST, &Error::NoWorker, true, age);
        let strangers = |age| noted(&Method::POST, &Error::Host, false, age);
        let patch = noted(&Method::PATCH, &Error::NoSuchSession, true, 1);
        let gone = Some((worker("worker-9"), Duration::from_secs(10)));
        let table = [
            (&stream, Some(&lives), None, vec![own(1)], "no_stun"),
            (&stream, Some(&ended), None, vec![own(11)], "no_stun"),
            (&stream, Some(&ended), None, vec![own(9)], "no_worker"),
            (&session, Some(&ended), None, vec![own(9)], "no_stun"),
            (&stream, Some(&ended), None, vec![strangers(1)], "no_stun"),
            (&stream, Some(&ended), None, vec![strangers(1), own(9)], "no_worker"),
            (&stream, Some(&ended), None, vec![patch.clone()], "no_stun"),
            (&stream, None, gone.clone(), vec![strangers(1)], "worker_died"),
            (&stream, None, gone.clone(), vec![own(11)], "worker_died"),
            (&stream, None, gone.clone(), vec![own(9)], "no_worker"),
            (&session, None, gone, vec![], "worker_died"),
            (&stream, None, None, vec![strangers(1), own(2)], "request_refused"),
            (&stream, None, None, vec![patch.clone(), own(2)], "no_worker"),
        ];
        for (n, (subject, session, orphaned, refused, word)) in table.into_iter().enumerate() {
            let known = Known {
                subject,
                session,
                orphaned,
                refused: &refused,
                unanswered: Vec::new(),
                dead: Vec::new(),
            };
            assert_eq!(conclude(known).unwrap().diagnosis.word(), word, "row {n}");
        }
    }

    #[test]
    fn where_nobody_knows_it_those_count_who_did_not_answer() {
        let subject = Subject::Stream("cam".parse().unwrap());
        let (away, dead) = (worker("worker-1"), worker("worker-2"));
        let placed_at = worker("worker-3");
        let gone = Some((placed_at.clone(), Duration::from_secs(10)));
        let table = [
            (
                None,
                vec![&away],
                vec![&dead],
                Some(("workers_unanswered", vec![&away])),
            ),
            (None, vec![], vec![&dead], Some(("worker_died", vec![&dead]))),
            (
                gone,
                vec![&away],
                vec![&dead],
                Some(("worker_died", vec![&away, &placed_at])),
            ),
            (None, vec![], vec![], None),
        ];
        for (orphaned, unanswered, dead, expected) in table {
            let known = Known {
                subject: &subject,
                session: None,
                orphaned,
                refused: &[],
                unanswered: unanswered.into_iter().cloned().collect(),
                dead: dead.into_iter().cloned().collect(),
            };
            let conclusion = conclude(known);
            let said = conclusion
                .as_ref()
                .map(|said| (said.diagnosis.word(), said.unanswered.iter().collect()));
            assert_eq!(said, expected);
        }
    }
}
