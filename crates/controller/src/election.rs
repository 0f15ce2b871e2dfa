//! Which of several controllers leads: who holds a Lease of Kubernetes.
//!
//! Pure. No clock of another machine is believed: how old a holder's word is, is counted from when it was first seen here (as Kubernetes'
//! own components do). The leader stops before the others may begin.

use std::time::{Duration, Instant};

/// After so long without a word from its holder, another takes it.
pub(crate) const DURATION: Duration = Duration::from_secs(15);
/// A leader that could not renew for so long leads no more: 5 s before another does, more than any call it has begun may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
/// Between two looks.
pub(crate) const RETRY: Duration = Duration::from_secs(2);

/// The Lease, as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Empty where it was given back.
    pub(crate) holder: String,
    pub(crate) duration: Duration,
    /// Another one with every word of the holder's.
    pub(crate) version: String,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Create,
    /// Take it from a holder that is silent, or from none.
    Take,
    Renew,
    Wait,
}

/// One candidate's memory.
#[derive(Debug)]
pub(crate) struct Candidate {
    name: String,
    seen: Option<(Seen, Instant)>,
}

impl Candidate {
    pub(crate) fn new(name: String) -> Self {
        Self { name, seen: None }
    }

    /// After it was read; `None` where there is none.
    pub(crate) fn step(&mut self, read: Option<Seen>, now: Instant) -> Step {
        let Some(read) = read else {
            self.seen = None;
            return Step::Create;
        };
        let first_seen = match &self.seen {
            Some((seen, at)) if *seen == read => *at,
            _ => now,
        };
        let age = now.saturating_duration_since(first_seen);
        let step = if read.holder == self.name {
            Step::Renew
        } else if read.holder.is_empty() || age >= read.duration {
            Step::Take
        } else {
            Step::Wait
        };
        self.seen = Some((read, first_seen));
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(holder: &str, version: &str) -> Option<Seen> {
        Some(Seen {
            holder: holder.to_owned(),
            duration: DURATION,
            version: version.to_owned(),
        })
    }

    #[test]
    fn what_nobody_holds_is_taken_and_ones_own_renewed() {
        let (mut me, now) = (Candidate::new("a".to_owned()), Instant::now());
        assert_eq!(me.step(None, now), Step::Create);
        assert_eq!(me.step(seen("", "1"), now), Step::Take);
        // Of a former start under the same name, too.
        assert_eq!(me.step(seen("a", "2"), now), Step::Renew);
    }

    #[test]
    fn anothers_is_taken_when_it_was_silent_for_its_duration_by_our_own_clock() {
        let (mut me, begun) = (Candidate::new("a".to_owned()), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(me.step(seen("b", "1"), at(0)), Step::Wait, "however old it says to be");
        assert_eq!(me.step(seen("b", "1"), at(14)), Step::Wait);
        assert_eq!(me.step(seen("b", "2"), at(14)), Step::Wait);
        assert_eq!(me.step(seen("b", "2"), at(28)), Step::Wait, "it spoke 14 s ago");
        assert_eq!(me.step(seen("b", "2"), at(29)), Step::Take);
        assert_eq!(me.step(seen("c", "3"), at(30)), Step::Wait, "another was faster");
    }

    #[test]
    fn a_leader_stops_before_another_begins() {
        // A call that began at the last moment, too.
        assert!(DEADLINE + crate::CALL_MAX <= DURATION);
        assert!(RETRY * 3 < DEADLINE, "two renewals may fail");
    }
}
