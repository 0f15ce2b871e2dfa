//! The end of a worker's service: no new sessions, and those that are left at the deadline ended one after the other.

use std::{sync::Arc, time::Duration};

use opentelemetry::trace::TraceContextExt as _;
use tokio::time::{Instant, timeout_at};
use tracing::info;
use whipcord_peer::EndReason;

use super::Control;
use crate::trace;

/// From one session's end to the next. Encoders connect again at once, and each handshake costs whoever takes it 0.6 ms: 100 a second
/// are 6 % of a core.
const END_GAP: Duration = Duration::from_millis(10);

/// For all of them, however many: an orchestrator waits little longer than the deadline it was told.
const ENDS_MAX: Duration = Duration::from_secs(10);

/// How long those that live may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grace {
    Endless,
    Until(Instant),
    Over,
}

impl Grace {
    fn is_shorter_than(self, other: Self) -> bool {
        match (self, other) {
            (Self::Until(at), Self::Until(other)) => at < other,
            (Self::Until(_), Self::Endless) => true,
            (Self::Over, other) => other != Self::Over,
            (Self::Endless, _) | (Self::Until(_), Self::Over) => false,
        }
    }
}

impl Control {
    /// Admits no more; ends those that are left from the deadline on, of several the earliest, or at once where there is none. Returns
    /// how many live now.
    pub(crate) fn drain(self: &Arc<Self>, deadline: Duration) -> usize {
        let sessions = self.sessions.drain();
        info!(sessions, deadline_seconds = deadline.as_secs(), "draining");
        let asked = if deadline.is_zero() {
            Grace::Over
        } else {
            Grace::Until(Instant::now() + deadline)
        };
        let mut is_first = false;
        self.grace.send_if_modified(|grace| {
            is_first = *grace == Grace::Endless;
            let is_shorter = asked.is_shorter_than(*grace);
            if is_shorter {
                *grace = asked;
            }
            is_shorter
        });
        if is_first {
            let span = trace::drain(self.sessions.page(None, trace::LINKS_MAX).0.iter(), sessions);
            let control = Arc::clone(self);
            self.tasks.spawn(async move {
                // At shutdown they are ended anyway.
                control.shutdown.run_until_cancelled(control.end_all()).await;
                span.span().end();
            });
        }
        sessions
    }

    async fn end_all(&self) {
        let mut grace = self.grace.subscribe();
        loop {
            let Grace::Until(at) = *grace.borrow_and_update() else {
                break;
            };
            if timeout_at(at, grace.changed()).await.is_err() {
                break;
            }
        }
        let all = self.sessions.all();
        let gap = gap(all.len());
        let mut next = Instant::now();
        for (sid, epoch) in all {
            // One after the other, unless somebody has no more patience.
            let _ = timeout_at(next, grace.wait_for(|grace| *grace == Grace::Over)).await;
            next += gap;
            // One that has ended meanwhile is what was wanted.
            let _ = self.close(sid, epoch, EndReason::Drained).await;
        }
    }
}

/// So that this many end in time.
fn gap(sessions: usize) -> Duration {
    END_GAP.min(ENDS_MAX / u32::try_from(sessions).unwrap_or(u32::MAX).max(1))
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        control::tests::{control, handle},
        shard::Command,
    };

    /// When each session was told to end, counted from the drain's beginning.
    async fn ends(control: &Arc<Control>, commands: &mut mpsc::Receiver<Command>, deadline: Duration) -> Vec<Duration> {
        let begun = Instant::now();
        let sessions = control.drain(deadline);
        let mut ends = Vec::new();
        while ends.len() < sessions {
            assert!(matches!(commands.recv().await, Some(Command::Close { .. })));
            ends.push(begun.elapsed());
        }
        ends
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_end_one_after_the_other_from_the_deadline_on() {
        let (handle, mut commands) = handle(256);
        let control = Arc::new(control(handle, 200));
        let ends = ends(&control, &mut commands, Duration::from_secs(60)).await;
        assert!(ends[0] >= Duration::from_secs(60));
        for (first, later) in ends.iter().zip(&ends[100..]) {
            assert!(
                *later - *first >= Duration::from_secs(1),
                "more than 100 within a second: {ends:?}"
            );
        }
        assert!(ends[199] <= Duration::from_secs(63), "{:?}", ends[199]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_deadline_they_end_at_once_also_while_others_are_staggered() {
        let (handle, mut commands) = handle(256);
        let control = Arc::new(control(handle, 200));
        control.drain(Duration::from_secs(1));
        for _ in 0..10 {
            assert!(matches!(commands.recv().await, Some(Command::Close { .. })));
        }
        let begun = Instant::now();
        control.drain(Duration::ZERO);
        for _ in 10..200 {
            assert!(matches!(commands.recv().await, Some(Command::Close { .. })));
        }
        assert!(begun.elapsed() < END_GAP, "{:?}", begun.elapsed());
    }

    #[test]
    fn however_many_there_are_they_end_in_time() {
        for sessions in [0, 1, 100, 1000, 1001, 100_000] {
            let all = gap(sessions) * u32::try_from(sessions).unwrap();
            assert!(gap(sessions) <= END_GAP && all <= ENDS_MAX, "{sessions}: {all:?}");
        }
        assert_eq!(gap(1000), END_GAP);
    }
}
