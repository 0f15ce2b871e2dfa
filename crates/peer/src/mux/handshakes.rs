//! DTLS datagrams that wait for their turn, so that hundreds of reconnecting encoders do not stall media.
//!
//! Only datagrams of validated addresses get here. Not here: what is in them.

use std::collections::VecDeque;

use super::SessionKey;

/// 1024 × at most 2 KiB = 2 MiB. 500 sessions reconnecting at once have two datagrams each in flight.
const DATAGRAMS_MAX: usize = 1024;
/// One client's whole flight, certificate fragments included, is under ten datagrams.
const DATAGRAMS_PER_SESSION_MAX: usize = 16;
/// An encoder's path carries no larger DTLS datagram: 1500 bytes of Ethernet, and room for odd links.
const DATAGRAM_BYTES_MAX: usize = 2048;

#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    queue: VecDeque<Waiting>,
}

#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) key: SessionKey,
    pub(crate) datagram: Box<[u8]>,
}

impl Handshakes {
    /// False if it does not fit; DTLS repeats itself.
    pub(crate) fn push(&mut self, key: SessionKey, datagram: &[u8]) -> bool {
        let crowded = self.queue.len() >= DATAGRAMS_MAX
            || datagram.len() > DATAGRAM_BYTES_MAX
            || self.queue.iter().filter(|waiting| waiting.key == key).count() >= DATAGRAMS_PER_SESSION_MAX;
        if !crowded {
            self.queue.push_back(Waiting {
                key,
                datagram: datagram.into(),
            });
        }
        !crowded
    }

    pub(crate) fn pop(&mut self) -> Option<Waiting> {
        self.queue.pop_front()
    }
}
