//! The addresses that lead to one session, each with when it was proven last.

use std::{net::SocketAddr, time::Instant};

/// Paths an encoder tries, and the places a NAT moved it to.
const MAX: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Addresses {
    /// In the order they were learned; each with the time of the last check, or of the media, that proved it.
    proven: Vec<(SocketAddr, Instant)>,
}

impl Addresses {
    /// A session that continues from a checkpoint knows the address of its path.
    pub(super) fn adopted(now: Instant, current: Option<SocketAddr>) -> Self {
        Self {
            proven: current.into_iter().map(|address| (address, now)).collect(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = SocketAddr> {
        self.proven.iter().map(|(address, _)| *address)
    }

    pub(super) fn proven(&self, address: SocketAddr) -> Option<Instant> {
        let known = self.proven.iter().find(|(known, _)| *known == address);
        known.map(|(_, proven)| *proven)
    }

    /// Gives back the one that has to go for it: the one learned first, but never `current`.
    pub(super) fn learn(
        &mut self,
        now: Instant,
        address: SocketAddr,
        current: Option<SocketAddr>,
    ) -> Option<SocketAddr> {
        if let Some((_, proven)) = self.proven.iter_mut().find(|(known, _)| *known == address) {
            *proven = now;
            return None;
        }
        let forgotten = (self.proven.len() >= MAX)
            .then(|| self.proven.iter().position(|(known, _)| Some(*known) != current))
            .flatten()
            .map(|first| self.proven.remove(first).0);
        self.proven.push((address, now));
        forgotten
    }
}
