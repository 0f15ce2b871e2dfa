//! Whether a new session would find room, as the gateways say.

use std::time::{Duration, Instant};

use super::{Health, Listed, Notice};

/// It is said when it has lasted: a worker that starts, or moves its report stream, is away for a moment.
const LASTING: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Capacity {
    #[default]
    Room,
    Full {
        since: Instant,
        is_said: bool,
    },
}

impl Capacity {
    pub(super) fn look(&mut self, workers: &[Listed], now: Instant) -> Option<Notice> {
        let alive = workers.iter().filter(|worker| worker.health == Health::Alive);
        let room: u64 = alive
            .map(|worker| u64::from(worker.sessions_max.saturating_sub(worker.sessions)))
            .sum();
        match (*self, room) {
            (Self::Room, 0) => {
                *self = Self::Full {
                    since: now,
                    is_said: false,
                };
                None
            }
            (Self::Full { since, is_said: false }, 0) if now.saturating_duration_since(since) >= LASTING => {
                *self = Self::Full { since, is_said: true };
                Some(Notice::NoCapacity {
                    workers: workers.len(),
                    sessions: workers.iter().map(|worker| u64::from(worker.sessions)).sum(),
                })
            }
            (Self::Full { .. }, 0) => None,
            (Self::Full { is_said: true, .. }, room) => {
                *self = Self::Room;
                Some(Notice::Capacity { room })
            }
            (Self::Room | Self::Full { .. }, _) => {
                *self = Self::Room;
                None
            }
        }
    }
}
