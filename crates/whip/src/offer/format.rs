//! Payload types of a section: `a=rtpmap`, `a=fmtp` (RFC 8866 §6.6, §6.15), `a=rtcp-fb` (RFC 4585 §4.2).

use crate::{Codec, sdp, sdp::Block};

/// Encoding names: the longest registered one is shorter.
const ENCODING_BYTES_MAX: usize = 32;

/// Feedback messages both sides understand for one payload type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Feedback {
    /// Generic NACK (RFC 4585 §6.2.1).
    pub nack: bool,
    /// Picture loss indication (RFC 4585 §6.3.1).
    pub pli: bool,
    /// Full intra request (RFC 5104 §4.3.1).
    pub fir: bool,
    /// Transport-wide congestion control feedback.
    pub transport_cc: bool,
    /// Receiver estimated maximum bitrate.
    pub remb: bool,
    /// RTCP packets may be other than compound (RFC 5506).
    pub reduced_size: bool,
}

/// One payload type with an `a=rtpmap`.
#[derive(Clone, Debug)]
pub(crate) struct Format {
    /// 0-63 or 96-127: with RTCP on the same port, 64-95 would be taken for RTCP (RFC 5761 §4).
    pub(crate) payload_type: u8,
    /// As the offer spells it.
    pub(crate) encoding: String,
    /// Hz.
    pub(crate) clock_rate: u32,
    /// 1 where the rtpmap does not say.
    pub(crate) channels: u8,
    pub(crate) feedback: Feedback,
    /// `a=fmtp`, names in lower case.
    parameters: Vec<(String, String)>,
}

impl Format {
    /// The m= line's payload types, in its order.
    pub(super) fn parse_all(payload_types: &[u8], block: &Block<'_>) -> Vec<Self> {
        payload_types
            .iter()
            .filter_map(|&payload_type| Self::parse(payload_type, block))
            .collect()
    }

    fn parse(payload_type: u8, block: &Block<'_>) -> Option<Self> {
        if (64..96).contains(&payload_type) {
            return None;
        }
        let mine = |value: &'_ str| {
            value
                .split_once(' ')
                .filter(|(pt, _)| sdp::number(pt) == Some(payload_type))
                .is_some()
        };
        let rest = |value| str::split_once(value, ' ').map_or("", |(_, rest)| rest.trim());

        let rtpmap = block.all("rtpmap").find(|value| mine(value)).map(rest)?;
        let mut parts = rtpmap.split('/');
        let encoding = parts.next().filter(|name| sdp::is_token(name, ENCODING_BYTES_MAX))?;
        let clock_rate = sdp::number(parts.next()?)?;
        let channels = parts.next().map_or(Some(1), sdp::number)?;

        let fmtp = block.all("fmtp").find(|value| mine(value)).map_or("", rest);
        let parameters = fmtp.split(';').filter_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        });

        let mut feedback = Feedback {
            reduced_size: block.has("rtcp-rsize"),
            ..Feedback::default()
        };
        for value in block
            .all("rtcp-fb")
            .filter(|value| mine(value) || value.starts_with("* "))
        {
            feedback.add(rest(value));
        }
        Some(Self {
            payload_type,
            encoding: encoding.to_owned(),
            clock_rate,
            channels,
            feedback,
            parameters: parameters.collect(),
        })
    }

    pub(crate) fn codec(&self) -> Option<Codec> {
        Codec::from_rtpmap(&self.encoding, self.clock_rate, self.channels)
    }

    /// An `a=fmtp` parameter by its name in lower case.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether this is the retransmission format of `media` (RFC 4588 §8.6).
    pub(crate) fn repairs(&self, media: &Self) -> bool {
        self.encoding.eq_ignore_ascii_case("rtx")
            && self.clock_rate == media.clock_rate
            && self.parameter("apt").and_then(sdp::number) == Some(media.payload_type)
    }
}

impl Feedback {
    fn add(&mut self, value: &str) {
        match value {
            "nack" => self.nack = true,
            "nack pli" => self.pli = true,
            "ccm fir" => self.fir = true,
            "transport-cc" => self.transport_cc = true,
            "goog-remb" => self.remb = true,
            _ => {}
        }
    }
}
