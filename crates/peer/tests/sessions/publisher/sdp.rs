//! The encoder's offer, by its habits, and what it takes from the answer.

use std::time::Instant;

use whipcord_peer::dtls::Dtls;
use whipcord_whip::{
    Credentials,
    negotiate::Role,
    offer::{Fingerprint, HashAlgorithm},
};

use super::{
    AUDIO_PT, AUDIO_SSRC, Habits, MID_ID, Publisher, REPAIRED_RID_ID, RID_ID, RTX_PT, RTX_SSRC, TRANSPORT_ID, VIDEO_PT,
    VIDEO_SSRC,
};

impl Publisher {
    pub(crate) fn offer(&self) -> String {
        let Habits {
            setup, session_name, ..
        } = self.habits;
        let fingerprint: Vec<_> = self
            .certificate
            .fingerprint()
            .digest
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        let transport = format!(
            "c=IN IP4 0.0.0.0\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 {}\r\na=setup:{setup}\r\na=sendonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\n",
            self.local.ufrag,
            self.local.pwd,
            fingerprint.join(":")
        );
        let mid_extension = if self.habits.mid_extension {
            format!("a=extmap:{MID_ID} urn:ietf:params:rtp-hdrext:sdes:mid\r\n")
        } else {
            String::new()
        };
        let mut sdp = format!(
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns={session_name}\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
             m=audio 9 UDP/TLS/RTP/SAVPF {AUDIO_PT}\r\n{transport}a=mid:0\r\n{mid_extension}a=rtpmap:{AUDIO_PT} opus/48000/2\r\n"
        );
        if self.habits.announces_ssrcs {
            sdp += &format!("a=ssrc:{AUDIO_SSRC} cname:x\r\n");
        }
        let rtx = self.habits.rtx;
        let rtx_pt = if rtx { format!(" {RTX_PT}") } else { String::new() };
        sdp += &format!(
            "m=video 9 UDP/TLS/RTP/SAVPF {VIDEO_PT}{rtx_pt}\r\n{transport}a=mid:1\r\n{mid_extension}a=rtpmap:{VIDEO_PT} H264/90000\r\n\
             a=fmtp:{VIDEO_PT} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n\
             a=rtcp-fb:{VIDEO_PT} nack pli\r\n"
        );
        if self.habits.nack {
            sdp += &format!("a=rtcp-fb:{VIDEO_PT} nack\r\n");
        }
        if rtx {
            sdp += &format!("a=rtpmap:{RTX_PT} rtx/90000\r\na=fmtp:{RTX_PT} apt={VIDEO_PT}\r\n");
        }
        if self.habits.transport_cc {
            sdp += &format!(
                "a=rtcp-fb:{VIDEO_PT} transport-cc\r\na=extmap:{TRANSPORT_ID} http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n"
            );
        }
        if self.habits.remb {
            sdp += &format!("a=rtcp-fb:{VIDEO_PT} goog-remb\r\n");
        }
        if !self.habits.rids.is_empty() {
            sdp += &format!(
                "a=extmap:{RID_ID} urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\na=extmap:{REPAIRED_RID_ID} urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\n"
            );
            for rid in self.habits.rids {
                sdp += &format!("a=rid:{rid} send\r\n");
            }
            sdp += &format!("a=simulcast:send {}\r\n", self.habits.rids.join(";"));
        } else if self.habits.announces_ssrcs {
            if rtx {
                sdp += &format!("a=ssrc-group:FID {VIDEO_SSRC} {RTX_SSRC}\r\na=ssrc:{RTX_SSRC} cname:x\r\n");
            }
            sdp += &format!("a=ssrc:{VIDEO_SSRC} cname:x\r\n");
        }
        if self.habits.data {
            sdp = sdp.replacen("BUNDLE 0 1", "BUNDLE 0 1 2", 1);
            sdp += "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\na=sctp-port:5000\r\n";
        }
        sdp
    }

    /// Reads the answer and begins with STUN.
    pub(crate) fn answered(&mut self, now: Instant, answer: &str) {
        let value = |name: &str| {
            let line = answer
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .expect("the answer has the line");
            line.trim().to_owned()
        };
        self.server = Credentials {
            ufrag: value("a=ice-ufrag:"),
            pwd: value("a=ice-pwd:"),
        };
        let digest = value("a=fingerprint:sha-256 ");
        let digest = digest
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16).expect("hex"))
            .collect();
        self.server_fingerprint = Fingerprint {
            algorithm: HashAlgorithm::Sha256,
            digest,
        };
        let role = match value("a=setup:").as_str() {
            "passive" => Role::Client,
            "active" => Role::Server,
            other => panic!("setup:{other} in an answer"),
        };
        let dtls = Dtls::new(
            now,
            role,
            &self.certificate,
            std::slice::from_ref(&self.server_fingerprint),
        );
        self.dtls = Some(dtls.expect("our own certificate serves"));
        self.stun_at = Some(now);
    }
}
