//! Which session a datagram belongs to: by address, else by ufrag, else by SSRC.
//!
//! All three maps are keyed by what strangers choose, so their hashes are seeded; each is bounded by the sessions'
//! own limits. Not here: whether the datagram is authentic.

use std::{collections::HashMap, hash::BuildHasher, net::SocketAddr};

use siphasher::sip::SipHasher13;

use super::SessionKey;

/// Sessions that may share one SSRC: appliances use equal or constant ones. Each is one trial decryption for a packet from
/// an unknown address, hence few.
pub(crate) const SESSIONS_PER_SSRC_MAX: usize = 4;

#[derive(Debug)]
pub(crate) struct Routes {
    by_address: HashMap<SocketAddr, SessionKey, Seeded>,
    by_ufrag: HashMap<String, SessionKey, Seeded>,
    by_ssrc: HashMap<u32, Vec<SessionKey>, Seeded>,
    /// The last answer: datagrams come in bursts from one address.
    last: Option<(SocketAddr, SessionKey)>,
}

impl Routes {
    pub(crate) fn new(seed: u128) -> Self {
        let hasher = Seeded(seed);
        Self {
            by_address: HashMap::with_hasher(hasher.clone()),
            by_ufrag: HashMap::with_hasher(hasher.clone()),
            by_ssrc: HashMap::with_hasher(hasher),
            last: None,
        }
    }

    #[inline]
    pub(crate) fn by_address(&mut self, remote: SocketAddr) -> Option<SessionKey> {
        if let Some((address, key)) = self.last
            && address == remote
        {
            return Some(key);
        }
        let key = *self.by_address.get(&remote)?;
        self.last = Some((remote, key));
        Some(key)
    }

    pub(crate) fn by_ufrag(&self, ufrag: &str) -> Option<SessionKey> {
        self.by_ufrag.get(ufrag).copied()
    }

    /// Copied out, because the caller tries each of them.
    pub(crate) fn by_ssrc(&self, ssrc: u32) -> [Option<SessionKey>; SESSIONS_PER_SSRC_MAX] {
        let mut found = [None; SESSIONS_PER_SSRC_MAX];
        let keys = self.by_ssrc.get(&ssrc).map_or(&[][..], Vec::as_slice);
        for (slot, key) in found.iter_mut().zip(keys) {
            *slot = Some(*key);
        }
        found
    }

    /// Whether another session than this one has the SSRC.
    pub(crate) fn is_foreign(&self, ssrc: u32, key: SessionKey) -> bool {
        self.by_ssrc
            .get(&ssrc)
            .is_some_and(|keys| keys.iter().any(|other| *other != key))
    }

    /// The newest owner of an address has it: an encoder may come back from the same port.
    pub(crate) fn learn_address(&mut self, remote: SocketAddr, key: SessionKey) {
        self.by_address.insert(remote, key);
        self.last = None;
    }

    /// Forgets the address, unless it is another session's by now.
    pub(crate) fn forget_address(&mut self, remote: SocketAddr, key: SessionKey) {
        if self.by_address.get(&remote) == Some(&key) {
            self.by_address.remove(&remote);
        }
        self.last = None;
    }

    pub(crate) fn learn_ufrag(&mut self, ufrag: &str, key: SessionKey) {
        self.by_ufrag.insert(ufrag.to_owned(), key);
    }

    pub(crate) fn forget_ufrag(&mut self, ufrag: &str) {
        self.by_ufrag.remove(ufrag);
    }

    /// A fifth session with the same SSRC is not found by it: it is healed by its next STUN check instead.
    pub(crate) fn learn_ssrc(&mut self, ssrc: u32, key: SessionKey) {
        let keys = self.by_ssrc.entry(ssrc).or_default();
        if keys.len() < SESSIONS_PER_SSRC_MAX && !keys.contains(&key) {
            keys.push(key);
        }
    }

    pub(crate) fn forget_ssrc(&mut self, ssrc: u32, key: SessionKey) {
        if let Some(keys) = self.by_ssrc.get_mut(&ssrc) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.by_ssrc.remove(&ssrc);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.by_address.is_empty() && self.by_ufrag.is_empty() && self.by_ssrc.is_empty() && self.last.is_none()
    }
}

/// SipHash-1-3 under a key of ours: collisions cannot be made from outside.
#[derive(Clone)]
struct Seeded(u128);

impl std::fmt::Debug for Seeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seeded(***)")
    }
}

impl BuildHasher for Seeded {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.0.to_le_bytes())
    }
}
