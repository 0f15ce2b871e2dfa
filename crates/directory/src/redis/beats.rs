//! Beats, gathered: a thousand workers cost Redis as many commands as one.

use std::sync::{Mutex, Weak};

use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{CHUNK, Redis, wire};
use crate::{
    lock,
    values::{Lease, Unavailable},
};

/// What waits for the next renewal.
#[derive(Debug, Default)]
pub(super) struct Beats {
    /// Owned by the `Redis`; held for one push, never across an await. As many as report streams.
    waiting: Mutex<Vec<Waiting>>,
}

/// What became of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// It goes on. The directory knows so many sessions of its worker, reservations among them.
    Renewed {
        known: usize,
    },
    Over,
}

#[derive(Debug)]
struct Waiting {
    lease: Lease,
    answer: oneshot::Sender<Result<Renewal, Unavailable>>,
}

impl Beats {
    /// By the next renewal of all.
    pub(super) async fn renew(&self, lease: Lease) -> Result<Renewal, Unavailable> {
        let (answer, answered) = oneshot::channel();
        lock(&self.waiting).push(Waiting { lease, answer });
        answered.await.unwrap_or(Err(Unavailable::Away))
    }
}

/// Renews, until `stop` or until nobody needs it.
pub(super) async fn run(redis: Weak<Redis>, stop: CancellationToken) {
    let Some(timing) = redis.upgrade().map(|redis| redis.timing) else {
        return;
    };
    let mut ticks = interval(timing.batch());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let Some(redis) = redis.upgrade() else { return };
        let mut waiting = std::mem::take(&mut *lock(&redis.beats.waiting));
        while !waiting.is_empty() {
            let rest = waiting.split_off(waiting.len().min(CHUNK));
            redis.renew(std::mem::replace(&mut waiting, rest)).await;
        }
    }
}

impl Redis {
    async fn renew(&self, waiting: Vec<Waiting>) {
        let mut arguments = Vec::new();
        let mut told = Vec::new();
        {
            let mut reporters = lock(&self.reporters);
            for Waiting { lease, answer } in waiting {
                let Some(beat) = reporters.renewal(&lease) else {
                    // It said hello again, or a change could not be told, while it waited.
                    let _ = answer.send(Err(Unavailable::Away));
                    continue;
                };
                arguments.extend([
                    lease.incarnation.to_string(),
                    lease.serial.to_string(),
                    beat.changes.to_string(),
                    beat.load.sessions.to_string(),
                    beat.load.packets_per_second.to_string(),
                    beat.load.cpu.to_string(),
                    wire::health(beat.health).to_owned(),
                    beat.number.map_or_else(|| "-".to_owned(), |number| number.to_string()),
                ]);
                told.push(answer);
            }
        }
        if told.is_empty() {
            return;
        }
        let reply = self.link.run(&self.link.scripts.beats, &[], &arguments).await;
        let read = |known: String| match known.parse() {
            Ok(known) => Renewal::Renewed { known },
            Err(_) => Renewal::Over,
        };
        let renewals: Result<Vec<Renewal>, Unavailable> = reply.map(|reply| reply.texts().map(read).collect());
        for (n, answer) in told.into_iter().enumerate() {
            let one = match &renewals {
                Ok(all) => all.get(n).copied().ok_or(Unavailable::Away),
                Err(error) => Err(*error),
            };
            // Nobody waits any more where the report stream ended.
            let _ = answer.send(one);
        }
    }
}
