//! The end of a worker's service: no new sessions, and those that are left at the deadline ended one after the other.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};
use tracing::info;
use whipcord_peer::EndReason;

use super::Control;

/// From one session's end to the next. Encoders connect again at once, and each handshake costs whoever takes it 0.6 ms: 100 a second
/// are 6 % of a core.
const END_GAP: Duration = Duration::from_millis(10);

/// For all of them, however many: an orchestrator waits little longer than the deadline it was told.
const ENDS_MAX: Duration = Duration::from_secs(10);

impl Control {
    /// Admits no more; ends those that are left from the deadline on, or at once where there is none. Returns how many live now.
    pub(crate) fn drain(self: &Arc<Self>, deadline: Duration) -> usize {
        let sessions = self.sessions.drain();
        info!(sessions, deadline_seconds = deadline.as_secs(), "draining");
        let control = Arc::clone(self);
        self.tasks.spawn(async move {
            let ending = async {
                sleep(deadline).await;
                control.end_all(!deadline.is_zero()).await;
            };
            // At shutdown they are ended anyway.
            control.shutdown.run_until_cancelled(ending).await;
        });
        sessions
    }

    async fn end_all(&self, staggered: bool) {
        let all = self.sessions.all();
        let gap = if staggered { gap(all.len()) } else { Duration::ZERO };
        let mut next = Instant::now();
        for (sid, epoch) in all {
            sleep_until(next).await;
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
