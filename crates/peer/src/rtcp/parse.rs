//! A compound packet, report by report.

use super::{BYE, SENDER_REPORT};

/// A packet's header, bytes.
const HEADER_LEN: usize = 4;

/// One packet of a compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report<'a> {
    /// RFC 3550 §6.4.1: `timestamp` is the RTP time of `ntp`, which is 32.32 fixed point.
    SenderReport { ssrc: u32, ntp: u64, timestamp: u32 },
    /// RFC 3550 §6.6: these sources send no more. Big-endian SSRCs.
    Bye { ssrcs: &'a [[u8; 4]] },
    /// Any other, by its packet type.
    Other { packet_type: u8 },
}

/// Reads an opened SRTCP packet. Tolerant: no order is asked for, a packet of unknown kind is named and skipped, and the first that is
/// malformed ends the iteration.
pub fn reports(compound: &[u8]) -> Reports<'_> {
    Reports { rest: compound }
}

/// See [`reports`].
#[derive(Clone, Debug)]
pub struct Reports<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Reports<'a> {
    type Item = Report<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let report = self
            .split()
            .and_then(|(flags, packet_type, body)| read(flags, packet_type, body));
        if report.is_none() {
            self.rest = &[];
        }
        report
    }
}

impl<'a> Reports<'a> {
    /// First byte, packet type and body of the next packet.
    fn split(&mut self) -> Option<(u8, u8, &'a [u8])> {
        let (&[flags, packet_type, high, low], rest) = self.rest.split_first_chunk::<HEADER_LEN>()?;
        if flags >> 6 != 2 {
            return None;
        }
        let len = 4 * usize::from(u16::from_be_bytes([high, low]));
        let (body, rest) = rest.split_at_checked(len)?;
        self.rest = rest;
        Some((flags, packet_type, body))
    }
}

fn read(flags: u8, packet_type: u8, body: &[u8]) -> Option<Report<'_>> {
    match packet_type {
        SENDER_REPORT => Some(Report::SenderReport {
            ssrc: word(body, 0)?,
            ntp: u64::from(word(body, 4)?) << 32 | u64::from(word(body, 8)?),
            timestamp: word(body, 12)?,
        }),
        BYE => {
            let (words, _) = body.as_chunks();
            words
                .get(..usize::from(flags & 0x1f))
                .map(|ssrcs| Report::Bye { ssrcs })
        }
        _ => Some(Report::Other { packet_type }),
    }
}

fn word(body: &[u8], at: usize) -> Option<u32> {
    body.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}
