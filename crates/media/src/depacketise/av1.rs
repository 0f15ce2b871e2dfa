//! AV1 (RTP Payload Format For AV1, v1.0): OBUs and fragments of them behind an aggregation header. A frame is a temporal
//! unit as a file has it (AV1 Codec ISO Media File Format Binding §2.4): every OBU with its size, no temporal delimiter.
//!
//! All layers are kept; a decoder shows the highest.

use super::Damage;
use crate::params::{
    self, Av1Parameters,
    av1::{self, OBU_EXTENSION, OBU_FORBIDDEN, OBU_HAS_SIZE, ObuType, leb128, obus, to_leb128},
};

/// Aggregation header bits (§4.4): the first element continues an OBU, the last one will be continued, a new coded
/// video sequence begins. Between them W, the number of elements, or 0 where each has a length.
const CONTINUES: u8 = 0x80;
const CONTINUED: u8 = 0x40;
const NEW_SEQUENCE: u8 = 0x08;

#[derive(Debug, Default)]
pub(super) struct Av1 {
    /// Where in the frame the OBU begins whose fragments are arriving.
    fragmented: Option<usize>,
    /// A frame's header is among the OBUs.
    has_picture: bool,
    /// The newest one, as a file has it; empty before the first.
    sequence_header: Vec<u8>,
}

impl Av1 {
    pub(super) fn append(&mut self, payload: &[u8], data: &mut Vec<u8>) -> Result<(), Damage> {
        let (&header, mut rest) = payload.split_first().ok_or(Damage::Truncated)?;
        if (header & CONTINUES != 0) != self.fragmented.is_some() {
            return Err(Damage::StrayFragment);
        }
        let count = elements(header);
        let mut index = 0;
        while !rest.is_empty() {
            index += 1;
            let (element, following) = element(rest, index == count)?;
            rest = following;
            self.append_element(element, rest.is_empty() && header & CONTINUED != 0, data)?;
        }
        if index == 0 || (count != 0 && index != count) {
            return Err(Damage::Truncated);
        }
        Ok(())
    }

    pub(super) fn end(&mut self, data: Vec<u8>) -> Result<Option<(Vec<u8>, bool)>, Damage> {
        let has_picture = std::mem::take(&mut self.has_picture);
        if self.fragmented.take().is_some() {
            return Err(Damage::Incomplete);
        }
        if !has_picture {
            return Ok(None);
        }
        if !av1::is_keyframe(&data) {
            return Ok(Some((data, false)));
        }
        let data = self.complete(data)?;
        Av1Parameters::of(&data).ok_or(Damage::InvalidHeader)?;
        Ok(Some((data, true)))
    }

    pub(super) fn abandon(&mut self) {
        self.fragmented = None;
        self.has_picture = false;
    }

    pub(super) fn has_picture(&self) -> bool {
        self.has_picture
    }

    /// An OBU, or a fragment of one, of which `more` will come.
    fn append_element(&mut self, element: &[u8], more: bool, data: &mut Vec<u8>) -> Result<(), Damage> {
        let start = self.fragmented.take().unwrap_or(data.len());
        data.extend_from_slice(element);
        if more {
            self.fragmented = Some(start);
            return Ok(());
        }
        self.end_obu(start, data)
    }

    /// Gives the OBU that begins at `start` its size, or leaves it out.
    fn end_obu(&mut self, start: usize, data: &mut Vec<u8>) -> Result<(), Damage> {
        let obu = &data[start..];
        let header = *obu.first().ok_or(Damage::InvalidHeader)?;
        if header & OBU_FORBIDDEN != 0 {
            return Err(Damage::InvalidHeader);
        }
        let kind = ObuType::of(header);
        if matches!(kind, ObuType::TemporalDelimiter | ObuType::TileList | ObuType::Padding) {
            data.truncate(start);
            return Ok(());
        }
        let header_len = if header & OBU_EXTENSION == 0 { 1 } else { 2 };
        let body = obu.get(header_len..).ok_or(Damage::Truncated)?;
        if header & OBU_HAS_SIZE != 0 {
            let (size, payload) = leb128(body).ok_or(Damage::Truncated)?;
            if size != payload.len() {
                return Err(Damage::InvalidHeader);
            }
        } else {
            let at = start + header_len;
            let size = to_leb128(body.len());
            data[start] |= OBU_HAS_SIZE;
            data.splice(at..at, size);
        }
        match kind {
            ObuType::SequenceHeader => self.learn(&data[start..])?,
            ObuType::Frame => self.has_picture = true,
            _ => {}
        }
        Ok(())
    }

    fn learn(&mut self, sequence_header: &[u8]) -> Result<(), Damage> {
        if sequence_header.len() > params::PARAMETER_SET_MAX {
            return Err(Damage::TooLarge);
        }
        if self.sequence_header != sequence_header {
            self.sequence_header = sequence_header.to_vec();
        }
        Ok(())
    }

    /// Puts the sequence header before a keyframe that lacks it, so that a decoder can begin there.
    fn complete(&self, data: Vec<u8>) -> Result<Vec<u8>, Damage> {
        if obus(&data).any(|obu| obu.kind == ObuType::SequenceHeader) {
            return Ok(data);
        }
        if self.sequence_header.is_empty() {
            return Err(Damage::NoParameterSets);
        }
        Ok([&self.sequence_header[..], &data].concat())
    }
}

/// The sequence header, without its OBU's header, in the packet that begins a coded video sequence: it comes first there (§4.4), but for a
/// delimiter.
pub(super) fn size_header(payload: &[u8]) -> Option<&[u8]> {
    let (&header, mut rest) = payload.split_first()?;
    if header & (NEW_SEQUENCE | CONTINUES) != NEW_SEQUENCE {
        return None;
    }
    let count = elements(header);
    for index in 1..=2 {
        let (obu, following) = element(rest, index == count).ok()?;
        let is_whole = !following.is_empty() || header & CONTINUED == 0;
        match ObuType::of(obu[0]) {
            ObuType::TemporalDelimiter => rest = following,
            ObuType::SequenceHeader if is_whole && obu.len() <= params::PARAMETER_SET_MAX => return body(obu),
            _ => return None,
        }
    }
    None
}

/// What an OBU has behind its header.
fn body(obu: &[u8]) -> Option<&[u8]> {
    let header = *obu.first()?;
    let body = obu.get(if header & OBU_EXTENSION == 0 { 1 } else { 2 }..)?;
    if header & OBU_FORBIDDEN != 0 {
        return None;
    }
    if header & OBU_HAS_SIZE == 0 {
        return Some(body);
    }
    let (size, payload) = leb128(body)?;
    (size == payload.len()).then_some(payload)
}

/// N: a coded video sequence begins with this packet (AV1 RTP §4.4).
pub(super) fn is_of_keyframe(payload: &[u8]) -> bool {
    payload
        .first()
        .is_some_and(|header| header & (NEW_SEQUENCE | CONTINUES) == NEW_SEQUENCE)
}

fn elements(header: u8) -> usize {
    usize::from(header >> 4 & 0x03)
}

/// The next OBU element and what follows it. The last of a counted number has no length.
fn element(rest: &[u8], is_last: bool) -> Result<(&[u8], &[u8]), Damage> {
    let (element, rest) = if is_last {
        (rest, &[][..])
    } else {
        let (size, rest) = leb128(rest).ok_or(Damage::Truncated)?;
        rest.split_at_checked(size).ok_or(Damage::Truncated)?
    };
    if element.is_empty() {
        return Err(Damage::InvalidHeader);
    }
    Ok((element, rest))
}

/// Whether this payload surely begins a temporal unit. Where it has neither a sequence header nor a delimiter, nothing tells,
/// and nothing is lost by that: after a hole only a keyframe helps.
pub(super) fn starts_frame(payload: &[u8]) -> bool {
    let Some((&header, rest)) = payload.split_first() else {
        return false;
    };
    if header & CONTINUES != 0 {
        return false;
    }
    let begins = |(first, _): (&[u8], &[u8])| {
        matches!(
            ObuType::of(first[0]),
            ObuType::SequenceHeader | ObuType::TemporalDelimiter
        )
    };
    header & NEW_SEQUENCE != 0 || element(rest, elements(header) == 1).is_ok_and(begins)
}
