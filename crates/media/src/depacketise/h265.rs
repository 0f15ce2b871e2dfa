//! H.265 (RFC 7798): single NAL unit packets, aggregation packets and fragmentation units, in decoding order: a format with
//! `sprop-max-don-diff` is not chosen (`whipcord_whip`), so that no DONL fields are there.
//!
//! Only the base layer is kept: a decoder of one layer ignores units of others (ITU-T H.265 §7.4.2.2).

use super::{
    Damage,
    nal::{self, FU_START, Fragments},
};
use crate::params::{
    self, H265Parameters,
    h265::{self, NalType, ParameterSets},
};

/// Payload structures (RFC 7798 §4.4). 50 is PACI, which nobody sends.
const AGGREGATION: u8 = 48;
const FRAGMENTATION: u8 = 49;

#[derive(Debug, Default)]
pub(super) struct H265 {
    fragments: Fragments,
    /// A slice is among the frame's units.
    has_picture: bool,
    sets: ParameterSets,
}

impl H265 {
    pub(super) fn append(&mut self, payload: &[u8], data: &mut Vec<u8>) -> Result<(), Damage> {
        let (header, body) = payload.split_first_chunk::<2>().ok_or(Damage::Truncated)?;
        check_header(*header)?;
        let payload_type = nal_type(*header);
        if self.fragments.are_arriving() && payload_type != FRAGMENTATION {
            return Err(Damage::StrayFragment);
        }
        match payload_type {
            0..AGGREGATION => self.append_nal(payload, data),
            AGGREGATION => self.append_aggregate(body, data),
            FRAGMENTATION => self.append_fragment(*header, body, data),
            other => Err(Damage::UnsupportedPayload(other)),
        }
    }

    pub(super) fn end(&mut self, data: Vec<u8>) -> Result<Option<(Vec<u8>, bool)>, Damage> {
        let has_picture = std::mem::take(&mut self.has_picture);
        if self.fragments.abandon() {
            return Err(Damage::Incomplete);
        }
        let keyframe = params::nals(&data).any(|nal| NalType::of(nal) == NalType::RandomAccess);
        if keyframe {
            let data = self.sets.complete(data).ok_or(Damage::NoParameterSets)?;
            H265Parameters::of(&data).ok_or(Damage::InvalidHeader)?;
            return Ok(Some((data, true)));
        }
        // Parameter sets alone, with a timestamp of their own: learnt, and no picture.
        Ok(has_picture.then_some((data, false)))
    }

    pub(super) fn abandon(&mut self) {
        self.fragments.abandon();
        self.has_picture = false;
    }

    pub(super) fn has_picture(&self) -> bool {
        self.has_picture
    }

    fn append_nal(&mut self, nal: &[u8], data: &mut Vec<u8>) -> Result<(), Damage> {
        let start = nal::begin(nal, data);
        self.end_nal(start, data)
    }

    /// Puts the length before the NAL unit that begins at `start`, and remembers a parameter set.
    fn end_nal(&mut self, start: usize, data: &mut Vec<u8>) -> Result<(), Damage> {
        let nal = &data[start + 4..];
        let kind = NalType::of(nal);
        if kind == NalType::Filler || layer(nal) != 0 {
            data.truncate(start);
            return Ok(());
        }
        let least = match kind {
            NalType::Vps => h265::VPS_MIN,
            NalType::Sps => h265::SPS_MIN,
            NalType::Pps => h265::PPS_MIN,
            _ => 0,
        };
        if nal.len() < least {
            return Err(Damage::Truncated);
        }
        match kind {
            NalType::Vps | NalType::Sps | NalType::Pps if nal.len() > params::PARAMETER_SET_MAX => {
                return Err(Damage::TooLarge);
            }
            NalType::Vps | NalType::Sps | NalType::Pps => self.sets.learn(nal),
            NalType::Slice | NalType::RandomAccess => self.has_picture = true,
            NalType::Delimiter | NalType::Filler | NalType::Other => {}
        }
        nal::end(start, data);
        Ok(())
    }

    fn append_aggregate(&mut self, body: &[u8], data: &mut Vec<u8>) -> Result<(), Damage> {
        for nal in nal::aggregated(body) {
            let nal = nal?;
            let header = *nal.first_chunk::<2>().ok_or(Damage::InvalidHeader)?;
            check_header(header)?;
            // No packet structure within another.
            if nal_type(header) >= AGGREGATION {
                return Err(Damage::InvalidHeader);
            }
            self.append_nal(nal, data)?;
        }
        Ok(())
    }

    fn append_fragment(&mut self, header: [u8; 2], body: &[u8], data: &mut Vec<u8>) -> Result<(), Damage> {
        let (&fu, fragment) = body.split_first().ok_or(Damage::Truncated)?;
        let nal_type = fu & 0x3f;
        if nal_type >= AGGREGATION {
            return Err(Damage::InvalidHeader);
        }
        // All of the unit's own header but its type is in the packet's.
        let header = [header[0] & 0x81 | nal_type << 1, header[1]];
        match self.fragments.append(fu, &header, fragment, data)? {
            Some(start) => self.end_nal(start, data),
            None => Ok(()),
        }
    }
}

fn nal_type(header: [u8; 2]) -> u8 {
    header[0] >> 1 & 0x3f
}

/// nuh_layer_id.
fn layer(nal: &[u8]) -> u8 {
    nal.first_chunk().map_or(0, |[high, low]| (high & 1) << 5 | low >> 3)
}

/// A sequence parameter set of the base layer, alone in the payload or in an aggregate, as encoders send it before a keyframe.
pub(super) fn size_header(payload: &[u8]) -> Option<&[u8]> {
    let (header, body) = payload.split_first_chunk::<2>()?;
    check_header(*header).ok()?;
    let is_sps = |nal: &&[u8]| NalType::of(nal) == NalType::Sps && layer(nal) == 0;
    let sps = match nal_type(*header) {
        AGGREGATION => nal::aggregated(body).map_while(Result::ok).find(is_sps),
        _ => Some(payload).filter(is_sps),
    };
    sps.filter(|sps| (h265::SPS_MIN..=params::PARAMETER_SET_MAX).contains(&sps.len()))
}

/// A slice of a picture of random access, whole, in an aggregate, or any fragment of one.
pub(super) fn is_of_keyframe(payload: &[u8]) -> bool {
    let is_random_access = |nal: &[u8]| NalType::of(nal) == NalType::RandomAccess;
    let Some((&header, body)) = payload.split_first_chunk::<2>() else {
        return false;
    };
    match nal_type(header) {
        AGGREGATION => nal::aggregated(body).map_while(Result::ok).any(is_random_access),
        // The unit's type, at the lower end of the fragment's header.
        FRAGMENTATION => body.first().is_some_and(|fu| is_random_access(&[(fu & 0x3f) << 1])),
        _ => is_random_access(payload),
    }
}

/// F, by which a network element says that the unit is broken, and TID, which is never 0 (RFC 7798 §1.1.4).
fn check_header([high, low]: [u8; 2]) -> Result<(), Damage> {
    if high & 0x80 != 0 || low & 0x07 == 0 {
        return Err(Damage::InvalidHeader);
    }
    Ok(())
}

/// Whether this payload begins an access unit (ITU-T H.265 §7.4.2.4.4): a delimiter, parameter set or prefix SEI, or the
/// first slice of a picture.
pub(super) fn starts_frame(payload: &[u8]) -> bool {
    let Some((&header, rest)) = payload.split_first_chunk::<2>() else {
        return false;
    };
    match nal_type(header) {
        AGGREGATION => match rest.get(2..).and_then(<[u8]>::split_first_chunk::<2>) {
            Some((&header, rest)) => starts_frame_with(nal_type(header), rest),
            None => false,
        },
        FRAGMENTATION => match rest {
            [fu, rest @ ..] if fu & FU_START != 0 => starts_frame_with(fu & 0x3f, rest),
            _ => false,
        },
        nal_type => starts_frame_with(nal_type, rest),
    }
}

fn starts_frame_with(nal_type: u8, rest: &[u8]) -> bool {
    match nal_type {
        // first_slice_segment_in_pic_flag is the first bit of a slice.
        0..=31 => rest.first().is_some_and(|byte| byte & 0x80 != 0),
        32..=35 | 39 | 41..=44 => true,
        _ => false,
    }
}
