//! `Range` (RFC 9110 §14.2) of one range of bytes, and what of a file it comes to.
//!
//! Must not know statuses: whoever renders a [`Part`] does. Nothing else of this crate is used here, as a fuzz target compiles this file
//! by itself. A header that names several ranges, another unit or nothing that can be
//! read is no [`Range`]: the RFC lets a server answer it with the whole.

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// `bytes=500-`
    From(u64),
    /// `bytes=500-999`: the first and the last byte.
    Within(u64, u64),
    /// `bytes=-500`
    Last(u64),
}

/// Bytes of a file, from the first to the last, which is within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Range {
    /// Takes the values of all `Range` header lines.
    pub(crate) fn parse<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut values = values.into_iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let (unit, range) = value.split_at_checked("bytes=".len())?;
        // Units are compared without case (RFC 9110 §14.1).
        if !unit.eq_ignore_ascii_case(b"bytes=") {
            return None;
        }
        let range = range.trim_ascii();
        let dash = range.iter().position(|byte| *byte == b'-')?;
        match (&range[..dash], &range[dash + 1..]) {
            (b"", last) => number(last).map(Self::Last),
            (first, b"") => number(first).map(Self::From),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Within(first, last))
            }
        }
    }

    /// What it comes to in a file of so many bytes: none where it begins behind the end, or is nothing.
    pub(crate) fn of(self, size: u64) -> Option<Part> {
        let end = size.checked_sub(1)?;
        let (first, last) = match self {
            Self::From(first) => (first, end),
            Self::Within(first, last) => (first, last.min(end)),
            Self::Last(0) => return None,
            Self::Last(bytes) => (size.saturating_sub(bytes), end),
        };
        (first <= end).then_some(Part { first, last })
    }
}

impl Part {
    /// In bytes. Never 0.
    pub(crate) fn len(self) -> u64 {
        self.last - self.first + 1
    }
}

/// One digit or more. What is larger than any file is the largest number.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, add))
}
