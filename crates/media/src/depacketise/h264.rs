//! H.264 (RFC 6184): single NAL unit packets, STAP-A and FU-A, which is all of packetization modes 0 and 1.

use super::{
    Damage,
    nal::{self, FU_START, Fragments},
};
use crate::params::{
    self,
    h264::{self, NalType, ParameterSets},
};

/// Payload structures (RFC 6184 §5.2, table 1).
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

#[derive(Debug, Default)]
pub(super) struct H264 {
    fragments: Fragments,
    /// A slice is among the frame's units: noted as they come, because a frame can have a million.
    has_picture: bool,
    sets: ParameterSets,
}

impl H264 {
    pub(super) fn append(&mut self, payload: &[u8], data: &mut Vec<u8>) -> Result<(), Damage> {
        let (&header, body) = payload.split_first().ok_or(Damage::Truncated)?;
        // forbidden_zero_bit: a network element says that the unit is broken (§1.3).
        if header & 0x80 != 0 {
            return Err(Damage::InvalidHeader);
        }
        let payload_type = header & 0x1f;
        if self.fragments.are_arriving() && payload_type != FU_A {
            return Err(Damage::StrayFragment);
        }
        match payload_type {
            1..=23 => self.append_nal(payload, data),
            STAP_A => self.append_aggregate(body, data),
            FU_A => self.append_fragment(header, body, data),
            other => Err(Damage::UnsupportedPayload(other)),
        }
    }

    pub(super) fn end(&mut self, data: Vec<u8>) -> Result<Option<(Vec<u8>, bool)>, Damage> {
        let has_picture = std::mem::take(&mut self.has_picture);
        if self.fragments.abandon() {
            return Err(Damage::Incomplete);
        }
        let keyframe = params::nals(&data).any(|nal| NalType::of(nal) == NalType::Idr);
        if keyframe {
            let data = self.sets.complete(data).ok_or(Damage::NoParameterSets)?;
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
        match NalType::of(nal) {
            // Encoders of constant rate fill up with it; a file has no use for it.
            NalType::Filler => {
                data.truncate(start);
                return Ok(());
            }
            NalType::Sps if nal.len() < h264::SPS_MIN => return Err(Damage::Truncated),
            NalType::Pps if nal.len() < h264::PPS_MIN => return Err(Damage::Truncated),
            NalType::Sps | NalType::Pps if nal.len() > params::PARAMETER_SET_MAX => return Err(Damage::TooLarge),
            NalType::Sps | NalType::Pps => self.sets.learn(nal),
            NalType::Slice | NalType::Idr => self.has_picture = true,
            NalType::Delimiter | NalType::Other => {}
        }
        nal::end(start, data);
        Ok(())
    }

    fn append_aggregate(&mut self, body: &[u8], data: &mut Vec<u8>) -> Result<(), Damage> {
        for nal in nal::aggregated(body) {
            let nal = nal?;
            match nal.first().map(|header| header & 0x9f) {
                Some(1..=23) => self.append_nal(nal, data)?,
                // Empty, broken, or an aggregate within the aggregate.
                _ => return Err(Damage::InvalidHeader),
            }
        }
        Ok(())
    }

    fn append_fragment(&mut self, indicator: u8, body: &[u8], data: &mut Vec<u8>) -> Result<(), Damage> {
        let (&fu, fragment) = body.split_first().ok_or(Damage::Truncated)?;
        let nal_type = fu & 0x1f;
        if !(1..=23).contains(&nal_type) {
            return Err(Damage::InvalidHeader);
        }
        let header = [indicator & 0xe0 | nal_type];
        match self.fragments.append(fu, &header, fragment, data)? {
            Some(start) => self.end_nal(start, data),
            None => Ok(()),
        }
    }
}

/// A sequence parameter set, alone in the payload or in an aggregate: encoders that repeat it do so before each keyframe.
pub(super) fn size_header(payload: &[u8]) -> Option<&[u8]> {
    let (header, body) = payload.split_first()?;
    let is_sps = |nal: &&[u8]| NalType::of(nal) == NalType::Sps;
    let sps = match header & 0x9f {
        STAP_A => nal::aggregated(body).map_while(Result::ok).find(is_sps),
        1..=23 => Some(payload).filter(is_sps),
        _ => None,
    };
    sps.filter(|sps| (h264::SPS_MIN..=params::PARAMETER_SET_MAX).contains(&sps.len()))
}

/// A slice of an IDR picture, whole, in an aggregate, or any fragment of one.
pub(super) fn is_of_keyframe(payload: &[u8]) -> bool {
    let is_idr = |nal: &[u8]| NalType::of(nal) == NalType::Idr;
    let Some((header, body)) = payload.split_first() else {
        return false;
    };
    match header & 0x9f {
        STAP_A => nal::aggregated(body).map_while(Result::ok).any(is_idr),
        // The fragment's header has the unit's type where the unit's own has it.
        FU_A => is_idr(body),
        1..=23 => is_idr(payload),
        _ => false,
    }
}

/// Whether this payload begins an access unit (ITU-T H.264 §7.4.1.2.3): a delimiter, SEI or parameter set, or a slice
/// that begins with the first macroblock.
pub(super) fn starts_frame(payload: &[u8]) -> bool {
    match payload {
        [header, rest @ ..] => match header & 0x1f {
            STAP_A => rest.get(2..).is_some_and(starts_frame_nal),
            FU_A => match rest {
                [fu, rest @ ..] if fu & FU_START != 0 => starts_frame_with(fu & 0x1f, rest),
                _ => false,
            },
            _ => starts_frame_nal(payload),
        },
        [] => false,
    }
}

fn starts_frame_nal(nal: &[u8]) -> bool {
    nal.split_first()
        .is_some_and(|(header, rest)| starts_frame_with(header & 0x1f, rest))
}

fn starts_frame_with(nal_type: u8, rest: &[u8]) -> bool {
    match nal_type {
        // first_mb_in_slice is the first ue(v) of a slice; zero is the single bit 1.
        1 | 2 | 5 => rest.first().is_some_and(|byte| byte & 0x80 != 0),
        6..=9 | 14..=18 => true,
        _ => false,
    }
}
