//! Snapshots in turn. A thousand workers tell all at once when a gateway or Redis comes back: as one queue on the connection that is
//! seconds long, and every call behind it, a POST's too, would be late and taken for a lost connection.

use std::time::Duration;

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::{Redis, beats::Renewal};
use crate::{
    lock,
    values::{Lease, ReportError, Unavailable},
};

/// Chunks on the connection at once: of 500 sessions, 20 µs each, so that a POST waits for 20 ms. One would leave Redis idle while its
/// answer travels.
const AT_ONCE: usize = 2;

#[derive(Debug)]
pub(super) struct Turns(Semaphore);

/// The right to send one chunk, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'r>(#[expect(dead_code, reason = "held, not used")] SemaphorePermit<'r>);

impl Default for Turns {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Redis {
    /// Waits for one. The worker cannot beat meanwhile, because its reports are applied in order; so its lease is renewed here. Where
    /// Redis is away turns come fast: nothing is sent.
    pub(super) async fn turn(&self, lease: &Lease) -> Result<Turn<'_>, ReportError> {
        let mut coming = std::pin::pin!(self.turns.0.acquire());
        let pause: Duration = self.timing.lease / 3;
        let mut beats = interval_at(Instant::now() + pause, pause);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                permit = &mut coming => return Ok(Turn(permit.expect("the semaphore is never closed"))),
                _ = beats.tick() => {}
            }
            lock(&self.reporters).standing(lease).ok_or(ReportError::Expired)?;
            match self.beats.renew(lease.clone()).await {
                Ok(Renewal::Renewed { .. }) | Err(Unavailable::Away) => {}
                Ok(Renewal::Over) | Err(Unavailable::Newer(_)) => return Err(self.expired(lease)),
            }
        }
    }
}
