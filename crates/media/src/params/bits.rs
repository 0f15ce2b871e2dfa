//! Bits of a header, from the most significant of its first byte on.

/// What is left of a header. Every field is none beyond its end.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Of the next bit.
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// A field of at most 32 bits.
    pub(super) fn read(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    /// A field of at most 8 bits.
    pub(super) fn byte(&mut self, count: u32) -> Option<u8> {
        self.read(count).and_then(|value| u8::try_from(value).ok())
    }

    pub(super) fn skip(&mut self, count: u32) -> Option<()> {
        self.at += count as usize;
        (self.at <= 8 * self.bytes.len()).then_some(())
    }

    /// ue(v) of H.265 (§9.2) and uvlc() of AV1 (§4.10.3), of less than 32 bits.
    pub(super) fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros == 32 {
                return None;
            }
        }
        Some(((1_u64 << zeros) - 1) as u32 + self.read(zeros)?)
    }
}
