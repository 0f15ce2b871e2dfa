//! What was spent between two moments.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    gateway::Gateway,
    redis::{Redis, Spent},
    tls::Traffic,
};

/// All counters at a moment.
pub(crate) struct Sample {
    at: Instant,
    redis: Spent,
    gateway: Duration,
    sent: u64,
    received: u64,
}

/// What was spent in a time, or for one of many; CPU in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) seconds: f64,
    pub(crate) commands: f64,
    /// In scripts, by Redis's own clock.
    pub(crate) script: f64,
    pub(crate) redis: f64,
    pub(crate) gateway: f64,
    /// Bytes of reports.
    pub(crate) sent: f64,
    /// Bytes of what gateways answer them.
    pub(crate) received: f64,
}

impl Sample {
    pub(crate) async fn take(redis: &mut Redis, gateway: &Gateway, traffic: &Arc<Traffic>) -> anyhow::Result<Self> {
        Ok(Self {
            at: Instant::now(),
            redis: redis.spent().await?,
            gateway: gateway.cpu()?,
            sent: traffic.sent.load(Ordering::Relaxed),
            received: traffic.received.load(Ordering::Relaxed),
        })
    }

    pub(crate) fn until(&self, later: &Self) -> Span {
        let micros = |before: Duration, after: Duration| after.saturating_sub(before).as_secs_f64() * 1e6;
        Span {
            seconds: (later.at - self.at).as_secs_f64(),
            commands: (later.redis.commands - self.redis.commands) as f64,
            script: micros(self.redis.script, later.redis.script),
            redis: micros(self.redis.cpu, later.redis.cpu),
            gateway: micros(self.gateway, later.gateway),
            sent: (later.sent - self.sent) as f64,
            received: (later.received - self.received) as f64,
        }
    }
}

impl Span {
    /// Without what would have been spent in this time anyway.
    pub(crate) fn beyond(&self, idle: &Self) -> Self {
        let share = self.seconds / idle.seconds;
        Self {
            seconds: self.seconds,
            commands: self.commands - idle.commands * share,
            script: self.script - idle.script * share,
            redis: self.redis - idle.redis * share,
            gateway: self.gateway - idle.gateway * share,
            sent: self.sent - idle.sent * share,
            received: self.received - idle.received * share,
        }
    }

    /// For one of so many.
    pub(crate) fn each(&self, count: usize) -> Self {
        self.over(count as f64)
    }

    /// For each second.
    pub(crate) fn per_second(&self) -> Self {
        self.over(self.seconds)
    }

    fn over(&self, parts: f64) -> Self {
        Self {
            seconds: self.seconds / parts,
            commands: self.commands / parts,
            script: self.script / parts,
            redis: self.redis / parts,
            gateway: self.gateway / parts,
            sent: self.sent / parts,
            received: self.received / parts,
        }
    }
}
