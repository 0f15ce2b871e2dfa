//! Many sessions on one port: routing, timers, fairness. Pure.
//!
//! The shell's loop: `receive` for every datagram of a batch, then `step_handshake` for at most its time budget,
//! `poll_held`, `poll_transmit`, `poll_event` until each is empty, and `handle_timeout` when `poll_timeout` is due.

mod handshakes;
mod random;
mod receive;
mod routes;
mod sessions;
#[cfg(test)]
mod tests;
mod timers;

use std::{net::SocketAddr, time::Instant};

use whipcord_whip::{Answer, Credentials, Negotiated, answer::Local};

use crate::{
    Certificate, Checkpoint, EndReason, Event, Packet, Path, Stats,
    budget::Budget,
    checkpoint,
    event::TrackId,
    outputs::{Outputs, SsrcChange},
    peer::{Identity, Peer},
    stats::{DropReason, Dropped},
};
use handshakes::Handshakes;
use random::Random;
use routes::Routes;
pub use sessions::SessionKey;
use sessions::Sessions;
use timers::Timers;

/// Trial decryptions of packets from unknown addresses, per second and at once: enough for an encoder of 3000 packets/s to be
/// recognised within a few packets of its move, and under 2 ms of CPU per second for a flood.
const TRIALS_PER_SECOND: u32 = 1000;
const TRIALS_BURST: u32 = 100;

/// Every number that the shell chooses for a `Mux`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sessions on this port.
    pub sessions_max: usize,
}

/// All sessions of one port.
#[derive(Debug)]
pub struct Mux {
    certificate: Certificate,
    limits: Limits,
    random: Random,
    sessions: Sessions,
    routes: Routes,
    timers: Timers,
    handshakes: Handshakes,
    outputs: Outputs,
    trials: Budget,
    dropped: Dropped,
    /// The session whose code is running: the one to blame for a panic.
    serving: Option<SessionKey>,
}

/// What one datagram brought.
#[derive(Debug)]
pub enum Received<'a> {
    /// Consumed: STUN, RTCP, RTX probing, a duplicate, something dropped and counted.
    Nothing,
    /// A handshake datagram was queued: call [`Mux::step_handshake`] when the batch is done.
    Handshake,
    /// Media: authenticated, decrypted in place, in the caller's buffer. An empty payload is padding: it only fills its
    /// place in the sequence.
    Media { session: SessionKey, packet: Packet<'a> },
}

/// The port carries as many sessions as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this port carries as many sessions as it may")]
pub struct Full;

impl Mux {
    /// `seed` feeds every random choice (SSRCs, hash keys), so that a run can be repeated.
    pub fn new(certificate: Certificate, limits: Limits, seed: [u8; 32]) -> Self {
        let mut random = Random::new(seed);
        let routes = Routes::new((u128::from(random.next()) << 64) | u128::from(random.next()));
        Self {
            certificate,
            limits,
            random,
            sessions: Sessions::default(),
            routes,
            timers: Timers::default(),
            handshakes: Handshakes::default(),
            outputs: Outputs::default(),
            trials: Budget::new(TRIALS_PER_SECOND, TRIALS_BURST),
            dropped: Dropped::default(),
            serving: None,
        }
    }

    /// Takes a negotiated offer in and answers it. `local` are the credentials minted for it, `candidates` where the encoder
    /// reaches this port, `origin` the answer's `o=` id.
    pub fn create(
        &mut self,
        now: Instant,
        offer: Negotiated,
        local: Credentials,
        candidates: &[SocketAddr],
        origin: u64,
    ) -> Result<(SessionKey, Answer), Full> {
        if self.sessions.len() >= self.limits.sessions_max {
            return Err(Full);
        }
        let answer = Answer::new(
            &offer,
            &Local {
                credentials: &local,
                fingerprint: self.certificate.fingerprint(),
                candidates,
                origin,
            },
        );
        let identity = Identity {
            ssrc_base: self.random.next() as u32,
            cname: self.random.next(),
        };
        let ufrag = local.ufrag.clone();
        let key = self.insert(Peer::new(now, offer, local, identity));
        self.routes.learn_ufrag(&ufrag, key);
        Ok((key, answer))
    }

    /// Goes on with a session that another `Mux` had. `epoch` must be greater than the checkpoint's.
    pub fn adopt(
        &mut self,
        now: Instant,
        checkpoint: &Checkpoint,
        epoch: u32,
    ) -> Result<SessionKey, checkpoint::Error> {
        if self.sessions.len() >= self.limits.sessions_max {
            return Err(checkpoint::Error::Full);
        }
        let peer = Peer::adopt(now, checkpoint, epoch)?;
        let ufrags: Vec<String> = peer.local_ufrags().map(str::to_owned).collect();
        if ufrags.iter().any(|ufrag| self.routes.by_ufrag(ufrag).is_some()) {
            return Err(checkpoint::Error::AlreadyHere);
        }
        let ssrcs: Vec<u32> = peer.ssrcs().collect();
        let address = peer.path().map(|path| path.remote);
        let key = self.insert(peer);
        ufrags.iter().for_each(|ufrag| self.routes.learn_ufrag(ufrag, key));
        ssrcs.iter().for_each(|ssrc| self.routes.learn_ssrc(*ssrc, key));
        if let Some(address) = address {
            self.routes.learn_address(address, key);
        }
        self.settle(key);
        Ok(key)
    }

    /// What another `Mux` needs to go on with the session; None before the first authenticated SRTP packet, because until
    /// then the client may not have finished DTLS, and None of a session with data channels, which stays where it is. From the first call on, the session is bound by what it gave away: see
    /// [`Mux::persisted`].
    pub fn checkpoint(&mut self, key: SessionKey) -> Option<Checkpoint> {
        self.sessions.get_mut(key)?.checkpoint()
    }

    /// Says that this checkpoint has replaced all older ones where an adopter would look. Only then may RTCP use the indices
    /// it reserves and acknowledge the streams it names.
    pub fn persisted(&mut self, key: SessionKey, checkpoint: &Checkpoint) {
        if let Some(peer) = self.sessions.get_mut(key) {
            peer.persisted(checkpoint);
            self.settle(key);
        }
    }

    /// One datagram. Media is opened in place and borrows `datagram`.
    pub fn receive<'a>(&mut self, now: Instant, path: Path, datagram: &'a mut [u8]) -> Received<'a> {
        // RFC 7983 §7.
        match datagram.first() {
            Some(0..=3) => self.receive_stun(now, path, datagram),
            Some(20..=63) => return self.receive_dtls(path, datagram),
            Some(128..=191) => return self.receive_media(now, path, datagram),
            _ => self.dropped.add(DropReason::Malformed),
        }
        Received::Nothing
    }

    /// Works off one queued handshake datagram; false when none is left. The shell stops after its budget (2 ms), so that
    /// media does not wait.
    pub fn step_handshake(&mut self, now: Instant) -> bool {
        let Some(waiting) = self.handshakes.pop() else {
            return false;
        };
        let Some(peer) = self.sessions.get_mut(waiting.key) else {
            return true;
        };
        self.serving = Some(waiting.key);
        peer.receive_dtls(now, &waiting.datagram, &mut self.outputs.of(waiting.key));
        self.settle(waiting.key);
        true
    }

    /// Media that arrived before the keys and can be opened now, oldest first, moved into `buffer`. `arrival` is when it came.
    /// Call after `step_handshake` until it returns None.
    pub fn poll_held<'a>(&mut self, buffer: &'a mut Vec<u8>) -> Option<Held<'a>> {
        loop {
            let key = self.outputs.held.front().copied()?;
            let Some(held) = self.sessions.get_mut(key).and_then(Peer::pop_held) else {
                self.outputs.held.pop_front();
                continue;
            };
            *buffer = held.datagram;
            if let Some((_, opened)) = self.open(key, held.arrival, held.path, buffer) {
                let packet = opened.packet(buffer);
                return Some(Held {
                    session: key,
                    packet,
                    arrival: held.arrival,
                });
            }
        }
    }

    /// The next datagram to send, written into `buffer`.
    pub fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Path> {
        self.outputs.pop_transmit(buffer)
    }

    pub fn poll_event(&mut self) -> Option<(SessionKey, Event)> {
        self.outputs.events.pop_front()
    }

    /// When `handle_timeout` has something to do; it may be in the past.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, key)) = self.timers.pop_due(now) {
            let Some(peer) = self.sessions.get_mut(key).filter(|peer| peer.scheduled == Some(at)) else {
                continue;
            };
            peer.scheduled = None;
            self.serving = Some(key);
            peer.handle_timeout(now, &mut self.outputs.of(key));
            self.settle(key);
        }
    }

    /// ICE restart: both sides' new credentials. The old ones, two generations of them at most, are answered until the new path carries
    /// SRTP, and 30 s more. False if there is no such session.
    pub fn restart(&mut self, key: SessionKey, remote: Credentials, local: Credentials) -> bool {
        let Some(peer) = self.sessions.get_mut(key) else {
            return false;
        };
        self.routes.learn_ufrag(&local.ufrag, key);
        peer.restart(remote, local, &mut self.outputs.of(key));
        self.settle(key);
        true
    }

    /// A sink needs a keyframe. Requests are coalesced, at least 1 s apart; nothing is sent where the offer has neither
    /// `nack pli` nor `ccm fir`.
    pub fn request_keyframe(&mut self, key: SessionKey, track: TrackId) {
        if let Some(peer) = self.sessions.get_mut(key) {
            peer.request_keyframe(track);
            self.settle(key);
        }
    }

    /// Ends a session: close_notify to all but FFmpeg (it is poisoned by it), then `Event::Ended`. Its state is gone at once.
    pub fn close(&mut self, now: Instant, key: SessionKey, reason: EndReason) {
        if let Some(peer) = self.sessions.get_mut(key) {
            peer.close(now, reason, &mut self.outputs.of(key));
            self.settle(key);
        }
    }

    /// Ends the session whose code panicked; None if the defect was outside any session. To be called after a caught panic and
    /// before anything else.
    pub fn fault(&mut self) -> Option<SessionKey> {
        let key = self.serving.take()?;
        self.remove(key, EndReason::Fault)
    }

    pub fn stats(&self, key: SessionKey) -> Option<Stats> {
        Some(self.sessions.get(key)?.stats())
    }

    /// Datagrams that belong to no session, by reason.
    pub fn dropped(&self) -> &Dropped {
        &self.dropped
    }

    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }
}

/// Media that waited for the keys.
#[derive(Debug)]
pub struct Held<'a> {
    pub session: SessionKey,
    pub packet: Packet<'a>,
    pub arrival: Instant,
}

// === after a session's code ran ===

impl Mux {
    fn insert(&mut self, peer: Peer) -> SessionKey {
        let key = self.sessions.insert(peer);
        self.schedule(key);
        key
    }

    /// Removes the session if it ended, else makes sure that its next deadline is scheduled.
    #[inline]
    fn settle(&mut self, key: SessionKey) {
        self.serving = None;
        for (key, change) in self.outputs.ssrcs.drain(..) {
            match change {
                SsrcChange::New(ssrc) => self.routes.learn_ssrc(ssrc, key),
                SsrcChange::Gone(ssrc) => self.routes.forget_ssrc(ssrc, key),
            }
        }
        for ufrag in self.outputs.ufrags_gone.drain(..) {
            self.routes.forget_ufrag(&ufrag);
        }
        let Some(peer) = self.sessions.get_mut(key) else { return };
        if let Some(reason) = peer.ended() {
            self.remove(key, reason);
        } else {
            self.schedule(key);
        }
    }

    #[inline]
    fn schedule(&mut self, key: SessionKey) {
        let Some(peer) = self.sessions.get_mut(key) else { return };
        let deadline = peer.poll_timeout();
        // A later deadline is found when the earlier one fires: no timer is ever moved per packet.
        if peer.scheduled.is_none_or(|scheduled| deadline < scheduled) {
            peer.scheduled = Some(deadline);
            self.timers.push(deadline, key);
        }
    }

    fn remove(&mut self, key: SessionKey, reason: EndReason) -> Option<SessionKey> {
        let peer = self.sessions.remove(key)?;
        peer.local_ufrags().for_each(|ufrag| self.routes.forget_ufrag(ufrag));
        peer.addresses()
            .for_each(|address| self.routes.forget_address(address, key));
        peer.ssrcs().for_each(|ssrc| self.routes.forget_ssrc(ssrc, key));
        let last = Box::new(peer.stats());
        self.outputs.events.push_back((key, Event::Ended { reason, last }));
        Some(key)
    }
}
