//! What a worker says of a session that it has.

use whipcord_proto::worker::{ConnectionState, DataChannels, Session, Track};

use super::Live;

pub(super) fn session(sid: &[u8], live: &Live) -> Session {
    let track = |kind: &str, codec: &str| Track {
        kind: kind.to_owned(),
        codec: codec.to_owned(),
        ..Track::default()
    };
    Session {
        session_id: sid.to_vec(),
        stream: live.stream.clone(),
        created_at_ms: 1_800_000_000_250,
        state: ConnectionState::Connected.into(),
        tracks: vec![
            track("audio", "opus"),
            Track {
                rid: "h".to_owned(),
                width: 1280,
                height: 720,
                bitrate_bps: 2_500_000,
                frames_per_second: 29.9,
                keyframe_age_ms: Some(1250),
                active: true,
                ..track("video", "H264")
            },
        ],
        metadata: live.metadata.clone(),
        packets_received: 42,
        recording: "live/cam/x.mp4".to_owned(),
        pinned: true,
        data_channels: Some(DataChannels {
            open: 1,
            messages_received: 3,
            bytes_received: 25,
        }),
        silent_ms: live.silent_ms,
        ..Session::default()
    }
}
