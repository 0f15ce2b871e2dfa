//! The last flight we sent, and when it is sent again (RFC 6347 §4.2.4).
//!
//! rtc-dtls's own timer is never driven: any handshake record stops it for good, even one that leads nowhere, and under loss
//! both sides then wait for each other. Here the bytes of the flight are kept and repeated until the next one replaces them.
//! Plaintext records get new numbers. A protected record cannot; see `Handshake::repeat` for the one that needs it.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use whipcord_whip::negotiate::Role;

use super::record;

/// A ClientHello is repeated early: the encoder may not be listening yet when our first one arrives, and its first repeats are
/// over before anything else is under way.
const FIRST_AS_CLIENT: Duration = Duration::from_millis(60);
/// A server may repeat itself early: what arrives twice arrives before the client is done. Its HelloVerifyRequest too: RFC 6347
/// §3.2.1 has no timer for it so that a server needs no state, and here there is a session already.
const FIRST_AS_SERVER: Duration = Duration::from_millis(100);
/// The longest wait, and from the peer's first record on the only one of a client: a record that reaches FFmpeg after its
/// handshake is over cripples it, so our last flight must not be repeated while its answer may be on its way.
const SETTLED: Duration = Duration::from_secs(1);
/// Repeats of the peer are answered at most this often: its flight is several datagrams, and the network duplicates some.
const ANSWER_EVERY: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Flight {
    role: Role,
    datagrams: Vec<Vec<u8>>,
    /// The next plaintext record's sequence number.
    next_record: u64,
    sent: Option<Instant>,
    wait: Duration,
    heard: bool,
}

impl Flight {
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            datagrams: Vec::new(),
            next_record: 0,
            sent: None,
            wait: Duration::ZERO,
            heard: false,
        }
    }

    /// A new flight: sends it.
    pub(super) fn replace(&mut self, now: Instant, datagrams: Vec<Vec<u8>>, transmits: &mut VecDeque<Vec<u8>>) {
        self.datagrams = datagrams;
        self.wait = match self.role {
            Role::Client if self.heard => SETTLED,
            Role::Client => FIRST_AS_CLIENT,
            Role::Server => FIRST_AS_SERVER,
        };
        self.send(now, transmits);
    }

    /// The peer's first record ends a client's early repeats.
    pub(super) fn hear(&mut self) {
        if !self.heard && self.role == Role::Client {
            self.wait = SETTLED;
        }
        self.heard = true;
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.sent.map(|sent| sent + self.wait)
    }

    /// The same flight in new records.
    pub(super) fn refresh(&mut self, datagrams: Vec<Vec<u8>>) {
        self.datagrams = datagrams;
    }

    /// Repeats the flight, and waits longer for the next time.
    pub(super) fn repeat(&mut self, now: Instant, transmits: &mut VecDeque<Vec<u8>>) {
        self.wait = (self.wait * 2).min(SETTLED);
        self.send(now, transmits);
    }

    /// The peer repeats its flight, so it lacks ours. A client leaves that to its timer.
    pub(super) fn answer(&mut self, now: Instant, transmits: &mut VecDeque<Vec<u8>>) {
        let recent = self
            .sent
            .is_none_or(|sent| now.saturating_duration_since(sent) < ANSWER_EVERY);
        if self.role == Role::Server && !recent {
            self.send(now, transmits);
        }
    }

    /// Numbers the plaintext records of a datagram that is sent once: an alert.
    pub(super) fn number(&mut self, mut datagram: Vec<u8>) -> Vec<u8> {
        record::renumber(&mut datagram, &mut self.next_record);
        datagram
    }

    fn send(&mut self, now: Instant, transmits: &mut VecDeque<Vec<u8>>) {
        self.sent = Some(now);
        // What was not fetched yet is about to be said again.
        transmits.clear();
        for datagram in &mut self.datagrams {
            record::renumber(datagram, &mut self.next_record);
            transmits.push_back(datagram.clone());
        }
    }
}
