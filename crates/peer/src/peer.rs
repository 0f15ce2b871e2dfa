//! One session: its phase, and what each kind of datagram does to it.
//!
//! Not here: which session a datagram belongs to (see `mux`), and formats.

mod addresses;
mod adoption;
mod data;
mod feedback;
mod held;
mod live;
mod phase;
mod pledge;
mod reports;
mod streams;
mod totals;
mod tracks;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use whipcord_whip::{
    Credentials, Negotiated,
    negotiate::{Encoder, Role},
};

use crate::{
    Certificate, EndReason, Event, Path,
    event::TrackId,
    ice::{Check, Ice},
    outputs::Output,
    rtp,
    sctp::Sctp,
    stats::{DropReason, Dropped},
    stun,
};
use addresses::Addresses;
pub(crate) use feedback::Identity;
use held::HeldPacket;
use live::Around;
pub(crate) use live::Opened;
use phase::Phase;
use tracks::Tracks;

/// A client that got its answer sends STUN at once; RFC 8863 gives it 39.5 s at most, and none in the field needs 30.
const NO_STUN_AFTER: Duration = Duration::from_secs(30);
/// The whole handshake, however often it repeats itself.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(30);
/// RFC 7675 §5.1: consent lasts 30 s.
const SILENT_AFTER: Duration = Duration::from_secs(30);
/// Checks come every 4 to 6 s (RFC 7675 §5.1): later than that, something is wrong, and browsers say `disconnected` too.
const DISCONNECTED_AFTER: Duration = Duration::from_secs(7);

#[derive(Debug)]
pub(crate) struct Peer {
    role: Role,
    encoder: Encoder,
    identity: Identity,
    epoch: u32,
    tracks: Tracks,
    ice: Ice,
    phase: Phase,
    /// Where the offer has data channels, from the session's beginning to its end.
    data: Option<Box<Sctp>>,
    liveness: Liveness,
    /// The last packet that authenticated: STUN, SRTP or SRTCP. At first, the session's beginning.
    heard: Instant,
    addresses: Addresses,
    wrong_password: WrongPassword,
    handshake_datagrams: u64,
    pub(crate) dropped: Dropped,
    /// When the timers will call next.
    pub(crate) scheduled: Option<Instant>,
    #[cfg(test)]
    pub(crate) defect: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Liveness {
    Heard,
    Disconnected,
}

/// Told once: it is a fact of the session, but anybody can cause it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WrongPassword {
    Unseen,
    Told,
}

impl Peer {
    pub(crate) fn new(now: Instant, offer: Negotiated, local: Credentials, identity: Identity) -> Self {
        let Negotiated {
            role,
            encoder,
            remote,
            fingerprints,
            sections,
            data,
            ..
        } = offer;
        Self {
            role,
            encoder,
            identity,
            epoch: 0,
            tracks: Tracks::new(sections),
            ice: Ice::new(remote, local),
            phase: Phase::AwaitStun {
                since: now,
                fingerprints,
            },
            data: data.map(|data| Box::new(Sctp::new(role, data))),
            liveness: Liveness::Heard,
            heard: now,
            addresses: Addresses::default(),
            wrong_password: WrongPassword::Unseen,
            handshake_datagrams: 0,
            dropped: Dropped::default(),
            scheduled: None,
            #[cfg(test)]
            defect: false,
        }
    }

    /// True if the request authenticated, and so its address is this session's.
    pub(crate) fn receive_stun(
        &mut self,
        now: Instant,
        path: Path,
        request: &stun::Request<'_>,
        certificate: &Certificate,
        out: &mut Output<'_>,
    ) -> bool {
        let ufrag = request.local_ufrag();
        let Some(pwd) = self.ice.password(ufrag) else {
            self.dropped.add(DropReason::UnknownUfrag);
            return false;
        };
        if !request.authenticates(pwd) {
            self.dropped.add(DropReason::WrongPassword);
            if self.wrong_password == WrongPassword::Unseen {
                self.wrong_password = WrongPassword::Told;
                out.event(Event::StunWrongPassword { path });
            }
            return false;
        }
        let refusal = match request {
            // We are lite, so the other side controls (RFC 8445 §6.1.1); told so, it switches (§7.2.5.1).
            _ if request.controlled() => Some((487, "Role Conflict")),
            _ if !request.unknown().is_empty() => Some((420, "Unknown Attribute")),
            _ => None,
        };
        if let Some((code, reason)) = refusal {
            out.transmit(path, |datagram| request.error(code, reason, Some(pwd), datagram));
            return false;
        }
        out.transmit(path, |datagram| request.success(path.remote, pwd, datagram));
        let check = Check {
            local_ufrag: ufrag,
            remote_ufrag: request.remote_ufrag(),
            nominates: request.nominates(),
        };
        let checked = self.ice.on_check(now, path, check);
        if checked.first {
            out.event(Event::StunSeen { path });
        }
        // The first path is no change.
        if checked.moved && !checked.first {
            out.event(Event::PathChanged { path });
        }
        self.hear(now, out);
        self.begin_handshake(now, certificate, out);
        true
    }

    /// Handshake datagrams cost memory and CPU: only from addresses whose STUN authenticated.
    pub(crate) fn takes_handshakes_from(&self, path: &Path) -> bool {
        self.ice.is_validated(path)
    }

    pub(crate) fn receive_dtls(&mut self, now: Instant, datagram: &[u8], out: &mut Output<'_>) {
        self.handshake_datagrams += 1;
        let Some(dtls) = self.association() else { return };
        match dtls.receive(now, datagram) {
            Ok(()) => self.pump_dtls(now, out),
            Err(reason) => self.dropped.add(reason),
        }
    }

    /// One SRTP or SRTCP packet from an address of this session.
    pub(crate) fn receive_media(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &mut [u8],
        out: &mut Output<'_>,
    ) -> Option<Opened> {
        let result = match &mut self.phase {
            Phase::AwaitStun { .. } | Phase::Ended { .. } => Err(DropReason::NotValidated),
            Phase::Handshake { held, .. } => {
                if !self.ice.is_validated(&path) {
                    Err(DropReason::NotValidated)
                } else if held.push(now, path, datagram) {
                    return None;
                } else {
                    Err(DropReason::HeldFull)
                }
            }
            Phase::Live(live) if rtp::is_rtcp(datagram) => live.receive_rtcp(now, datagram, out).map(|()| None),
            Phase::Live(live) => {
                let mut around = Around {
                    tracks: &self.tracks,
                    ice: &mut self.ice,
                };
                live.receive_rtp(now, path, datagram, &mut around, out)
            }
        };
        match result {
            Ok(opened) => {
                self.hear(now, out);
                opened
            }
            Err(reason) => {
                self.dropped.add(reason);
                None
            }
        }
    }

    /// See [`live::Live::recognises`].
    pub(crate) fn recognises(&self, datagram: &[u8]) -> bool {
        matches!(&self.phase, Phase::Live(live) if live.recognises(datagram))
    }

    pub(crate) fn pop_held(&mut self) -> Option<HeldPacket> {
        match &mut self.phase {
            Phase::Live(live) => live.held.pop(),
            Phase::AwaitStun { .. } | Phase::Handshake { .. } | Phase::Ended { .. } => None,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Instant {
        let silent = match self.liveness {
            Liveness::Heard => self.heard + DISCONNECTED_AFTER,
            Liveness::Disconnected => self.heard + SILENT_AFTER,
        };
        match &self.phase {
            Phase::AwaitStun { since, .. } => *since + NO_STUN_AFTER,
            Phase::Handshake { since, dtls, .. } => {
                let next = silent.min(*since + HANDSHAKE_WITHIN);
                dtls.poll_timeout().map_or(next, |at| at.min(next))
            }
            // DTLS has no timer once it is connected.
            Phase::Live(live) => {
                let next = silent.min(live.feedback.poll_timeout());
                let data = self.data.as_ref().and_then(|data| data.poll_timeout());
                [data, self.ice.poll_timeout()]
                    .into_iter()
                    .flatten()
                    .fold(next, Instant::min)
            }
            Phase::Ended { .. } => silent,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Output<'_>) {
        #[cfg(test)]
        assert!(!self.defect, "a planted defect");
        match &mut self.phase {
            Phase::AwaitStun { since, .. } => {
                if now >= *since + NO_STUN_AFTER {
                    self.end(EndReason::NoStun);
                }
                return;
            }
            Phase::Handshake { since, .. } if now >= *since + HANDSHAKE_WITHIN => {
                return self.end(EndReason::HandshakeTimeout);
            }
            Phase::Live(live) => {
                for gone in self.ice.handle_timeout(now) {
                    out.ufrag_gone(gone);
                }
                live.feedback
                    .handle_timeout(now, self.ice.path(), &self.tracks, &mut live.streams, out);
            }
            Phase::Handshake { .. } | Phase::Ended { .. } => {}
        }
        if let Some(dtls) = self.association() {
            dtls.handle_timeout(now);
            self.pump_dtls(now, out);
        }
        if let Some(data) = &mut self.data {
            data.handle_timeout(now);
            self.pump_data(now, out);
        }
        self.notice_silence(now, out);
    }

    pub(crate) fn restart(&mut self, remote: Credentials, local: Credentials, out: &mut Output<'_>) {
        if let Some(gone) = self.ice.restart(remote, local) {
            out.ufrag_gone(gone);
        }
    }

    pub(crate) fn request_keyframe(&mut self, track: TrackId) {
        if let Phase::Live(live) = &mut self.phase {
            live.feedback.request_keyframe(track);
        }
    }

    pub(crate) fn close(&mut self, now: Instant, reason: EndReason, out: &mut Output<'_>) {
        // FFmpeg ignores close_notify, and any DTLS record after its handshake slows it to a few packets per second.
        if self.encoder != Encoder::Ffmpeg
            && let Some(dtls) = self.association()
        {
            dtls.close(now);
            self.flush_dtls(out);
        }
        self.end(reason);
    }

    pub(crate) fn ended(&self) -> Option<EndReason> {
        match self.phase {
            Phase::Ended { reason, .. } => Some(reason),
            Phase::AwaitStun { .. } | Phase::Handshake { .. } | Phase::Live(_) => None,
        }
    }

    pub(crate) fn local_ufrags(&self) -> impl Iterator<Item = &str> {
        self.ice.local_ufrags()
    }

    pub(crate) fn path(&self) -> Option<Path> {
        self.ice.path()
    }

    pub(crate) fn ssrcs(&self) -> impl Iterator<Item = u32> {
        self.live()
            .into_iter()
            .flat_map(|live| live.streams.iter().map(|stream| stream.ssrc))
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.addresses.iter()
    }

    /// Whether it was heard from this address lately.
    pub(crate) fn holds(&self, now: Instant, address: SocketAddr) -> bool {
        let is_current = self.ice.path().is_some_and(|path| path.remote == address);
        self.addresses.proven(address).is_some_and(|proven| {
            let heard = if is_current { self.heard.max(proven) } else { proven };
            now.saturating_duration_since(heard) < DISCONNECTED_AFTER
        })
    }

    /// Remembers an address that leads here; gives back the one that has to go for it.
    pub(crate) fn learn_address(&mut self, now: Instant, address: SocketAddr) -> Option<SocketAddr> {
        let current = self.ice.path().map(|path| path.remote);
        self.addresses.learn(now, address, current)
    }

    #[inline]
    fn hear(&mut self, now: Instant, out: &mut Output<'_>) {
        self.heard = now;
        if self.liveness == Liveness::Disconnected {
            self.liveness = Liveness::Heard;
            out.event(Event::Reconnected);
        }
    }

    fn notice_silence(&mut self, now: Instant, out: &mut Output<'_>) {
        let silence = now.saturating_duration_since(self.heard);
        if silence >= SILENT_AFTER {
            self.end(EndReason::Silent);
        } else if silence >= DISCONNECTED_AFTER && self.liveness == Liveness::Heard {
            self.liveness = Liveness::Disconnected;
            out.event(Event::Disconnected);
        }
    }
}
