//! What of an encoder's packets rtc-sctp may see.
//!
//! Its receive window counts payload bytes. That leaves open how many chunks, empty ones too, it keeps; it moves to a FORWARD TSN one
//! number at a time, across half of 2^32; it remembers each reset it cannot do yet; and some kinds of chunk it answers each with a packet
//! of its own, which made 178 packets of one. Those are bounded here, by a picture of its state that its own acknowledgements keep true.

use std::time::Instant;

use super::{
    RECEIVE_WINDOW, STREAMS_MAX,
    packet::{self, Chunk, Init, Kind},
};
use crate::budget::Budget;

/// Numbers from the last acknowledged one on that DATA and FORWARD TSN may name, and so packets of at most 2 KiB that wait for a lost
/// one: 2 MiB of one session at the very worst. 256 KiB, the window, are 230 chunks of 1150 bytes.
const AHEAD_MAX: u32 = 1024;
/// DATA chunks that make no whole message yet. One of 64 KiB has 57 fragments of 1150 bytes; the shortest that libwebrtc cuts, where a
/// congestion window ends, are an exception.
const HELD_MAX: u32 = 512;
/// rtc-sctp looks at all of those for each DATA chunk that arrives, at 4 ns each. So many looks per second, and at once, are 4 ms of CPU;
/// what goes beyond, the encoder takes for a slow path. 1000 packets per second behind a full window, of 230 chunks, need a quarter; 480
/// fragments of nothing, and 28 messages of a byte in each of 1000 packets, 13 times as many. A lower HELD_MAX would drop honest chunks
/// within the window, and for good, as what FORWARD TSN abandons stays counted until all is read.
const LOOKS_PER_SECOND: u32 = 1 << 20;
const LOOKS_BURST: u32 = 1 << 20;
/// Blocks of an acknowledgement. Of 256 messages that may be under way from us, hardly more than a quarter are holes.
const GAPS_MAX: u16 = 64;
/// RE-CONFIG chunks per second, and at once: each closes channels, and the answer is remembered until it is answered.
const RESETS_PER_SECOND: u32 = 8;
const RESETS_BURST: u32 = 64;
/// HEARTBEAT and COOKIE ECHO chunks per second, and at once: each is answered. Encoders send the first each 30 s (RFC 9260 §8.3), the
/// other until it was answered, at 1 s and more from the one before (§6.3.1).
const ANSWERS_PER_SECOND: u32 = 4;
const ANSWERS_BURST: u32 = 16;
/// How many of a packet's chunks may be of these kinds, for which a packet leaves each. Nobody bundles one with its like but a request
/// to reset with a response to another (RFC 6525 §5.1.1).
const PER_PACKET_MAX: [(Kind, usize); 4] = [
    (Kind::Heartbeat, 1),
    (Kind::CookieEcho, 1),
    (Kind::ForwardTsn, 1),
    (Kind::Reconfig, 2),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    /// As if the network had lost it.
    Drop,
    /// The encoder ends the association, or sends what no SCTP sends.
    End,
}

#[derive(Debug)]
pub(super) struct Guard {
    /// None until the handshake tells the first.
    numbers: Option<Numbers>,
    resets: Budget,
    answers: Budget,
    looks: Budget,
}

/// Where the encoder's transmission sequence numbers (TSN) are.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    /// The last in sequence, as we told the encoder; rtc-sctp is at most a few packets further.
    acknowledged: u32,
    /// The highest handed on.
    highest: u32,
    /// Of those up to `highest`, how many chunks may still be kept: never too few.
    held: u32,
    /// Whether the encoder may say FORWARD TSN.
    forwards: bool,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            numbers: None,
            resets: Budget::new(RESETS_PER_SECOND, RESETS_BURST),
            answers: Budget::new(ANSWERS_PER_SECOND, ANSWERS_BURST),
            looks: Budget::new(LOOKS_PER_SECOND, LOOKS_BURST),
        }
    }
}

impl Guard {
    pub(super) fn following(init: &Init) -> Self {
        Self {
            numbers: Some(Numbers::following(init)),
            ..Self::default()
        }
    }

    pub(super) fn judge(&mut self, now: Instant, packet: &[u8]) -> Verdict {
        if is_crowded(packet) {
            return Verdict::Drop;
        }
        let before = self.numbers;
        let mut looks = 0;
        for chunk in packet::chunks(packet) {
            let verdict = chunk.map_or(Verdict::Drop, |chunk| self.judge_chunk(now, &chunk));
            if verdict != Verdict::Pass {
                self.numbers = before;
                return verdict;
            }
            looks += chunk.map_or(0, |chunk| self.looked_at(&chunk));
        }
        if !self.looks.take_many(now, looks) {
            self.numbers = before;
            return Verdict::Drop;
        }
        Verdict::Pass
    }

    /// So many chunks left as whole messages.
    pub(super) fn taken(&mut self, chunks: usize) {
        if let Some(numbers) = &mut self.numbers {
            numbers.held = numbers.held.saturating_sub(u32::try_from(chunks).unwrap_or(u32::MAX));
        }
    }

    /// A packet from us: what it acknowledges is known to be true, and a window that is all open says that nothing is kept.
    pub(super) fn sent(&mut self, packet: &[u8]) {
        let Some(numbers) = &mut self.numbers else { return };
        let sacks = packet::chunks(packet)
            .flatten()
            .filter(|chunk| chunk.kind == Kind::Sack);
        for sack in sacks {
            let (Some(acknowledged), Some(window)) = (sack.word(0), sack.word(4)) else {
                continue;
            };
            numbers.acknowledged = acknowledged;
            if window == RECEIVE_WINDOW {
                numbers.held = 0;
            }
        }
    }

    /// Chunks that rtc-sctp looks at for this one.
    fn looked_at(&self, chunk: &Chunk<'_>) -> u32 {
        match (chunk.kind, &self.numbers) {
            (Kind::Data, Some(numbers)) => numbers.held,
            _ => 0,
        }
    }

    fn judge_chunk(&mut self, now: Instant, chunk: &Chunk<'_>) -> Verdict {
        if matches!(chunk.kind, Kind::Heartbeat | Kind::CookieEcho) && !self.answers.take(now) {
            return Verdict::Drop;
        }
        let Some(numbers) = &mut self.numbers else {
            // We began: all that may come is the answer, or an end.
            match (chunk.kind, Init::of(chunk)) {
                (Kind::InitAck, Some(init)) => self.numbers = Some(Numbers::following(&init)),
                (Kind::Plain | Kind::Heartbeat | Kind::CookieEcho, _) => {}
                (Kind::Abort, _) => return Verdict::End,
                _ => return Verdict::Drop,
            }
            return Verdict::Pass;
        };
        match chunk.kind {
            // rtc-sctp takes no second answer.
            Kind::Plain | Kind::Heartbeat | Kind::CookieEcho | Kind::InitAck => Verdict::Pass,
            // One that stands alone never gets here.
            Kind::Init => Verdict::Drop,
            // The causes of these two are read by rtc-sctp beyond their end, which panics. An error is no end, and nothing that we
            // send is unknown to an encoder.
            Kind::Abort => Verdict::End,
            Kind::Error => Verdict::Drop,
            Kind::Data => numbers.judge_data(chunk),
            // rtc-sctp would answer with an ERROR.
            Kind::ForwardTsn if !numbers.forwards => Verdict::Drop,
            Kind::ForwardTsn => numbers.judge_forward(chunk),
            Kind::Sack if chunk.half(8).is_some_and(|gaps| gaps <= GAPS_MAX) => Verdict::Pass,
            Kind::Sack => Verdict::Drop,
            Kind::Reconfig if numbers.is_early(chunk) || !self.resets.take(now) => Verdict::Drop,
            Kind::Reconfig => Verdict::Pass,
        }
    }
}

impl Numbers {
    fn following(init: &Init) -> Self {
        let before = init.first.wrapping_sub(1);
        Self {
            acknowledged: before,
            highest: before,
            held: 0,
            forwards: init.forwards,
        }
    }

    fn judge_data(&mut self, chunk: &Chunk<'_>) -> Verdict {
        /// TSN, stream, its sequence number, payload protocol.
        const HEADER_BYTES: usize = 12;
        let (Some(tsn), Some(stream)) = (chunk.word(0), chunk.half(4)) else {
            return Verdict::End;
        };
        // RFC 9260 §3.3.1: DATA without data is an error, and would cost the window nothing.
        if chunk.body.len() <= HEADER_BYTES || stream >= STREAMS_MAX {
            return Verdict::End;
        }
        if self.is_old(tsn) {
            return Verdict::Pass;
        }
        let ahead = distance(self.acknowledged, tsn);
        // Acknowledgements of rtc-sctp name no gap rightly that spans the end of 2^32: beyond it, one after the other.
        let wraps = tsn < self.acknowledged;
        if ahead > AHEAD_MAX || wraps && ahead > 1 {
            return Verdict::Drop;
        }
        let further = distance(self.highest, tsn);
        if further <= AHEAD_MAX {
            if self.held + further > HELD_MAX {
                return Verdict::Drop;
            }
            self.held += further;
            self.highest = tsn;
        }
        Verdict::Pass
    }

    fn judge_forward(&mut self, chunk: &Chunk<'_>) -> Verdict {
        let Some(tsn) = chunk.word(0) else {
            return Verdict::End;
        };
        if self.is_old(tsn) {
            return Verdict::Pass;
        }
        if distance(self.acknowledged, tsn) > AHEAD_MAX {
            return Verdict::Drop;
        }
        if distance(self.highest, tsn) <= AHEAD_MAX {
            self.highest = tsn;
        }
        Verdict::Pass
    }

    /// Whether a RE-CONFIG has a reset that has to wait for data. An encoder resets once its data was acknowledged, or says it again
    /// (RFC 6525 §5.1.2); rtc-sctp would keep it.
    fn is_early(&self, chunk: &Chunk<'_>) -> bool {
        /// RFC 6525 §4.1.
        const OUTGOING_RESET_REQUEST: u16 = 13;
        let mut at = 0;
        while let (Some(kind), Some(length)) = (chunk.half(at), chunk.half(at + 2)) {
            let last = chunk.word(at + 12);
            if kind == OUTGOING_RESET_REQUEST && last.is_none_or(|last| !self.is_old(last)) {
                return true;
            }
            at += usize::from(length.max(4)).next_multiple_of(4);
        }
        false
    }

    /// Acknowledged already (RFC 1982).
    fn is_old(&self, tsn: u32) -> bool {
        distance(tsn, self.acknowledged) < 1 << 31
    }
}

fn is_crowded(packet: &[u8]) -> bool {
    PER_PACKET_MAX.iter().any(|(kind, most)| {
        let alike = packet::chunks(packet).flatten().filter(|chunk| chunk.kind == *kind);
        alike.count() > *most
    })
}

fn distance(from: u32, to: u32) -> u32 {
    to.wrapping_sub(from)
}
