//! What was sent, in figures.

use std::fmt;

/// Printed as one JSON object by `whipcord publish --json`. It names the server, never the session's URL.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Host and port of the WHIP endpoint.
    pub server: String,
    /// From the first byte of the POST until DTLS was done.
    pub connected_ms: u64,
    /// From the first frame to the last.
    pub duration_ms: u64,
    /// Pictures; an access unit counts once.
    pub frames_sent: u64,
    /// Opus packets.
    pub audio_frames_sent: u64,
    /// RTP packets, retransmissions not counted.
    pub packets_sent: u64,
    /// RTP payload, in bytes.
    pub bytes_sent: u64,
    /// Keyframe requests received.
    pub plis: u64,
    /// Packets that the server asked for again.
    pub nacks: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.duration_ms as f64 / 1000.0;
        let kbits = kilobits_per_second(self.bytes_sent, self.duration_ms);
        write!(
            f,
            "sent {} pictures and {} audio packets to {} in {seconds:.1} s ({} RTP packets, {kbits} kbit/s); \
             connected within {} ms; keyframes asked for: {}; lost packets asked for: {}",
            self.frames_sent,
            self.audio_frames_sent,
            self.server,
            self.packets_sent,
            self.connected_ms,
            self.plis,
            self.nacks,
        )
    }
}

/// Bits per millisecond; 0 as long as no time has passed.
pub(super) fn kilobits_per_second(bytes: u64, milliseconds: u64) -> u64 {
    (bytes * 8).checked_div(milliseconds).unwrap_or(0)
}
