//! DTLS 1.2 by rtc-dtls, inside our own retransmission layer.
//!
//! Not here: which address a record came from or goes to, SRTP, timers beyond the handshake's.

mod alert;
mod association;
mod certificate;
mod flight;
mod handshake;
mod hello;
mod reassembly;
mod record;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, time::Instant};

use bytes::BytesMut;
use whipcord_whip::{negotiate::Role, offer::Fingerprint};

use crate::{budget::Budget, srtp::Keys, stats::DropReason};
use alert::Alert;
use association::{Association, Read};
pub use certificate::Certificate;
use flight::Flight;
use handshake::{Handshake, Step};
use record::Content;

/// Datagrams per second that a handshake may take, and at once. A whole flight of a client with a chain of certificates is under
/// ten datagrams, repeated each 50 ms by the most eager: 200 in the first second at the very worst, and 20 is usual. With the
/// session's 30 s this also bounds a handshake as a whole: 128 + 30 × 64 datagrams. Memory does not grow with them (see `reassembly`).
const HANDSHAKE_RATE: u32 = 64;
const HANDSHAKE_BURST: u32 = 128;
/// The same once connected: a repeated last flight of a few datagrams, a close_notify.
const CONNECTED_RATE: u32 = 10;
const CONNECTED_BURST: u32 = 20;
/// The same with data channels: 9 Mbit/s in packets of 1150 bytes, more than an encoder has to say beside its media; the SCTP of a
/// faster one takes what is dropped for a slow path. At once, a receive window of 256 KiB.
const DATA_RATE: u32 = 1000;
const DATA_BURST: u32 = 256;

/// One association. Kept for the session's whole life.
pub struct Dtls {
    role: Role,
    certificate: Certificate,
    phase: Phase,
    budget: Budget,
    transmits: VecDeque<Vec<u8>>,
    output: Option<Output>,
    /// Application data; None where it is dropped, because nobody agreed on any.
    inbox: Option<VecDeque<BytesMut>>,
}

enum Phase {
    Handshake(Box<Handshake>),
    /// The last flight is kept where we are server: the client may lack it. A client sends nothing more.
    Connected {
        association: Box<Association>,
        last: Option<Flight>,
    },
    Over,
}

#[derive(Debug)]
pub enum Output {
    /// Done, and the peer's certificate is the one the offer announced.
    Connected(Keys),
    /// The peer ended the association: close_notify, or, once connected, a fatal alert under the association's keys.
    Closed,
    /// An alert for the peer may wait in `poll_transmit`, unless the error is the peer's alert.
    Failed(Error),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the peer's certificate is not the one its offer announced")]
    FingerprintMismatch,
    #[error("no SRTP profile in common")]
    NoSrtpProfile,
    #[error("no cipher suite in common")]
    NoCipherSuite,
    #[error("the peer does not speak DTLS 1.2")]
    Version,
    #[error("the peer sent no certificate")]
    NoCertificate,
    #[error(
        "the peer's signature cannot be verified; keys may be EC P-256, EC P-384, Ed25519 or RSA of 2048 bits or more"
    )]
    Signature,
    /// RFC 5246 §7.2: the peer's number.
    #[error("the peer ended the handshake with DTLS alert {0}")]
    Alert(u8),
    #[error("the peer's handshake breaks the rules of DTLS 1.2")]
    Protocol,
    #[error("our own DTLS certificate cannot be made")]
    Certificate,
}

impl std::fmt::Debug for Dtls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let phase = match self.phase {
            Phase::Handshake(_) => "handshake",
            Phase::Connected { .. } => "connected",
            Phase::Over => "over",
        };
        f.debug_struct("Dtls")
            .field("role", &self.role)
            .field("phase", &phase)
            .finish_non_exhaustive()
    }
}

impl Dtls {
    /// As client, a ClientHello waits in `poll_transmit` at once.
    ///
    /// # Errors
    /// Only if there is no randomness to begin with.
    pub fn new(now: Instant, role: Role, certificate: &Certificate, expected: &[Fingerprint]) -> Result<Self, Error> {
        let mut transmits = VecDeque::new();
        let handshake = Handshake::new(now, role, certificate, expected, &mut transmits)?;
        Ok(Self {
            role,
            certificate: certificate.clone(),
            phase: Phase::Handshake(Box::new(handshake)),
            budget: Budget::new(HANDSHAKE_RATE, HANDSHAKE_BURST),
            transmits,
            output: None,
            inbox: None,
        })
    }

    /// One datagram from an ICE-validated address.
    ///
    /// # Errors
    /// Not looked at: [`DropReason::Malformed`], or [`DropReason::RateLimited`] where there are more than a handshake needs.
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<(), DropReason> {
        // RFC 7983 §7: 20-63 is DTLS.
        if !matches!(datagram.first(), Some(20..=63)) || record::records(datagram).next().is_none() {
            return Err(DropReason::Malformed);
        }
        if !self.budget.take(now) {
            return Err(DropReason::RateLimited);
        }
        match &mut self.phase {
            Phase::Handshake(handshake) => {
                let step = handshake.receive(now, datagram, &self.certificate, &mut self.transmits);
                self.take(step);
            }
            Phase::Connected { .. } => self.receive_connected(now, datagram),
            Phase::Over => {}
        }
        Ok(())
    }

    /// The next datagram to send. After the end too: an alert, a close_notify.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.output.take()
    }

    /// From now on application data is taken: the session negotiated data channels, and the handshake is complete.
    pub fn accept_data(&mut self) {
        self.inbox = Some(VecDeque::new());
        self.budget = Budget::new(DATA_RATE, DATA_BURST);
    }

    /// What one record of application data carried.
    pub fn poll_data(&mut self) -> Option<BytesMut> {
        self.inbox.as_mut()?.pop_front()
    }

    /// Queues one record of application data; nothing before the handshake is complete, or after the end.
    pub fn send_data(&mut self, now: Instant, data: &[u8]) {
        if let Phase::Connected { association, .. } = &mut self.phase {
            association.write(now, data);
            self.transmits.extend(association.transmits());
        }
    }

    /// When the last flight is sent again. None once connected.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Handshake(handshake) => handshake.due(),
            Phase::Connected { .. } | Phase::Over => None,
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if let Phase::Handshake(handshake) = &mut self.phase {
            let step = handshake.timeout(now, &mut self.transmits);
            self.take(step);
        }
    }

    /// Queues close_notify. Not for FFmpeg, which any DTLS record after its handshake cripples.
    pub fn close(&mut self, now: Instant) {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Handshake(mut handshake) => handshake.send_alert(Alert::CLOSE_NOTIFY, &mut self.transmits),
            Phase::Connected { mut association, .. } => {
                association.close(now);
                self.transmits.extend(association.transmits());
            }
            Phase::Over => {}
        }
    }

    fn take(&mut self, step: Step) {
        if matches!(step, Step::Waiting) {
            return;
        }
        let Phase::Handshake(mut handshake) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return;
        };
        self.output = match step {
            Step::Waiting => None,
            Step::Connected(keys) => {
                self.budget = Budget::new(CONNECTED_RATE, CONNECTED_BURST);
                if let Some((association, flight)) = handshake.finish() {
                    let last = (self.role == Role::Server).then_some(flight);
                    self.phase = Phase::Connected {
                        association: Box::new(association),
                        last,
                    };
                }
                Some(Output::Connected(keys))
            }
            Step::Closed => Some(Output::Closed),
            Step::Failed(error, alert) => {
                if let Some(alert) = alert {
                    handshake.send_alert(alert, &mut self.transmits);
                }
                Some(Output::Failed(error))
            }
        };
    }

    /// rtc-dtls sees protected alerts only, and application data where that is taken. Handshake records would grow its fragment buffer, and make a client send again;
    /// a ChangeCipherSpec in a protected epoch, which nothing protects, would move its epoch on.
    fn receive_connected(&mut self, now: Instant, datagram: &[u8]) {
        let Phase::Connected { association, last } = &mut self.phase else {
            return;
        };
        let mut protected = BytesMut::new();
        let mut repeated = false;
        for record in record::records(datagram) {
            match record.content {
                Content::Alert if record.epoch == 1 => protected.extend_from_slice(record.bytes),
                Content::ApplicationData if record.epoch == 1 && self.inbox.is_some() => {
                    protected.extend_from_slice(record.bytes);
                }
                Content::Handshake => repeated = true,
                _ => {}
            }
        }
        if repeated && let Some(last) = last {
            last.answer(now, &mut self.transmits);
        }
        if protected.is_empty() {
            return;
        }
        let read = association.read(now, protected, self.inbox.as_mut());
        let replies = association.transmits();
        if matches!(read, Ok(Read::Closed | Read::Aborted)) {
            // Only close_notify is answered (RFC 5246 §7.2.1); rtc-dtls would send every alert back.
            if read == Ok(Read::Closed) {
                self.transmits.extend(replies);
            }
            self.phase = Phase::Over;
            self.output = Some(Output::Closed);
        }
    }
}
