//! Which packets of a stream to ask for again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Packets an encoder keeps for retransmission: FFmpeg 512, OBS about 1000. A longer gap cannot be repaired and only costs.
const HISTORY: u64 = 512;
/// Sequence numbers in one NACK. In the worst case each takes a word: 12 + 200 * 4 = 812 bytes.
const ASK_MAX: usize = 200;
/// Packets overtaken by a few others are not lost; paths that reorder do so within a few milliseconds.
const GRACE: Duration = Duration::from_millis(10);
/// The least time between two requests for one packet; more where answers take longer.
const REPEAT_MIN: Duration = Duration::from_millis(100);
/// No wait for an answer is longer: a packet later than that is of no use to anyone.
const REPEAT_MAX: Duration = Duration::from_millis(500);
/// Requests for one packet.
const TRIES: u8 = 10;
/// When a packet is given up: who plays live waits no longer.
const GIVE_UP: Duration = Duration::from_millis(1500);

/// The holes of one media SSRC. Sequence numbers are extended.
#[derive(Clone, Debug)]
pub struct Missing {
    highest: Option<u64>,
    /// Ascending; none is more than [`HISTORY`] below `highest`, so there are no more than that.
    holes: VecDeque<Hole>,
    /// How long answers take, smoothed.
    answer: Duration,
    /// Whether one has come.
    is_answered: bool,
}

#[derive(Clone, Copy, Debug)]
struct Hole {
    sequence: u64,
    since: Instant,
    asks: Asks,
}

#[derive(Clone, Copy, Debug)]
enum Asks {
    None,
    Some { first: Instant, last: Instant, n: u8 },
}

impl Default for Missing {
    fn default() -> Self {
        Self {
            highest: None,
            holes: VecDeque::new(),
            answer: REPEAT_MIN,
            is_answered: false,
        }
    }
}

impl Missing {
    /// Continues after `highest`: what was sent while nobody listened is missing as soon as the next packet arrives.
    pub fn restored(highest: u64) -> Self {
        Self {
            highest: Some(highest),
            ..Self::default()
        }
    }

    /// A packet that arrived, by whatever way.
    pub fn received(&mut self, now: Instant, sequence: u64) {
        let Some(highest) = self.highest else {
            self.highest = Some(sequence);
            return;
        };
        if sequence <= highest {
            return self.fill(now, sequence);
        }
        self.highest = Some(sequence);
        if sequence == highest + 1 {
            return;
        }
        if sequence - highest > HISTORY {
            self.holes.clear();
        } else {
            self.forget_below(sequence.saturating_sub(HISTORY));
            let missing = highest + 1..sequence;
            self.holes.extend(missing.map(|sequence| Hole {
                sequence,
                since: now,
                asks: Asks::None,
            }));
        }
    }

    /// Sequence numbers to ask for now, ascending, at most 200; what does not fit is due at the next call. They count as asked.
    pub fn due(&mut self, now: Instant) -> Vec<u16> {
        let oldest = self.highest.unwrap_or(0).saturating_sub(HISTORY);
        self.holes
            .retain(|hole| hole.sequence >= oldest && !hole.is_hopeless(now));
        let repeat = self.answer.clamp(REPEAT_MIN, REPEAT_MAX);
        let due = self
            .holes
            .iter_mut()
            .filter(|hole| hole.is_due(now, repeat))
            .take(ASK_MAX);
        due.map(|hole| {
            hole.ask(now);
            hole.sequence as u16
        })
        .collect()
    }

    /// From a request to the packet that it asked for, smoothed: the round-trip time, as far as a receiver can know it. None before the
    /// first answer.
    pub fn round_trip(&self) -> Option<Duration> {
        self.is_answered.then_some(self.answer)
    }

    /// Whether there is nothing to ask for, now or later.
    pub fn is_empty(&self) -> bool {
        self.holes.is_empty()
    }

    fn fill(&mut self, now: Instant, sequence: u64) {
        let Ok(at) = self.holes.binary_search_by_key(&sequence, |hole| hole.sequence) else {
            return;
        };
        if let Some(Hole {
            asks: Asks::Some { first, .. },
            ..
        }) = self.holes.remove(at)
        {
            // From the first request on: an answer to a later one makes this too long, which only makes us ask less.
            let answer = now.saturating_duration_since(first).min(REPEAT_MAX);
            // The first is no average's eighth: what stood there before was a guess.
            let weight = if self.is_answered { 7 } else { 0 };
            self.answer = (self.answer * weight + answer) / (weight + 1);
            self.is_answered = true;
        }
    }

    fn forget_below(&mut self, oldest: u64) {
        while self.holes.front().is_some_and(|hole| hole.sequence < oldest) {
            self.holes.pop_front();
        }
    }
}

impl Hole {
    fn is_hopeless(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= GIVE_UP
    }

    fn is_due(&self, now: Instant, repeat: Duration) -> bool {
        match self.asks {
            Asks::None => now.saturating_duration_since(self.since) >= GRACE,
            Asks::Some { last, n, .. } => n < TRIES && now.saturating_duration_since(last) >= repeat,
        }
    }

    fn ask(&mut self, now: Instant) {
        self.asks = match self.asks {
            Asks::None => Asks::Some {
                first: now,
                last: now,
                n: 1,
            },
            Asks::Some { first, n, .. } => Asks::Some {
                first,
                last: now,
                n: n + 1,
            },
        };
    }
}

#[cfg(test)]
mod tests;
