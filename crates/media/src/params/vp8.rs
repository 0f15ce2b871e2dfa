//! VP8 (RFC 6386).

use super::PictureSize;

/// The size in a VP8 keyframe's header (RFC 6386 §9.1): 3 bytes tag, start code, 14 bits each.
pub fn vp8_picture_size(frame: &[u8]) -> Option<PictureSize> {
    let [
        tag,
        _,
        _,
        0x9d,
        0x01,
        0x2a,
        width_low,
        width_high,
        height_low,
        height_high,
        ..,
    ] = *frame
    else {
        return None;
    };
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    let size = PictureSize {
        width: side(width_low, width_high),
        height: side(height_low, height_high),
    };
    (tag & 1 == 0 && size.width > 0 && size.height > 0).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vp8_picture_size_is_in_the_keyframe_header() {
        let keyframe = b"\x70\x67\x00\x9d\x01\x2a\x42\x01\xf2\x00\x00\x47";
        assert_eq!(
            vp8_picture_size(keyframe),
            Some(PictureSize {
                width: 322,
                height: 242
            })
        );
        let scaled = b"\x70\x67\x00\x9d\x01\x2a\x42\x41\xf2\x80";
        assert_eq!(
            vp8_picture_size(scaled),
            Some(PictureSize {
                width: 322,
                height: 242
            }),
            "upper bits ask for scaling"
        );
        for wrong in [
            &keyframe[..9],
            b"\x71\x67\x00\x9d\x01\x2a\x42\x01\xf2\x00",
            b"\x70\x67\x00\x9d\x01\x2b\x42\x01\xf2\x00",
        ] {
            assert_eq!(vp8_picture_size(wrong), None);
        }
    }
}
