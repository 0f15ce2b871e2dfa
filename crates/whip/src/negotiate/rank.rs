//! Which of several payload types of one codec is taken, and which of its parameters the answer repeats.
//!
//! A parameter says what an encoder could do, not what it does: OBS writes profile 42e01f whatever it encodes.
//! Nothing but this choice may depend on it.

use crate::{Codec, offer::format::Format};

/// Lower is better; None for one we cannot depacketise.
pub(super) fn rank(codec: Codec, format: &Format) -> Option<u8> {
    match codec {
        Codec::H264 => {
            // RFC 6184 §8.1: absent means 0, single NAL unit packets. 2 interleaves, which WebRTC does not use.
            let mode = match format.parameter("packetization-mode") {
                Some("1") => 0,
                None | Some("0") => H264_PROFILES,
                Some(_) => return None,
            };
            Some(mode + h264_profile(format.parameter("profile-level-id")))
        }
        // 8 bit 4:2:0 is what every decoder has: profile 0 of VP9 and AV1, Main of H.265.
        Codec::Vp9 => Some(prefers(format.parameter("profile-id"), "0")),
        Codec::Av1 => Some(prefers(format.parameter("profile"), "0")),
        // RFC 7798 §7.1: more than 0 puts decoding order numbers into the packets, which WebRTC does not use.
        Codec::H265
            if format
                .parameter("sprop-max-don-diff")
                .is_some_and(|difference| difference != "0") =>
        {
            None
        }
        Codec::H265 => Some(prefers(format.parameter("profile-id"), "1")),
        Codec::Vp8 | Codec::Opus => Some(0),
    }
}

fn prefers(value: Option<&str>, wanted: &str) -> u8 {
    u8::from(value.is_some_and(|value| value != wanted))
}

/// Ranks of [`h264_profile`].
const H264_PROFILES: u8 = 5;

/// Constrained Baseline first, because it has no B-frames and every player decodes it; then Baseline, Main, High, and
/// what we do not know. profile_idc and profile_iop as in RFC 6184 §8.1, table 5.
fn h264_profile(profile_level_id: Option<&str>) -> u8 {
    let Some(id) = profile_level_id else { return 1 };
    let Some((idc, iop)) = h264_profile_bytes(id) else {
        return 4;
    };
    match (idc, iop) {
        (0x42, iop) if iop & 0x40 != 0 => 0,
        (0x4D, iop) if iop & 0x80 != 0 => 0,
        (0x58, iop) if iop & 0xC0 == 0xC0 => 0,
        (0x42, _) => 1,
        (0x4D, _) => 2,
        (0x64, _) => 3,
        _ => 4,
    }
}

/// None unless six hexadecimal digits: some FFmpeg builds of 2025 wrote seven.
fn h264_profile_bytes(id: &str) -> Option<(u8, u8)> {
    if id.len() != 6 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let bits = u32::from_str_radix(id, 16).ok()?;
    let [_, idc, iop, _level] = bits.to_be_bytes();
    Some((idc, iop))
}

/// Bytes of a parameter's value that an answer repeats.
const VALUE_BYTES_MAX: usize = 32;

/// The value of the answer's `a=fmtp`: what must be the same on both sides, and for Opus what we wish to receive
/// (RFC 7587 §7.1). Empty for none.
pub(super) fn answer_parameters(codec: Codec, format: &Format) -> String {
    let repeated: &[&str] = match codec {
        // RFC 6184 §8.2.2.
        Codec::H264 => &["level-asymmetry-allowed", "packetization-mode", "profile-level-id"],
        // RFC 9628 §6.
        Codec::Vp9 => &["profile-id"],
        Codec::Av1 => &["profile", "level-idx", "tier"],
        // RFC 7798 §7.2.2.
        Codec::H265 => &[
            "profile-space",
            "profile-id",
            "tier-flag",
            "level-id",
            "interop-constraints",
            "tx-mode",
        ],
        Codec::Opus => &["minptime", "useinbandfec"],
        Codec::Vp8 => &[],
    };
    let mut parameters = Vec::new();
    for &name in repeated {
        let Some(value) = format.parameter(name).filter(|value| is_plain(value)) else {
            continue;
        };
        if name != "profile-level-id" || h264_profile_bytes(value).is_some() {
            parameters.push(format!("{name}={value}"));
        }
    }
    // Without `stereo=1` in the answer an encoder should send mono (RFC 7587 §6.1).
    let is_stereo = format.parameter("stereo") == Some("1") || format.parameter("sprop-stereo") == Some("1");
    if codec == Codec::Opus && is_stereo {
        parameters.push("stereo=1".to_owned());
    }
    parameters.join(";")
}

fn is_plain(value: &str) -> bool {
    !value.is_empty() && value.len() <= VALUE_BYTES_MAX && value.bytes().all(|b| b.is_ascii_alphanumeric())
}
