//! Media that overtakes the handshake. It holds an encoder's first keyframe, which none of them sends twice unasked.

use std::{collections::VecDeque, time::Instant};

use crate::Path;

/// One keyframe of 64 packets, and no more memory than 500 sessions can all claim at once (48 MiB).
const PACKETS_MAX: usize = 64;
const BYTES_MAX: usize = 96 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Held {
    packets: VecDeque<HeldPacket>,
    bytes: usize,
}

#[derive(Debug)]
pub(crate) struct HeldPacket {
    pub(crate) arrival: Instant,
    pub(crate) path: Path,
    pub(crate) datagram: Vec<u8>,
}

impl Held {
    /// False if it does not fit.
    pub(crate) fn push(&mut self, arrival: Instant, path: Path, datagram: &[u8]) -> bool {
        let fits = self.packets.len() < PACKETS_MAX && self.bytes + datagram.len() <= BYTES_MAX;
        if fits {
            self.bytes += datagram.len();
            self.packets.push_back(HeldPacket {
                arrival,
                path,
                datagram: datagram.to_vec(),
            });
        }
        fits
    }

    pub(crate) fn pop(&mut self) -> Option<HeldPacket> {
        let packet = self.packets.pop_front()?;
        self.bytes -= packet.datagram.len();
        Some(packet)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }
}
