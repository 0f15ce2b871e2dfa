//! NAL units as they come whole, in aggregates and in fragments, each put behind its length: what H.264 and H.265 share.
//!
//! Not here: what a unit is, and whether it may come in this way.

use super::Damage;

/// FU header bits, the same in RFC 6184 §5.8 and RFC 7798 §4.4.3.
pub(super) const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;

/// The unit whose fragments are arriving.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    /// Where in the frame it begins.
    start: Option<usize>,
}

impl Fragments {
    pub(super) fn are_arriving(&self) -> bool {
        self.start.is_some()
    }

    /// Forgets the unit; true if there was one.
    pub(super) fn abandon(&mut self) -> bool {
        self.start.take().is_some()
    }

    /// One fragment, behind its FU header; `header` is the unit's own. Returns where the unit begins once it is whole.
    pub(super) fn append(
        &mut self,
        fu: u8,
        header: &[u8],
        fragment: &[u8],
        data: &mut Vec<u8>,
    ) -> Result<Option<usize>, Damage> {
        let start = match (fu & FU_START != 0, self.start) {
            (true, None) => begin(header, data),
            (false, Some(start)) => start,
            (true, Some(_)) | (false, None) => return Err(Damage::StrayFragment),
        };
        data.extend_from_slice(fragment);
        // Start and end in one packet are forbidden, yet mean a whole unit where they come.
        if fu & FU_END == 0 {
            self.start = Some(start);
            return Ok(None);
        }
        self.start = None;
        Ok(Some(start))
    }
}

/// Begins a unit with these bytes, behind room for its length. Returns where.
pub(super) fn begin(bytes: &[u8], data: &mut Vec<u8>) -> usize {
    let start = data.len();
    data.extend_from_slice(&[0; 4]);
    data.extend_from_slice(bytes);
    start
}

/// Writes the length of the unit that begins at `start` and ends the data.
pub(super) fn end(start: usize, data: &mut [u8]) {
    let length = (data.len() - start - 4) as u32;
    data[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// The units of an aggregate, each behind its length of 16 bits.
pub(super) fn aggregated(mut body: &[u8]) -> impl Iterator<Item = Result<&[u8], Damage>> {
    std::iter::from_fn(move || {
        if body.is_empty() {
            return None;
        }
        let split = body.split_first_chunk::<2>().and_then(|(size, rest)| {
            let size = usize::from(u16::from_be_bytes(*size));
            rest.split_at_checked(size)
        });
        let (unit, rest) = split.unwrap_or_default();
        body = rest;
        Some(split.map(|_| unit).ok_or(Damage::Truncated))
    })
}
