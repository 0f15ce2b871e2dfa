//! One feedback packet, its statuses and deltas.

use crate::rtcp::{TRANSPORT_FEEDBACK, write};

/// A feedback packet with its SRTCP trailer fits any path: 1200 - 20 bytes.
const LEN_MAX: usize = 1180;
/// Everything before the chunks: header, both SSRCs, base, count, reference time, feedback count.
const FIXED_LEN: usize = 20;
/// The last chunk may hold a single symbol.
const LAST_CHUNK_LEN: usize = 2;
/// To the end of a word.
const PADDING_MAX: usize = 3;
/// Ticks of 250 us in one of the reference time's 64 ms.
const REFERENCE_TICKS: u64 = 256;
/// Statuses a run-length chunk can say: 13 bits.
const RUN_MAX: u16 = 8191;
/// Symbols of a status vector, with one and with two bits each.
const ONE_BIT_SYMBOLS: usize = 14;
const TWO_BIT_SYMBOLS: usize = 7;
/// The packet's status count has 16 bits; one gap more must still fit.
const STATUSES_MAX: u64 = 1 << 15;

/// This arrival does not fit this packet any more: begin another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Symbol {
    Lost = 0,
    Small = 1,
    Large = 2,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    symbol: Symbol,
    count: u16,
}

pub(super) struct Encoder {
    base: u64,
    next: u64,
    /// In 64 ms.
    reference: u64,
    last: u64,
    runs: Vec<Run>,
    deltas: Vec<u8>,
    /// An upper bound of the chunks' length, in 1/7 byte.
    chunks_sevenths: usize,
}

impl Encoder {
    /// For packets from `base` on, the first of which arrived at `at` ticks.
    pub(super) fn new(base: u64, at: u64) -> Self {
        let reference = at / REFERENCE_TICKS;
        Self {
            base,
            next: base,
            reference,
            last: reference * REFERENCE_TICKS,
            runs: Vec::new(),
            deltas: Vec::new(),
            chunks_sevenths: 0,
        }
    }

    /// The sequence number after the last one pushed.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Adds an arrival; those between it and the last are lost. The first one always fits.
    pub(super) fn push(&mut self, sequence: u64, at: u64) -> Result<(), Full> {
        let delta = at.cast_signed() - self.last.cast_signed();
        let lost = sequence - self.next;
        let delta = i16::try_from(delta).map_err(|_| Full)?;
        let small = u8::try_from(delta).ok();
        // Each chunk but the last holds 7 symbols or more, in 2 bytes; a gap, however long, costs 3 chunks at most.
        let chunks_sevenths = self.chunks_sevenths + if lost > 0 { 44 } else { 2 };
        let len = FIXED_LEN + chunks_sevenths.div_ceil(7) + LAST_CHUNK_LEN + self.deltas.len() + 2 + PADDING_MAX;
        let statuses = sequence - self.base;
        if !self.runs.is_empty() && (len > LEN_MAX || statuses >= STATUSES_MAX) {
            return Err(Full);
        }
        self.chunks_sevenths = chunks_sevenths;
        self.last = at;
        self.next = sequence + 1;
        self.status(Symbol::Lost, lost as u16);
        match small {
            Some(delta) => {
                self.status(Symbol::Small, 1);
                self.deltas.push(delta);
            }
            None => {
                self.status(Symbol::Large, 1);
                self.deltas.extend_from_slice(&delta.to_be_bytes());
            }
        }
        Ok(())
    }

    /// Writes the packet.
    pub(super) fn finish(self, out: &mut Vec<u8>, sender: u32, media: u32, count: u8) {
        const FORMAT: u8 = 15;
        const PADDED: u8 = 0x20;
        let start = out.len();
        write::header(out, FORMAT, TRANSPORT_FEEDBACK, 0);
        write::word(out, sender);
        write::word(out, media);
        out.extend_from_slice(&(self.base as u16).to_be_bytes());
        out.extend_from_slice(&((self.next - self.base) as u16).to_be_bytes());
        write::word(out, (self.reference as u32) << 8 | u32::from(count));
        chunks(&self.runs, out);
        out.extend_from_slice(&self.deltas);
        let padding = (start.wrapping_sub(out.len())) % 4;
        if padding > 0 {
            out.resize(out.len() + padding - 1, 0);
            out.push(padding as u8);
            out[start] |= PADDED;
        }
        write::set_len(out, start);
    }

    fn status(&mut self, symbol: Symbol, count: u16) {
        if count == 0 {
            return;
        }
        match self.runs.last_mut() {
            Some(last) if last.symbol == symbol && last.count <= RUN_MAX - count => last.count += count,
            _ => self.runs.push(Run { symbol, count }),
        }
    }
}

/// Packs runs into chunks: a run-length chunk where a run is at least as long as what a vector would hold, else a vector.
fn chunks(runs: &[Run], out: &mut Vec<u8>) {
    let mut rest = Symbols { runs, taken: 0 };
    while let Some(run) = rest.run() {
        let mut window = [Symbol::Lost; ONE_BIT_SYMBOLS];
        let held = rest.peek(&mut window);
        let two_bits = window[..held].contains(&Symbol::Large);
        let taken = if two_bits { held.min(TWO_BIT_SYMBOLS) } else { held };
        let chunk = if usize::from(run.count) >= taken {
            rest.skip(run.count);
            (run.symbol as u16) << 13 | run.count
        } else {
            rest.skip(taken as u16);
            vector(&window[..taken], two_bits)
        };
        out.extend_from_slice(&chunk.to_be_bytes());
    }
}

/// The first symbol is in the highest bits; what is over stays 0.
fn vector(symbols: &[Symbol], two_bits: bool) -> u16 {
    let (form, width) = if two_bits { (0b11 << 14, 2) } else { (0b10 << 14, 1) };
    symbols.iter().enumerate().fold(form, |chunk, (at, symbol)| {
        chunk | (*symbol as u16) << (14 - width * (at + 1))
    })
}

struct Symbols<'a> {
    runs: &'a [Run],
    /// Of the first run.
    taken: u16,
}

impl Symbols<'_> {
    /// What is left of the first run.
    fn run(&self) -> Option<Run> {
        self.runs.first().map(|run| Run {
            count: run.count - self.taken,
            ..*run
        })
    }

    /// The next symbols, as many as there are and `window` holds.
    fn peek(&self, window: &mut [Symbol]) -> usize {
        let symbols = self
            .runs
            .iter()
            .flat_map(|run| std::iter::repeat_n(run.symbol, usize::from(run.count)));
        let mut held = 0;
        for (place, symbol) in window.iter_mut().zip(symbols.skip(usize::from(self.taken))) {
            *place = symbol;
            held += 1;
        }
        held
    }

    fn skip(&mut self, count: u16) {
        let mut left = count;
        while let [run, rest @ ..] = self.runs {
            let there = run.count - self.taken;
            if left < there {
                self.taken += left;
                return;
            }
            left -= there;
            self.taken = 0;
            self.runs = rest;
        }
    }
}
