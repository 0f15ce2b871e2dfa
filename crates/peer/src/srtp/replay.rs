//! Replay protection (RFC 3711 §3.3.2): each index is accepted once.

/// Indices below the highest that are still told apart. RFC 3711 asks for at least 64; 2048 is a second of a fast stream, because
/// OBS retransmits under the original sequence number. A multiple of 64.
pub const WINDOW: u64 = 2048;
const _: () = assert!(WINDOW >= 2048 && WINDOW.is_multiple_of(64));
/// Words of the bitmap.
pub const WORDS: usize = (WINDOW / 64) as usize;

/// Which indices were seen, as a ring of bits: index i has bit i mod [`WINDOW`].
///
/// `check` before authentication, `commit` after it, so that a forgery changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    highest: Option<u64>,
    seen: [u64; WORDS],
}

impl Default for Replay {
    fn default() -> Self {
        Self::new()
    }
}

impl Replay {
    /// Nothing seen.
    pub const fn new() -> Self {
        Self {
            highest: None,
            seen: [0; WORDS],
        }
    }

    /// Restored without a bitmap: `highest` and all below it count as seen.
    pub const fn from_highest(highest: u64) -> Self {
        Self {
            highest: Some(highest),
            seen: [u64::MAX; WORDS],
        }
    }

    /// Restored from what [`Self::highest`] and [`Self::words`] gave. None unless there are [`WORDS`] words.
    pub fn from_parts(highest: u64, words: &[u64]) -> Option<Self> {
        Some(Self {
            highest: Some(highest),
            seen: words.try_into().ok()?,
        })
    }

    /// The highest index committed.
    pub const fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// The bitmap, for [`Self::from_parts`].
    pub const fn words(&self) -> &[u64; WORDS] {
        &self.seen
    }

    /// Whether `index` is new: above the highest, or within the window and not seen.
    pub fn check(&self, index: u64) -> bool {
        match self.highest {
            Some(highest) if index <= highest => highest - index < WINDOW && !self.has(index),
            _ => true,
        }
    }

    /// Marks `index` as seen. Only after [`Self::check`] said yes and the packet authenticated.
    pub fn commit(&mut self, index: u64) {
        match self.highest {
            Some(highest) if index <= highest => {
                if highest - index >= WINDOW {
                    return;
                }
            }
            Some(highest) => {
                self.forget(highest + 1, index - highest);
                self.highest = Some(index);
            }
            None => self.highest = Some(index),
        }
        self.seen[word(index)] |= bit(index);
    }

    fn has(&self, index: u64) -> bool {
        self.seen[word(index)] & bit(index) != 0
    }

    /// Clears the bits of `count` indices from `first` on, whose places were those of indices now out of the window.
    fn forget(&mut self, first: u64, count: u64) {
        if count >= WINDOW {
            self.seen = [0; WORDS];
            return;
        }
        let mut index = first;
        let mut left = count;
        while left > 0 {
            // Up to the end of this word.
            let offset = index % 64;
            let n = left.min(64 - offset);
            let mask = (u64::MAX >> (64 - n)) << offset;
            self.seen[word(index)] &= !mask;
            index += n;
            left -= n;
        }
    }
}

const fn word(index: u64) -> usize {
    (index / 64) as usize % WORDS
}

const fn bit(index: u64) -> u64 {
    1 << (index % 64)
}

#[cfg(test)]
mod tests;
