//! The cluster's Redis: one of its own, or whatever a test says.

use std::net::SocketAddr;

use super::Cluster;
use crate::redis::Redis;

const PORT: u16 = 6379;

impl Cluster {
    /// Starts Redis, for the first time or again, always empty.
    ///
    /// # Panics
    /// When there is no redis-server: `tests/install test` installs it.
    pub fn start_redis(&mut self) {
        self.kill_redis();
        self.redis = Some(Redis::start(self.redis_address(0), &[]));
    }

    /// SIGKILL.
    pub fn kill_redis(&mut self) {
        self.redis = None;
    }

    /// The one that [`Cluster::start_redis`] started.
    ///
    /// # Panics
    /// When it does not run.
    pub fn redis(&self) -> &Redis {
        self.redis.as_ref().expect("Redis runs")
    }

    /// One command; its answer is not looked at.
    pub fn tell_redis(&self, command: &str) {
        self.redis().ask(command);
    }

    /// Gateways that are started from now on are told this URL of Redis.
    pub fn use_redis(&mut self, url: String) {
        self.redis_url = url;
    }

    /// An address for a test's nth server of Redis; the first is [`Cluster::start_redis`]'s.
    pub fn redis_address(&self, n: u8) -> SocketAddr {
        address(self.network, n)
    }
}

/// Its servers have the addresses from 200 on.
pub(super) fn address(network: [u8; 3], n: u8) -> SocketAddr {
    (super::address(network, 200 + n), PORT).into()
}
