//! Cuts an input into numbers and slices.

/// What is left of an input. Beyond its end, numbers are 0 and slices empty.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub fn word(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    /// At most `len` bytes.
    pub fn slice(&mut self, len: usize) -> &'a [u8] {
        let (slice, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        slice
    }

    pub fn array<const LEN: usize>(&mut self) -> [u8; LEN] {
        let mut array = [0; LEN];
        let slice = self.slice(LEN);
        array[..slice.len()].copy_from_slice(slice);
        array
    }
}
