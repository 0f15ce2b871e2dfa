//! VP9 (RFC 9628), in flexible and non-flexible mode, with any temporal layers.
//!
//! Of several spatial layers each has its own frame in a picture; a file would need them in a superframe, and most players
//! then show every layer. Such pictures are damage.

use super::Damage;
use crate::params::{Vp9Parameters, vp9};

pub(super) fn starts_frame(payload: &[u8]) -> bool {
    Descriptor::parse(payload).is_ok_and(|descriptor| descriptor.starts_frame && descriptor.spatial_layer == 0)
}

/// The beginning of a keyframe: no more than 73 bits come before the end of its sides.
pub(super) fn size_header(payload: &[u8]) -> Option<&[u8]> {
    let descriptor = Descriptor::parse(payload).ok()?;
    let frame = (descriptor.starts_frame && descriptor.spatial_layer == 0).then(|| &payload[descriptor.size..])?;
    let header = &frame[..frame.len().min(10)];
    (vp9::is_keyframe(header) == Some(true)).then_some(header)
}

pub(super) fn is_of_keyframe(payload: &[u8]) -> bool {
    let descriptor = Descriptor::parse(payload).ok();
    let first = descriptor.filter(|descriptor| descriptor.starts_frame && descriptor.spatial_layer == 0);
    first.is_some_and(|descriptor| vp9::is_keyframe(&payload[descriptor.size..]) == Some(true))
}

pub(super) fn append(payload: &[u8], data: &mut Vec<u8>) -> Result<(), Damage> {
    let descriptor = Descriptor::parse(payload)?;
    if descriptor.spatial_layer > 0 {
        return Err(Damage::SpatialLayers);
    }
    if descriptor.starts_frame != data.is_empty() {
        return Err(Damage::StrayFragment);
    }
    data.extend_from_slice(&payload[descriptor.size..]);
    Ok(())
}

pub(super) fn end(data: Vec<u8>) -> Result<(Vec<u8>, bool), Damage> {
    let keyframe = vp9::is_keyframe(&data).ok_or(Damage::InvalidHeader)?;
    if keyframe && Vp9Parameters::of(&data).is_none() {
        return Err(Damage::InvalidHeader);
    }
    Ok((data, keyframe))
}

/// The payload descriptor (RFC 9628 §4.2), as far as a receiver of all layers needs it.
struct Descriptor {
    /// B: of a layer's frame.
    starts_frame: bool,
    spatial_layer: u8,
    /// In bytes; what follows is not empty.
    size: usize,
}

/// Reference indices of a frame in flexible mode, at most (§4.2, P_DIFF).
const REFERENCES_MAX: u8 = 3;

impl Descriptor {
    fn parse(payload: &[u8]) -> Result<Self, Damage> {
        let mut fields = Fields(payload);
        let first = fields.byte()?;
        let has = |bit: u8| first & bit != 0;
        let (picture_id, predicted, layers, flexible) = (has(0x80), has(0x40), has(0x20), has(0x10));
        // PictureID, of 15 bits where its M bit is set, else of 7.
        if picture_id && fields.byte()? & 0x80 != 0 {
            fields.byte()?;
        }
        let mut spatial_layer = 0;
        if layers {
            spatial_layer = fields.byte()? >> 1 & 0x07;
            // TL0PICIDX
            if !flexible {
                fields.byte()?;
            }
        }
        if flexible && predicted {
            fields.references()?;
        }
        // V
        if has(0x02) {
            fields.scalability_structure()?;
        }
        if fields.0.is_empty() {
            return Err(Damage::Truncated);
        }
        Ok(Self {
            starts_frame: has(0x08),
            spatial_layer,
            size: payload.len() - fields.0.len(),
        })
    }
}

/// What is left of a payload.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn byte(&mut self) -> Result<u8, Damage> {
        let (&byte, rest) = self.0.split_first().ok_or(Damage::Truncated)?;
        self.0 = rest;
        Ok(byte)
    }

    fn skip(&mut self, count: usize) -> Result<(), Damage> {
        self.0 = self.0.get(count..).ok_or(Damage::Truncated)?;
        Ok(())
    }

    /// P_DIFF, each with a bit that says whether another follows.
    fn references(&mut self) -> Result<(), Damage> {
        for _ in 0..REFERENCES_MAX {
            if self.byte()? & 0x01 == 0 {
                return Ok(());
            }
        }
        Err(Damage::InvalidHeader)
    }

    /// SS (§4.2.1): the sizes of the layers, and the pictures of a group with the references of each.
    fn scalability_structure(&mut self) -> Result<(), Damage> {
        let first = self.byte()?;
        if first & 0x10 != 0 {
            let layers = usize::from(first >> 5) + 1;
            self.skip(4 * layers)?;
        }
        if first & 0x08 != 0 {
            for _ in 0..self.byte()? {
                let references = self.byte()? >> 2 & 0x03;
                self.skip(references.into())?;
            }
        }
        Ok(())
    }
}
