//! Puts the packets of one track back into sequence, and waits for those that a retransmission may still bring.

use std::{collections::BTreeMap, time::Duration};

/// How long a hole is waited for. A lost packet is noticed by the next one, reported within the NACK tick of 20 ms, and
/// back after one round trip; at RTT 150 ms three tries fit in: 3 × (150 + 20) = 510 ms. A recording has that time.
pub(crate) const HOLE_WAIT: Duration = Duration::from_millis(510);

/// How long the first packet waits for ones before it: nobody can ask for them, but the network may deliver them later.
pub(crate) const START_WAIT: Duration = Duration::from_millis(100);

/// Limits while a hole is waited for: 510 ms of 50 Mbit/s are 3.2 MB in 2,700 packets of 1,200 bytes.
pub(crate) const PACKETS_MAX: usize = 4096;
pub(crate) const BYTES_MAX: usize = 6 << 20;

/// A sequence number this far behind is a new numbering, not a late packet: the sender's repairs reach back 4,000
/// packets at most.
const RESTART_BEHIND: u64 = 8192;

/// So is one behind, when for this long nothing but such ones came.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// An RTP packet on its way through the reorder buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub timestamp: u32,
    pub marker: bool,
    pub payload: Vec<u8>,
    /// Since the start of the session.
    pub arrival: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Released {
    Packet(Packet),
    /// `packets` are missing here. 0: how many is not known.
    Gap {
        packets: u64,
    },
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Held,
    /// Its place has been given up.
    Late,
    Duplicate,
}

/// The reorder buffer of one track.
#[derive(Debug)]
pub(crate) struct Reorder {
    state: State,
    held: BTreeMap<u64, Packet>,
    /// Payload bytes in `held`.
    bytes: usize,
    /// Since when only late packets have come.
    late_since: Option<Duration>,
}

#[derive(Debug)]
enum State {
    /// The numbering is not known: the lowest number that comes within [`START_WAIT`] is the first.
    Starting,
    Running {
        next: u64,
    },
}

impl Default for Reorder {
    fn default() -> Self {
        Self {
            state: State::Starting,
            held: BTreeMap::new(),
            bytes: 0,
            late_since: None,
        }
    }
}

impl Reorder {
    /// Takes a packet by its extended sequence number.
    pub(crate) fn push(&mut self, sequence: u64, packet: Packet) -> Pushed {
        if let State::Running { next } = self.state
            && sequence < next
        {
            let since = *self.late_since.get_or_insert(packet.arrival);
            if next - sequence <= RESTART_BEHIND && packet.arrival.saturating_sub(since) < RESTART_AFTER {
                return Pushed::Late;
            }
            self.restart();
        }
        self.late_since = None;
        if self.held.contains_key(&sequence) {
            return Pushed::Duplicate;
        }
        self.bytes += packet.payload.len();
        self.held.insert(sequence, packet);
        Pushed::Held
    }

    /// The next packet in sequence, or the hole before it once the wait for it is over. Call until it gives none;
    /// `Duration::MAX` waits for nothing.
    pub(crate) fn poll(&mut self, now: Duration) -> Option<Released> {
        let (&sequence, first) = self.held.first_key_value()?;
        let full = self.held.len() > PACKETS_MAX || self.bytes > BYTES_MAX;
        let waited = |wait| full || now.saturating_sub(first.arrival) >= wait;
        match self.state {
            State::Starting if waited(START_WAIT) => {
                self.state = State::Running { next: sequence };
                Some(Released::Gap { packets: 0 })
            }
            State::Running { next } if sequence == next => {
                let packet = self.held.remove(&sequence)?;
                self.bytes -= packet.payload.len();
                self.state = State::Running { next: next + 1 };
                Some(Released::Packet(packet))
            }
            State::Running { next } if waited(HOLE_WAIT) => {
                self.state = State::Running { next: sequence };
                Some(Released::Gap {
                    packets: sequence - next,
                })
            }
            State::Starting | State::Running { .. } => None,
        }
    }

    /// Forgets what it holds and the numbering: the next packets may have any numbers.
    pub(crate) fn restart(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests;
