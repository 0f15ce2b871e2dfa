//! Tracks as the `webrtc` crate wants to be told of them.

use rtc::{
    peer_connection::configuration::media_engine::{MIME_TYPE_H264, MIME_TYPE_HEVC, MIME_TYPE_OPUS, MIME_TYPE_VP8},
    rtp_transceiver::rtp_sender::{RTCRtpCodec, RTCRtpCodecParameters, RtpCodecKind},
};

use super::super::source::{Codec, Track};

pub(super) fn kind(codec: Codec) -> RtpCodecKind {
    if codec.is_video() {
        RtpCodecKind::Video
    } else {
        RtpCodecKind::Audio
    }
}

/// Payload types and parameters as browsers offer them.
pub(super) fn codec_parameters(track: &Track) -> RTCRtpCodecParameters {
    let (mime_type, channels, sdp_fmtp_line, payload_type) = match track {
        Track::H264 {
            profile_level_id: [profile, constraints, level],
        } => (
            MIME_TYPE_H264,
            0,
            format!(
                "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile:02x}{constraints:02x}{level:02x}"
            ),
            102,
        ),
        Track::H265 { profile, tier, level } => (
            MIME_TYPE_HEVC,
            0,
            format!("level-id={level};profile-id={profile};tier-flag={tier};tx-mode=SRST"),
            104,
        ),
        Track::Vp8 => (MIME_TYPE_VP8, 0, String::new(), 96),
        Track::Opus => (MIME_TYPE_OPUS, 2, "minptime=10;stereo=1;useinbandfec=1".to_owned(), 111),
    };
    let rtp_codec = RTCRtpCodec {
        mime_type: mime_type.to_owned(),
        clock_rate: track.codec().clock_rate(),
        channels,
        sdp_fmtp_line,
        rtcp_feedback: Vec::new(),
    };
    RTCRtpCodecParameters {
        rtp_codec,
        payload_type,
    }
}
