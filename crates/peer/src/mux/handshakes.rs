//! DTLS datagrams that wait for their turn, so that hundreds of reconnecting encoders do not stall media.
//!
//! Only datagrams of validated addresses get here. Not here: what is in them.

use std::collections::VecDeque;

use super::SessionKey;

/// 1024 × at most 2 KiB = 2 MiB. 500 sessions reconnecting at once have two datagrams each in flight.
const DATAGRAMS_MAX: usize = 1024;
/// One client's whole flight, certificate fragments included, is under ten datagrams.
const DATAGRAMS_PER_SESSION_MAX: usize = 16;
/// The same of a session with data channels: a congestion window that has grown, of 64 packets.
const DATAGRAMS_OF_DATA_MAX: usize = 64;
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
    /// False if it does not fit; DTLS repeats itself, and so does SCTP within it.
    pub(crate) fn push(&mut self, key: SessionKey, datagram: &[u8], has_data: bool) -> bool {
        let most = if has_data {
            DATAGRAMS_OF_DATA_MAX
        } else {
            DATAGRAMS_PER_SESSION_MAX
        };
        let crowded = self.queue.len() >= DATAGRAMS_MAX
            || datagram.len() > DATAGRAM_BYTES_MAX
            || self.queue.iter().filter(|waiting| waiting.key == key).count() >= most;
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
