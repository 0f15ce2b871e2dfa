//! From the first record to the keys.
//!
//! Everything unauthenticated is sorted out here, before rtc-dtls sees it: it gets whole plaintext messages in order, one
//! ChangeCipherSpec, and then the few protected records of a handshake. So what it queues and buffers without a bound stays
//! empty, and forged alerts, repeats and out-of-place records never reach its state machine.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use whipcord_whip::{negotiate::Role, offer::Fingerprint};

use super::{
    Certificate, Error, alert,
    alert::Alert,
    association::{Association, Read},
    certificate,
    flight::Flight,
    hello,
    reassembly::{Message, Reassembly, kind},
    record::{self, Content, Record},
};
use crate::srtp::Keys;

/// Protected records that came before they can be opened: a Finished, its repeat, an alert.
const HELD_MAX: usize = 4;
/// A protected Finished is 13 + 16 + 64 B with the most wasteful cipher; an alert is less.
const PROTECTED_BYTES_MAX: usize = 256;
/// rtc-dtls gives up at its eighth repeat of a flight. After the seventh the same bytes are repeated.
const RESEALED_MAX: u32 = 7;

/// A plaintext alert can be forged by whoever knows the encoder's address. Whoever sent a real one is silent after it; all others
/// repeat their flight within this.
const ALARM: Duration = Duration::from_secs(2);

pub(super) struct Handshake {
    role: Role,
    announced: Vec<Fingerprint>,
    /// None as server, until the ClientHello says which SRTP profile to configure.
    association: Option<Association>,
    messages: Reassembly,
    /// The peer's certificate was seen, and is one that its offer announced.
    identified: bool,
    /// The message after which the peer changes its cipher was handed on.
    ready: bool,
    cipher_change: CipherChange,
    held: Vec<Vec<u8>>,
    flight: Flight,
    /// How often our last flight as client was sealed again.
    resealed: u32,
    /// An alert that ends the handshake, and when it does, unless the peer goes on.
    alarm: Option<(Instant, Alert)>,
    /// The next plaintext record's sequence number towards rtc-dtls.
    next_record: u64,
}

/// The peer's ChangeCipherSpec. rtc-dtls must see one, and before any protected record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CipherChange {
    Awaited,
    Arrived,
    HandedOn,
}

pub(super) enum Step {
    Waiting,
    Connected(Keys),
    Closed,
    /// With the alert for the peer, unless one is queued.
    Failed(Error, Option<Alert>),
}

impl Handshake {
    /// As client, queues the ClientHello.
    pub(super) fn new(
        now: Instant,
        role: Role,
        certificate: &Certificate,
        announced: &[Fingerprint],
        transmits: &mut VecDeque<Vec<u8>>,
    ) -> Result<Self, Error> {
        let mut flight = Flight::new(role);
        let association = match role {
            Role::Client => {
                let mut association = Association::client(now, certificate.as_client())?;
                flight.replace(now, association.transmits(), transmits);
                Some(association)
            }
            Role::Server => None,
        };
        Ok(Self {
            role,
            announced: announced.to_vec(),
            association,
            messages: Reassembly::default(),
            identified: false,
            ready: false,
            cipher_change: CipherChange::Awaited,
            held: Vec::new(),
            flight,
            resealed: 0,
            alarm: None,
            next_record: 0,
        })
    }

    pub(super) fn receive(
        &mut self,
        now: Instant,
        datagram: &[u8],
        own: &Certificate,
        transmits: &mut VecDeque<Vec<u8>>,
    ) -> Step {
        let mut repeated = false;
        for record in record::records(datagram) {
            self.flight.hear();
            match (record.content, record.epoch) {
                (Content::Handshake, 0) => {
                    repeated |= self.messages.push(record.body());
                    self.alarm = None;
                }
                (Content::ChangeCipherSpec, 0) if record.body() == [1] => self.note_cipher_change(),
                (Content::Alert, 0) => {
                    if let Some(alert) = alert::received(record.body()) {
                        self.alarm.get_or_insert((now + ALARM, alert));
                    }
                }
                (Content::Handshake | Content::Alert, 1) => self.hold(&record),
                _ => {}
            }
        }
        let mut input = BytesMut::new();
        if let Err((error, alert)) = self.gather(own, &mut input) {
            return Step::Failed(error, Some(alert));
        }
        if input.is_empty() {
            if repeated {
                self.flight.answer(now, transmits);
            }
            return Step::Waiting;
        }
        self.advance(now, input, transmits)
    }

    pub(super) fn due(&self) -> Option<Instant> {
        let alarm = self.alarm.map(|(at, _)| at);
        [self.flight.due(), alarm].into_iter().flatten().min()
    }

    /// Ends by an alert that nothing has contradicted, or repeats our flight if it is time.
    pub(super) fn timeout(&mut self, now: Instant, transmits: &mut VecDeque<Vec<u8>>) -> Step {
        match self.alarm {
            Some((at, Alert::CLOSE_NOTIFY)) if now >= at => return Step::Closed,
            Some((at, fatal)) if now >= at => return Step::Failed(Error::Alert(fatal.description), None),
            Some(_) | None => {}
        }
        self.repeat(now, transmits);
        Step::Waiting
    }

    /// Repeats our flight.
    ///
    /// A client's last flight ends with a protected Finished. If the server's answer to it was lost, the server has seen that
    /// record, drops it as a replay, and never answers again: it needs the Finished in a new record, which only rtc-dtls can seal.
    fn repeat(&mut self, now: Instant, transmits: &mut VecDeque<Vec<u8>>) {
        if self.flight.due().is_none_or(|due| now < due) {
            return;
        }
        let last_of_client = self.role == Role::Client && self.ready;
        if last_of_client
            && self.resealed < RESEALED_MAX
            && let Some(association) = &mut self.association
        {
            self.resealed += 1;
            let datagrams = association.reseal(now);
            if !datagrams.is_empty() {
                self.flight.refresh(datagrams);
            }
        }
        self.flight.repeat(now, transmits);
    }

    /// What outlives the handshake: the keys' keeper, and our last flight.
    pub(super) fn finish(self) -> Option<(Association, Flight)> {
        self.association.map(|association| (association, self.flight))
    }

    pub(super) fn send_alert(&mut self, alert: Alert, transmits: &mut VecDeque<Vec<u8>>) {
        transmits.push_back(self.flight.number(alert.to_plaintext()));
    }

    fn note_cipher_change(&mut self) {
        if self.cipher_change == CipherChange::Awaited {
            self.cipher_change = CipherChange::Arrived;
        }
    }

    fn hold(&mut self, record: &Record<'_>) {
        if self.held.len() < HELD_MAX && record.bytes.len() <= PROTECTED_BYTES_MAX {
            self.held.push(record.bytes.to_vec());
        }
    }

    /// Collects what rtc-dtls may see now.
    fn gather(&mut self, own: &Certificate, input: &mut BytesMut) -> Result<(), (Error, Alert)> {
        while let Some(message) = self.messages.pop() {
            self.inspect(&message, own)?;
            record::write(
                Content::Handshake,
                self.next_record,
                &[&message.header(), &message.body],
                input,
            );
            self.next_record += 1;
        }
        if !self.ready || self.cipher_change == CipherChange::Awaited {
            return Ok(());
        }
        if self.cipher_change == CipherChange::Arrived {
            record::write(Content::ChangeCipherSpec, self.next_record, &[&[1]], input);
            self.next_record += 1;
            self.cipher_change = CipherChange::HandedOn;
        }
        for record in self.held.drain(..) {
            input.extend_from_slice(&record);
        }
        Ok(())
    }

    /// What has to be known of a message before rtc-dtls acts on it.
    fn inspect(&mut self, message: &Message, own: &Certificate) -> Result<(), (Error, Alert)> {
        match (self.role, message.kind) {
            (Role::Server, kind::CLIENT_HELLO) if self.association.is_none() => {
                let profile = hello::choose_profile(&message.body).and_then(|profile| own.as_server(profile));
                let config = profile.ok_or((Error::NoSrtpProfile, Alert::INSUFFICIENT_SECURITY))?;
                self.association = Some(Association::server(config));
            }
            // Checked here too, before the signature is: so that the peer gets the right alert.
            (_, kind::CERTIFICATE) => {
                let leaf = first_certificate(&message.body).ok_or((Error::NoCertificate, Alert::HANDSHAKE_FAILURE))?;
                if self.identified {
                    return Err((Error::Protocol, Alert::UNEXPECTED_MESSAGE));
                }
                if !certificate::is_announced(leaf, &self.announced) {
                    return Err((Error::FingerprintMismatch, Alert::BAD_CERTIFICATE));
                }
                self.identified = true;
            }
            (Role::Server, kind::CLIENT_KEY_EXCHANGE) | (Role::Client, kind::SERVER_HELLO_DONE) if !self.identified => {
                return Err((Error::NoCertificate, Alert::HANDSHAKE_FAILURE));
            }
            (Role::Server, kind::CERTIFICATE_VERIFY) | (Role::Client, kind::SERVER_HELLO_DONE) => self.ready = true,
            _ => {}
        }
        // A server's first message is the ClientHello, or there is nobody to hand it to.
        self.association
            .as_ref()
            .map(|_| ())
            .ok_or((Error::Protocol, Alert::UNEXPECTED_MESSAGE))
    }

    fn advance(&mut self, now: Instant, input: BytesMut, transmits: &mut VecDeque<Vec<u8>>) -> Step {
        let Some(association) = &mut self.association else {
            return Step::Waiting;
        };
        let read = association.read(now, input, None);
        let sent = association.transmits();
        let keys = match read {
            Ok(Read::Nothing) => None,
            Ok(Read::Completed) => Some(association.keys(self.role, &self.announced)),
            Ok(Read::Closed) => return Step::Closed,
            Ok(Read::Aborted) => Some(Err(Error::Protocol)),
            Err(error) => Some(Err(error)),
        };
        match keys {
            Some(Err(error)) => {
                let alert = sent.is_empty().then_some(Alert::HANDSHAKE_FAILURE);
                transmits.extend(sent.into_iter().map(|datagram| self.flight.number(datagram)));
                Step::Failed(error, alert)
            }
            connected => {
                if !sent.is_empty() {
                    self.flight.replace(now, sent, transmits);
                }
                connected.and_then(Result::ok).map_or(Step::Waiting, Step::Connected)
            }
        }
    }
}

/// The peer's own certificate: the first of the list (RFC 5246 §7.4.2).
fn first_certificate(body: &[u8]) -> Option<&[u8]> {
    let length = body
        .get(3..6)?
        .iter()
        .fold(0, |length, byte| length << 8 | usize::from(*byte));
    body.get(6..6 + length).filter(|leaf| !leaf.is_empty())
}
