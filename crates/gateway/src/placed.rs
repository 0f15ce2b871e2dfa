//! Sessions that this gateway placed within the last hour, by their ids and streams: a worker that died has taken what it knew of them
//! with it, and the directory forgets them with its lease.
//!
//! Nothing depends on it but what an operator is told: another gateway says then that nothing is known.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use whipcord_directory::Session;
use whipcord_identity::Owner;

use crate::explain::Subject;

/// As long as workers and gateways know what they tell: it stands beside that in an explanation.
const KEPT: Duration = Duration::from_secs(3600);
/// Of some 150 bytes each, 0.6 MB: an hour of one POST a second. Beyond that the oldest goes first.
const PLACED_MAX: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct Placed(Mutex<VecDeque<(Instant, Session)>>);

impl Placed {
    pub(crate) fn note(&self, session: &Session) {
        let now = Instant::now();
        let mut placed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while placed.len() >= PLACED_MAX || placed.front().is_some_and(|(at, _)| now - *at >= KEPT) {
            placed.pop_front();
        }
        placed.push_back((now, session.clone()));
    }

    /// Who was given it, the last one of a stream, and how long ago.
    pub(crate) fn find(&self, subject: &Subject) -> Option<(Owner, Duration)> {
        let placed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_meant = |session: &Session| match subject {
            Subject::Session(sid) => session.sid == *sid,
            Subject::Stream(stream) => session.stream == *stream,
        };
        let (at, session) = placed.iter().rev().find(|(_, session)| is_meant(session))?;
        let age = at.elapsed();
        (age < KEPT).then(|| (session.owner.clone(), age))
    }
}

#[cfg(test)]
mod tests {
    use whipcord_identity::{Epoch, Incarnation, SessionId};

    use super::*;

    fn session(number: u32, stream: &str) -> Session {
        let mut sid = [0; 16];
        sid[..4].copy_from_slice(&number.to_be_bytes());
        Session {
            sid: SessionId::new(sid),
            stream: stream.parse().unwrap(),
            owner: Owner {
                worker: "worker-0".parse().unwrap(),
                incarnation: Incarnation(number.into()),
                epoch: Epoch(1),
            },
        }
    }

    #[tokio::test(start_paused = true)]
    async fn they_are_known_for_an_hour_and_there_is_a_most() {
        let placed = Placed::default();
        let of = |subject| placed.find(&subject).map(|(owner, _)| owner.incarnation.0);
        let stream = || Subject::Stream("cam".parse().unwrap());
        placed.note(&session(1, "cam"));
        placed.note(&session(2, "cam"));
        assert_eq!(of(stream()), Some(2));
        assert_eq!(of(Subject::Session(session(1, "cam").sid)), Some(1));
        tokio::time::advance(KEPT).await;
        assert_eq!(of(stream()), None);
        (3..10_000).for_each(|number| placed.note(&session(number, "other")));
        assert_eq!(placed.0.lock().unwrap().len(), PLACED_MAX);
    }
}
