//! The phases of a session, and what leads from one to the next: STUN, DTLS, keys, the end.
//!
//! Not here: datagrams of media, and when a phase has lasted too long.

use std::time::Instant;

use whipcord_whip::offer::Fingerprint;

use super::{
    Peer,
    feedback::Feedback,
    held::Held,
    live::{Association, Live},
};
use crate::{
    Certificate, EndReason, Event,
    dtls::{self, Dtls},
    outputs::Output,
    srtp::Keys,
};

#[derive(Debug)]
pub(super) enum Phase {
    /// Nothing is made for a stranger: no association, no buffer.
    AwaitStun {
        since: Instant,
        fingerprints: Vec<Fingerprint>,
    },
    Handshake {
        since: Instant,
        dtls: Box<Dtls>,
        held: Held,
    },
    Live(Box<Live>),
    /// For the `Mux` to remove; it still asks which streams there were.
    Ended {
        reason: EndReason,
        live: Option<Box<Live>>,
    },
}

impl Peer {
    pub(super) fn live(&self) -> Option<&Live> {
        match &self.phase {
            Phase::Live(live) => Some(live),
            Phase::Ended { live, .. } => live.as_deref(),
            Phase::AwaitStun { .. } | Phase::Handshake { .. } => None,
        }
    }

    pub(super) fn association(&mut self) -> Option<&mut Dtls> {
        match &mut self.phase {
            Phase::Handshake { dtls, .. } => Some(dtls),
            Phase::Live(live) => match &mut live.dtls {
                Association::Own(dtls) => Some(dtls),
                Association::Lost => None,
            },
            Phase::AwaitStun { .. } | Phase::Ended { .. } => None,
        }
    }

    pub(super) fn begin_handshake(&mut self, now: Instant, certificate: &Certificate, out: &mut Output<'_>) {
        let Phase::AwaitStun { fingerprints, .. } = &mut self.phase else {
            return;
        };
        match Dtls::new(now, self.role, certificate, fingerprints) {
            Ok(dtls) => {
                self.phase = Phase::Handshake {
                    since: now,
                    dtls: Box::new(dtls),
                    held: Held::default(),
                };
                out.event(Event::HandshakeStarted);
                self.pump_dtls(now, out);
            }
            Err(error) => self.fail(error, out),
        }
    }

    pub(super) fn flush_dtls(&mut self, out: &mut Output<'_>) {
        let Some(path) = self.ice.path() else { return };
        let Some(dtls) = self.association() else { return };
        while let Some(datagram) = dtls.poll_transmit() {
            out.transmit(path, |buffer| buffer.extend_from_slice(&datagram));
        }
    }

    pub(super) fn pump_dtls(&mut self, now: Instant, out: &mut Output<'_>) {
        self.flush_dtls(out);
        while let Some(output) = self.association().and_then(Dtls::poll_output) {
            match output {
                dtls::Output::Connected(keys) => self.connect(now, keys, out),
                dtls::Output::Closed => self.end(EndReason::ClosedByPeer),
                dtls::Output::Failed(error) => self.fail(error, out),
            }
        }
        self.pump_data(now, out);
    }

    fn connect(&mut self, now: Instant, keys: Keys, out: &mut Output<'_>) {
        let phase = std::mem::replace(
            &mut self.phase,
            Phase::Ended {
                reason: EndReason::Fault,
                live: None,
            },
        );
        let Phase::Handshake { mut dtls, held, .. } = phase else {
            self.phase = phase;
            return;
        };
        self.ice.on_connected();
        out.event(Event::Connected { profile: keys.profile });
        if !held.is_empty() {
            out.held();
        }
        if let Some(data) = &mut self.data {
            dtls.accept_data();
            data.begin(now);
        }
        let live = Feedback::new(now, &keys, &self.tracks, self.encoder, self.identity, self.epoch, 0)
            .and_then(|feedback| Live::new(keys, Association::Own(dtls), held, feedback));
        if let Ok(live) = live {
            self.phase = Phase::Live(Box::new(live));
        }
    }

    fn fail(&mut self, error: dtls::Error, out: &mut Output<'_>) {
        out.event(Event::HandshakeFailed { error });
        self.end(match error {
            dtls::Error::FingerprintMismatch => EndReason::FingerprintMismatch,
            dtls::Error::NoSrtpProfile => EndReason::NoSrtpProfile,
            _ => EndReason::HandshakeFailed,
        });
    }

    /// The first reason stands.
    pub(super) fn end(&mut self, reason: EndReason) {
        let ended = Phase::Ended { reason, live: None };
        match std::mem::replace(&mut self.phase, ended) {
            Phase::Live(live) => {
                let live = Some(live);
                self.phase = Phase::Ended { reason, live };
            }
            ended @ Phase::Ended { .. } => self.phase = ended,
            Phase::AwaitStun { .. } | Phase::Handshake { .. } => {}
        }
    }
}
