//! Whose a datagram is, and what it brings: the path of every packet.
//!
//! Not here: what is in it (see `peer`), and what is due without one.

use std::{net::SocketAddr, time::Instant};

use super::{Mux, Received, SessionKey};
use crate::{Path, peer::Opened, rtp, stats::DropReason, stun};

impl Mux {
    pub(super) fn receive_stun(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        let Ok(request) = stun::Request::parse(datagram) else {
            return self.dropped.add(DropReason::Malformed);
        };
        let Some(key) = self.routes.by_ufrag(request.local_ufrag()) else {
            return self.dropped.add(DropReason::UnknownUfrag);
        };
        // An authentic check proves whose session it is for, and not where it came from.
        if self.holder(now, path.remote).is_some_and(|holder| holder != key) {
            return self.dropped.add(DropReason::AddressTaken);
        }
        let Some(peer) = self.sessions.get_mut(key) else { return };
        self.serving = Some(key);
        if peer.receive_stun(now, path, &request, &self.certificate, &mut self.outputs.of(key)) {
            self.learn_address(now, path.remote, key);
        }
        self.settle(key);
    }

    /// The session that was heard from this address a moment ago.
    fn holder(&mut self, now: Instant, remote: SocketAddr) -> Option<SessionKey> {
        let key = self.routes.by_address(remote)?;
        self.sessions.get_mut(key)?.holds(now, remote).then_some(key)
    }

    pub(super) fn receive_dtls(&mut self, path: Path, datagram: &[u8]) -> Received<'static> {
        let Some(key) = self.routes.by_address(path.remote) else {
            self.dropped.add(DropReason::UnknownAddress);
            return Received::Nothing;
        };
        let Some(peer) = self.sessions.get_mut(key) else {
            return Received::Nothing;
        };
        if !peer.takes_handshakes_from(&path) {
            peer.dropped.add(DropReason::NotValidated);
            Received::Nothing
        } else if self.handshakes.push(key, datagram, peer.has_data()) {
            Received::Handshake
        } else {
            peer.dropped.add(DropReason::HandshakeQueueFull);
            Received::Nothing
        }
    }

    pub(super) fn receive_media<'a>(&mut self, now: Instant, path: Path, datagram: &'a mut [u8]) -> Received<'a> {
        let opened = match self.routes.by_address(path.remote) {
            Some(key) => self
                .open(key, now, path, datagram)
                .or_else(|| self.open_elsewhere(key, now, path, datagram)),
            None => self
                .recognise(now, path, datagram, None)
                .and_then(|key| self.open(key, now, path, datagram)),
        };
        match opened {
            Some((session, opened)) => Received::Media {
                session,
                packet: opened.packet(datagram),
            },
            None => Received::Nothing,
        }
    }

    /// One packet of this session's, or one that waited for its keys.
    #[inline]
    pub(super) fn open(
        &mut self,
        key: SessionKey,
        now: Instant,
        path: Path,
        datagram: &mut [u8],
    ) -> Option<(SessionKey, Opened)> {
        let peer = self.sessions.get_mut(key)?;
        self.serving = Some(key);
        let opened = peer.receive_media(now, path, datagram, &mut self.outputs.of(key));
        self.settle(key);
        Some((key, opened?))
    }

    /// A packet that gave no media to `owner`, whose address it came from: an encoder that fell silent, and lost its address to one
    /// that forges sources, or whose NAT handed it out again. Where the SSRC is another session's too, the keys decide, and give the
    /// address back.
    fn open_elsewhere(
        &mut self,
        owner: SessionKey,
        now: Instant,
        path: Path,
        datagram: &mut [u8],
    ) -> Option<(SessionKey, Opened)> {
        let ssrc = rtp::ssrc_of(datagram).filter(|_| !rtp::is_rtcp(datagram))?;
        if !self.routes.is_foreign(ssrc, owner) {
            return None;
        }
        let key = self.recognise(now, path, datagram, Some(owner))?;
        self.open(key, now, path, datagram)
    }

    /// Media from an address that no session knows: an encoder behind a NAT that moved it, or a relay that was replaced. Whose
    /// keys open it, has it.
    fn recognise(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &[u8],
        except: Option<SessionKey>,
    ) -> Option<SessionKey> {
        let Some(ssrc) = rtp::ssrc_of(datagram) else {
            self.dropped.add(DropReason::Malformed);
            return None;
        };
        let candidates = self.routes.by_ssrc(ssrc).into_iter().flatten();
        for key in candidates.filter(|key| Some(*key) != except) {
            if !self.trials.take(now) {
                self.dropped.add(DropReason::RateLimited);
                return None;
            }
            let Some(peer) = self.sessions.get_mut(key) else {
                continue;
            };
            self.serving = Some(key);
            if peer.recognises(datagram) {
                self.learn_address(now, path.remote, key);
                return Some(key);
            }
        }
        self.dropped.add(DropReason::UnknownAddress);
        None
    }

    /// Something from this address proved to be this session's.
    fn learn_address(&mut self, now: Instant, remote: SocketAddr, key: SessionKey) {
        let Some(peer) = self.sessions.get_mut(key) else { return };
        let forgotten = peer.learn_address(now, remote);
        if self.routes.by_address(remote) != Some(key) {
            self.routes.learn_address(remote, key);
        }
        if let Some(address) = forgotten {
            self.routes.forget_address(address, key);
        }
    }
}
