//! Bits into a NAL unit: fixed-width fields, Exp-Golomb codes (H.264 clause 9.1), and emulation prevention (clause 7.4.1).

/// A NAL unit in the making: its header byte, then what is put into it.
pub(super) struct NalWriter {
    header: u8,
    payload: Vec<u8>,
    /// Bits not yet in `payload`, the oldest uppermost of the `pending` lowest bits.
    partial: u64,
    pending: u32,
}

impl NalWriter {
    pub(super) fn new(header: u8) -> Self {
        Self {
            header,
            payload: Vec::new(),
            partial: 0,
            pending: 0,
        }
    }

    /// The `width` lowest bits of `value`, at most 32.
    pub(super) fn bits(&mut self, value: u32, width: u32) {
        debug_assert!(width == 32 || u64::from(value) < 1 << width);
        self.partial = self.partial << width | u64::from(value);
        self.pending += width;
        while self.pending >= 8 {
            self.pending -= 8;
            self.payload.push((self.partial >> self.pending) as u8);
        }
        self.partial &= (1 << self.pending) - 1;
    }

    pub(super) fn flag(&mut self, value: bool) {
        self.bits(u32::from(value), 1);
    }

    /// ue(v).
    pub(super) fn unsigned(&mut self, value: u32) {
        let code = value + 1;
        let length = 32 - code.leading_zeros();
        self.bits(0, length - 1);
        self.bits(code, length);
    }

    /// se(v).
    pub(super) fn signed(&mut self, value: i32) {
        let magnitude = value.unsigned_abs();
        self.unsigned(if value > 0 { 2 * magnitude - 1 } else { 2 * magnitude });
    }

    /// Zero bits up to the next byte boundary.
    pub(super) fn align(&mut self) {
        if self.pending > 0 {
            self.bits(0, 8 - self.pending);
        }
    }

    /// Whole bytes; the writer must be aligned.
    pub(super) fn bytes(&mut self, bytes: impl IntoIterator<Item = u8>) {
        debug_assert_eq!(self.pending, 0);
        self.payload.extend(bytes);
    }

    /// Ends the NAL unit with its stop bit and appends it, behind a start code, to an Annex B stream.
    pub(super) fn finish(mut self, stream: &mut Vec<u8>) {
        self.flag(true);
        self.align();
        stream.extend([0, 0, 0, 1, self.header]);
        let mut zeros = 0;
        for byte in self.payload {
            if zeros == 2 && byte <= 3 {
                stream.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            stream.push(byte);
        }
    }
}
