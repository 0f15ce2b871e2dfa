//! A codec as it was negotiated, and as the media crate calls it: neither crate knows the other.

use whipcord_whip::Codec;

pub(crate) fn in_media(codec: Codec) -> whipcord_media::Codec {
    match codec {
        Codec::H264 => whipcord_media::Codec::H264,
        Codec::H265 => whipcord_media::Codec::H265,
        Codec::Vp8 => whipcord_media::Codec::Vp8,
        Codec::Vp9 => whipcord_media::Codec::Vp9,
        Codec::Av1 => whipcord_media::Codec::Av1,
        Codec::Opus => whipcord_media::Codec::Opus,
    }
}
