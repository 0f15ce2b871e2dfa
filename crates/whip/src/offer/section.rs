//! One media section of an offer.

use super::{
    extension::Extension,
    format::Format,
    simulcast::{self, Layer},
    source::{self, Source},
};
use crate::{
    Kind, Refusal,
    sdp::{self, Block},
};

/// Mids are repeated in the answer, twice. Real ones are up to nine bytes (`sdparta_0`).
const MID_BYTES_MAX: usize = 64;

/// What may stand for RTP over DTLS: RFC 8829 §5.1.2 wants all of these accepted, and answered in kind.
const PROTOCOLS: [&str; 6] = [
    "UDP/TLS/RTP/SAVPF",
    "UDP/TLS/RTP/SAVP",
    "TCP/DTLS/RTP/SAVPF",
    "TCP/DTLS/RTP/SAVP",
    "RTP/SAVPF",
    "RTP/SAVP",
];

#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// Among the offer's `m=` lines.
    pub(crate) index: usize,
    pub(crate) kind: Kind,
    pub(crate) protocol: &'static str,
    /// Port 0 and `a=bundle-only`: the section has no transport of its own (RFC 9143 §6).
    pub(crate) bundle_only: bool,
    /// Empty where the offer has none.
    pub(crate) mid: String,
    pub(crate) rtcp_mux: bool,
    pub(crate) rtcp_mux_only: bool,
    pub(crate) extmap_allow_mixed: bool,
    pub(crate) formats: Vec<Format>,
    pub(crate) extensions: Vec<Extension>,
    pub(crate) streams: Vec<Vec<Layer>>,
    pub(crate) sources: Vec<Source>,
}

impl Section {
    /// `number` counts from 1, for refusals.
    pub(super) fn parse(number: usize, session: &Block<'_>, block: &Block<'_>) -> Result<Self, Refusal> {
        let malformed = || Refusal::MediaLine { section: number };
        let words: Vec<&str> = block.media.split_ascii_whitespace().collect();
        let [media, port, protocol, ref formats @ ..] = words[..] else {
            return Err(malformed());
        };
        let kind = match media {
            "audio" => Kind::Audio,
            "video" => Kind::Video,
            _ => return Err(Refusal::MediaType { section: number }),
        };
        let protocol = PROTOCOLS
            .into_iter()
            .find(|known| *known == protocol)
            .ok_or(Refusal::Protocol { section: number })?;
        let payload_types = payload_types(formats).ok_or_else(malformed)?;
        let port: u16 = sdp::number(port).ok_or_else(malformed)?;
        // With another port than 0, `a=bundle-only` has no meaning (RFC 9143 §6).
        let bundle_only = port == 0;
        if bundle_only && !block.has("bundle-only") {
            return Err(Refusal::Disabled { section: number });
        }
        if !sends(session, block) {
            return Err(Refusal::Direction { section: number });
        }
        Ok(Self {
            index: number - 1,
            kind,
            protocol,
            bundle_only,
            mid: mid(block)?,
            rtcp_mux: block.has("rtcp-mux"),
            rtcp_mux_only: block.has("rtcp-mux-only"),
            extmap_allow_mixed: block.has("extmap-allow-mixed"),
            formats: Format::parse_all(&payload_types, block),
            extensions: Extension::parse_all(session, block),
            streams: simulcast::parse(block)?,
            sources: source::parse_all(block)?,
        })
    }

    /// Takes out what would mean two things on the one transport: header extension ids, and SSRCs, that several
    /// sections use differently. Their packets are still told apart by what else names them.
    pub(super) fn resolve_shared(sections: &mut [Self]) {
        let extensions: Vec<Extension> = sections.iter().flat_map(|section| section.extensions.clone()).collect();
        let ssrcs: Vec<u32> = sections
            .iter()
            .flat_map(|s| s.sources.iter().map(|source| source.ssrc))
            .collect();
        for section in sections {
            section
                .extensions
                .retain(|own| !extensions.iter().any(|other| own.clashes_with(other)));
            section
                .sources
                .retain(|own| ssrcs.iter().filter(|&&ssrc| ssrc == own.ssrc).count() == 1);
        }
    }
}

/// Empty where the section has none.
pub(super) fn mid(block: &Block<'_>) -> Result<String, Refusal> {
    let mid = block.first("mid").unwrap_or("");
    if block.has("mid") && !sdp::is_token(mid, MID_BYTES_MAX) {
        return Err(Refusal::Attribute {
            attribute: "mid",
            clause: "RFC 5888 section 4",
        });
    }
    Ok(mid.to_owned())
}

/// At least one, each once, in the order of preference.
fn payload_types(words: &[&str]) -> Option<Vec<u8>> {
    let mut payload_types = Vec::with_capacity(words.len().min(128));
    for word in words {
        let payload_type = sdp::number(word).filter(|&pt: &u8| pt < 128)?;
        if !payload_types.contains(&payload_type) {
            payload_types.push(payload_type);
        }
    }
    (!payload_types.is_empty()).then_some(payload_types)
}

/// Media level before session level; `sendrecv` where neither says (RFC 8866 §6.7).
fn sends(session: &Block<'_>, block: &Block<'_>) -> bool {
    let is_direction = |name: &&str| matches!(*name, "sendrecv" | "sendonly" | "recvonly" | "inactive");
    let direction = block
        .names()
        .find(is_direction)
        .or_else(|| session.names().find(is_direction));
    matches!(direction, None | Some("sendrecv" | "sendonly"))
}
