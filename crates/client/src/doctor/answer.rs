//! What an ICE check needs of an SDP answer: credentials and candidates; and what was taken of the offer.

use std::net::{IpAddr, SocketAddr};

#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub ufrag: String,
    pub pwd: String,
    pub candidates: Vec<Candidate>,
    pub media: Vec<Media>,
}

/// Without repetitions: with BUNDLE, some servers repeat them in each section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidate {
    Udp(SocketAddr),
    Tcp(SocketAddr),
    /// A name in place of an address, as in `4a1f.local`.
    Named(String),
}

/// One m-section.
#[derive(Debug, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `video`.
    pub kind: String,
    /// The first one, which the server likes best. `None`: the section is rejected, by port 0.
    pub codec: Option<String>,
}

/// Each is the server's fault: it names what to look for there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("it has no a={0}, which every ICE answer needs")]
    Missing(&'static str),
    /// RFC 8839 §5.4.
    #[error("its a={0} has characters or a length that ICE does not allow")]
    Malformed(&'static str),
    #[error("it has no m= line")]
    NoMedia,
}

/// What two interfaces of each family, over UDP and TCP, come to; more would be probed for nothing.
pub const CANDIDATES_MAX: usize = 16;
/// As many as are offered, and some for servers that make sense of none.
const MEDIA_MAX: usize = 8;
/// What is shown of a word of the server's.
const WORD_CHARS_MAX: usize = 64;

impl Answer {
    pub fn parse(sdp: &str) -> Result<Self, Error> {
        let mut ufrag = None;
        let mut pwd = None;
        let mut candidates = Vec::new();
        let mut media: Vec<Media> = Vec::new();
        let mut rejected = false;
        for line in sdp.lines() {
            if let Some(section) = line.strip_prefix("m=") {
                let mut words = section.split_ascii_whitespace();
                let kind = shown(words.next().unwrap_or_default());
                rejected = words.next().is_none_or(|port| port.split('/').next() == Some("0"));
                if media.len() < MEDIA_MAX {
                    media.push(Media { kind, codec: None });
                }
            } else if let Some(value) = line.strip_prefix("a=ice-ufrag:") {
                ufrag = ufrag.or_else(|| Some(value.trim_ascii_end()));
            } else if let Some(value) = line.strip_prefix("a=ice-pwd:") {
                pwd = pwd.or_else(|| Some(value.trim_ascii_end()));
            } else if let Some(value) = line.strip_prefix("a=rtpmap:") {
                // Of `96 H264/90000`.
                let codec = value.split_once(' ').and_then(|(_, codec)| codec.split('/').next());
                if let (Some(section), Some(codec), false) = (media.last_mut(), codec, rejected) {
                    section.codec.get_or_insert_with(|| shown(codec));
                }
            } else if let Some(candidate) = line.strip_prefix("a=candidate:").and_then(candidate)
                && candidates.len() < CANDIDATES_MAX
                && !candidates.contains(&candidate)
            {
                candidates.push(candidate);
            }
        }
        if media.is_empty() {
            return Err(Error::NoMedia);
        }
        Ok(Self {
            ufrag: credential(ufrag, "ice-ufrag", 4)?,
            pwd: credential(pwd, "ice-pwd", 22)?,
            candidates,
            media,
        })
    }
}

/// RFC 8839 §5.4: ice-chars, and at most 256 of them.
fn credential(value: Option<&str>, name: &'static str, chars_min: usize) -> Result<String, Error> {
    let value = value.ok_or(Error::Missing(name))?;
    let is_ice_char = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    if !(chars_min..=256).contains(&value.len()) || !value.bytes().all(is_ice_char) {
        return Err(Error::Malformed(name));
    }
    Ok(value.to_owned())
}

/// RFC 8839 §5.1: foundation, component, transport, priority, address, port. Only the first component has media: RTCP is on it too.
fn candidate(text: &str) -> Option<Candidate> {
    let mut words = text.split_ascii_whitespace();
    let (_foundation, component, transport) = (words.next()?, words.next()?, words.next()?);
    let (_priority, address, port) = (words.next()?, words.next()?, words.next()?);
    if component != "1" {
        return None;
    }
    let Ok(ip) = address.parse::<IpAddr>() else {
        return Some(Candidate::Named(shown(address)));
    };
    let address = SocketAddr::new(ip, port.parse().ok()?);
    if transport.eq_ignore_ascii_case("udp") {
        Some(Candidate::Udp(address))
    } else if transport.eq_ignore_ascii_case("tcp") {
        Some(Candidate::Tcp(address))
    } else {
        None
    }
}

/// It ends up on a terminal.
fn shown(word: &str) -> String {
    let chars = word.chars().filter(char::is_ascii_graphic);
    chars.take(WORD_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANSWER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-lite\r\n\
        m=audio 8189 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n\
        a=ice-ufrag:AQAAASab\r\na=ice-pwd:ZYXWVUTSRQPONMLKJIHGFEDC\r\n\
        a=candidate:1 1 udp 2130706431 203.0.113.5 8189 typ host\r\n\
        a=candidate:2 1 UDP 2130706175 2001:db8::5 8189 typ host\r\n\
        a=candidate:3 1 tcp 1 203.0.113.5 443 typ host tcptype passive\r\n\
        a=candidate:4 2 udp 1 203.0.113.5 8190 typ host\r\n\
        a=candidate:5 1 udp 1 4a1f.local 8189 typ host\r\n\
        m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 H264/90000\r\n\
        a=candidate:1 1 udp 2130706431 203.0.113.5 8189 typ host\r\n";

    #[test]
    fn credentials_candidates_and_codecs_are_read() {
        let answer = Answer::parse(ANSWER).unwrap();
        assert_eq!(
            (answer.ufrag.as_str(), answer.pwd.as_str()),
            ("AQAAASab", "ZYXWVUTSRQPONMLKJIHGFEDC")
        );
        let at = |address: &str| address.parse().unwrap();
        assert_eq!(
            answer.candidates,
            [
                Candidate::Udp(at("203.0.113.5:8189")),
                Candidate::Udp(at("[2001:db8::5]:8189")),
                Candidate::Tcp(at("203.0.113.5:443")),
                Candidate::Named("4a1f.local".to_owned()),
            ]
        );
        let media: Vec<_> = answer
            .media
            .iter()
            .map(|media| (media.kind.as_str(), media.codec.as_deref()))
            .collect();
        assert_eq!(media, [("audio", Some("opus")), ("video", None)]);
    }

    #[test]
    fn an_answer_without_what_ice_needs_is_refused() {
        let table = [
            ("a=ice-ufrag:AQAAASab\r\n", "", Error::Missing("ice-ufrag")),
            ("a=ice-pwd:ZYXWVUTSRQPONMLKJIHGFEDC\r\n", "", Error::Missing("ice-pwd")),
            ("AQAAASab", "AQ:AASab", Error::Malformed("ice-ufrag")),
            ("ZYXWVUTSRQPONMLKJIHGFEDC", "short", Error::Malformed("ice-pwd")),
            ("m=", "x=", Error::NoMedia),
        ];
        for (there, instead, error) in table {
            assert_eq!(Answer::parse(&ANSWER.replace(there, instead)), Err(error), "{there}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_is_too_odd(lines in proptest::collection::vec(
            "(m=|a=ice-ufrag:|a=ice-pwd:|a=rtpmap:|a=candidate:)?[ -~\u{80}-\u{ff}\t]{0,60}", 0..60), cut in 0_usize..600)
        {
            let _ = Answer::parse(&lines.join("\r\n"));
            let at = (0..=cut.min(ANSWER.len())).rev().find(|at| ANSWER.is_char_boundary(*at)).unwrap_or(0);
            let text = format!("{}{}", &ANSWER[..at], lines.join("\n"));
            if let Ok(answer) = Answer::parse(&text) {
                prop_assert!(answer.candidates.len() <= CANDIDATES_MAX && answer.media.len() <= MEDIA_MAX);
                prop_assert!(answer.media.iter().all(|media| media.kind.chars().all(|c| c.is_ascii_graphic())));
            }
        }
    }
}
