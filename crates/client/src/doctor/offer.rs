//! An offer like an encoder's: H.264 and VP8, Opus, sent and not received, without candidates, as OBS and FFmpeg make it.

use aws_lc_rs::{digest, rand};
use rcgen::{CertificateParams, KeyPair};

/// What stands in the offer, and is this check's own.
pub(super) struct Own {
    pub(super) ufrag: String,
    pwd: String,
    /// Of a certificate that is used for nothing else: no DTLS follows.
    fingerprint: String,
}

/// Why there is nothing to offer with.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    #[error("there is no randomness to be had from the system")]
    Random,
    #[error("a certificate for the offer cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
}

impl Own {
    /// 48 random bits in the ufrag and 144 in the password: RFC 8445 §5.3 asks for 24 and 128.
    pub(super) fn fresh() -> Result<Self, OwnError> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::default().self_signed(&key)?;
        let digest = digest::digest(&digest::SHA256, certificate.der());
        let fingerprint: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        Ok(Self {
            ufrag: ice_chars(&random::<8>()?),
            pwd: ice_chars(&random::<24>()?),
            fingerprint: fingerprint.join(":"),
        })
    }

    /// One transport for both (BUNDLE), and no SSRCs, which would have to be made up. Trickle is announced, as OBS does, and does not come.
    pub(super) fn offer(&self) -> String {
        let Self {
            ufrag,
            pwd,
            fingerprint,
        } = self;
        let transport = format!(
            "c=IN IP4 0.0.0.0\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\na=fingerprint:sha-256 {fingerprint}\r\n\
             a=setup:actpass\r\na=sendonly\r\na=rtcp-mux\r\n"
        );
        format!(
            "v=0\r\no=- 4611686018427387904 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
             a=ice-options:trickle ice2\r\n\
             m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n{transport}a=mid:0\r\na=msid:- audio\r\n\
             a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
             m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n{transport}a=mid:1\r\na=msid:- video\r\na=rtcp-rsize\r\n\
             a=rtpmap:96 H264/90000\r\n\
             a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n\
             a=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n\
             a=rtpmap:97 VP8/90000\r\na=rtcp-fb:97 nack\r\na=rtcp-fb:97 nack pli\r\n"
        )
    }
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], OwnError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| OwnError::Random)?;
    Ok(bytes)
}

/// Six bits of each byte as an ice-char (RFC 8839 §5.4), which are those of base64.
fn ice_chars(bytes: &[u8]) -> String {
    const CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .iter()
        .map(|byte| char::from(CHARS[usize::from(byte & 63)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_webrtc_crate_reads_it() {
        let [one, other] = [Own::fresh().unwrap(), Own::fresh().unwrap()];
        assert!(one.ufrag != other.ufrag && one.pwd != other.pwd && one.fingerprint != other.fingerprint);
        assert_eq!((one.ufrag.len(), one.pwd.len(), one.fingerprint.len()), (8, 24, 95));
        let mut text = std::io::Cursor::new(one.offer());
        let offer = rtc::sdp::SessionDescription::unmarshal(&mut text).unwrap();
        let formats: Vec<_> = offer
            .media_descriptions
            .iter()
            .map(|media| (media.media_name.media.as_str(), media.media_name.formats.join(" ")))
            .collect();
        assert_eq!(formats, [("audio", "111".to_owned()), ("video", "96 97".to_owned())]);
        for media in &offer.media_descriptions {
            assert_eq!(media.attribute("ice-ufrag").flatten(), Some(one.ufrag.as_str()));
        }
    }
}
