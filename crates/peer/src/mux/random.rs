//! Choices that a seed repeats: SSRCs, CNAMEs, hash keys. Not here: secrets.

/// SplitMix64: spreads the seed over choices that need to be distinct, not secret.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let words = seed.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        Self(words.fold(0, |mixed, word| mixed.rotate_left(17) ^ word))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}
