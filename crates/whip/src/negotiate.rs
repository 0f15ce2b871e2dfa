//! Offer + preferences → what both sides will speak. The whole offer is accepted, or refused (RFC 9725 §4.4.3).

mod rank;

pub use crate::offer::{Feedback, Source};

use crate::{
    Codec, Credentials, DataPolicy, Kind, Offer, Preferences, Refusal,
    ice::IceOptions,
    offer::{
        Data as OfferedData, Fingerprint, Setup,
        extension::{Extension, Uri},
        format::Format,
        section::Section as Offered,
        simulcast::Layer,
    },
};

/// What an offer and our preferences came to.
#[derive(Clone, Debug)]
pub struct Negotiated {
    /// Ours in the DTLS handshake.
    pub role: Role,
    pub encoder: Encoder,
    pub remote: Credentials,
    pub fingerprints: Vec<Fingerprint>,
    /// Of media: as many as the offer has, in its order.
    pub sections: Vec<Section>,
    pub data: Option<Data>,
    pub transport: Transport,
    pub(crate) extmap_allow_mixed: bool,
    /// One for each section.
    pub(crate) terms: Vec<Terms>,
}

/// The DTLS role we take (RFC 8842 §5.3): the offer decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

/// Which implementation the offer says it comes from, where its behaviour forces ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoder {
    /// FFmpeg's WHIP muxer, known by its session name.
    Ffmpeg,
    Other,
}

/// What the answer says about the one transport, and an ICE restart repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// The mids of the BUNDLE group, the tagged section's first, else in its order; empty where the offer has no group.
    pub mids: Vec<String>,
    /// The mid of the section that describes the transport; empty where the offer gives it none.
    pub tagged_mid: String,
    /// The media type of its `m=` line: `audio`, `video` or `application`.
    pub tagged_media: &'static str,
    /// Those offered.
    pub ice_options: IceOptions,
}

/// The accepted section of data channels: SCTP over the session's DTLS (RFC 8841).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// Empty where the offer gives it no mid.
    pub mid: String,
    /// The encoder's in SCTP's header.
    pub port: u16,
    /// Bytes of a message that the encoder takes; None for any size.
    pub message_bytes_max: Option<u32>,
    /// Messages are sent back.
    pub echo: bool,
    /// Among the `m=` lines.
    pub(crate) index: usize,
    pub(crate) protocol: &'static str,
}

/// One accepted media section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Empty where the offer has one section and gives it no mid.
    pub mid: String,
    pub kind: Kind,
    pub codec: Codec,
    pub payload_type: u8,
    pub rtx_payload_type: Option<u8>,
    /// Hz.
    pub clock_rate: u32,
    /// 2 for Opus, whatever it carries (RFC 7587 §7); 0 for video.
    pub channels: u8,
    pub feedback: Feedback,
    pub extensions: Extensions,
    /// Simulcast layers in the offer's order, alternatives included; empty without simulcast.
    pub rids: Vec<String>,
    /// Announced by `a=ssrc` or `a=ssrc-group`; may be empty.
    pub sources: Vec<Source>,
}

/// Header extension ids (1-255) of those we read; 0 never occurs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    pub mid: Option<u8>,
    pub rid: Option<u8>,
    pub repaired_rid: Option<u8>,
    pub transport_cc: Option<u8>,
}

/// What only the answer's text needs of a section.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) protocol: &'static str,
    /// As the offer spells it: GStreamer writes `OPUS`.
    pub(crate) encoding: String,
    /// The value of `a=fmtp` after the payload type; empty for none.
    pub(crate) parameters: String,
    pub(crate) rtcp_mux_only: bool,
    pub(crate) extmap_allow_mixed: bool,
    pub(crate) extensions: Vec<(Uri, Extension)>,
    pub(crate) streams: Vec<Vec<Layer>>,
}

/// Accepts every section, or refuses the offer.
///
/// # Errors
/// [`Refusal::NoCodec`] and [`Refusal::DataChannel`] only: all else was refused by [`Offer::parse`].
pub fn negotiate(offer: &Offer, preferences: &Preferences) -> Result<Negotiated, Refusal> {
    let mut sections = Vec::with_capacity(offer.sections.len());
    let mut terms = Vec::with_capacity(offer.sections.len());
    for offered in &offer.sections {
        let order = preferences.for_kind(offered.kind);
        let (codec, format) = choose(offered, order).ok_or_else(|| Refusal::NoCodec {
            section: offered.index + 1,
            accepted: order.to_vec(),
        })?;
        let (section, term) = accept(offered, codec, format);
        sections.push(section);
        terms.push(term);
    }
    let data = offer
        .data
        .as_ref()
        .map(|offered| accept_data(offered, preferences.data))
        .transpose()?;
    let tagged = offer
        .sections
        .iter()
        .find(|section| section.index == offer.bundle.tagged)
        .map(|section| (section.mid.as_str(), section.kind.as_str()));
    let of_data = || offer.data.as_ref().map(|data| (data.mid.as_str(), "application"));
    let (tagged_mid, tagged_media) = tagged.or_else(of_data).unwrap_or_default();
    Ok(Negotiated {
        role: Role::answering(offer.setup()),
        encoder: Encoder::from_session_name(&offer.session_name),
        remote: offer.credentials().clone(),
        fingerprints: offer.fingerprints().to_vec(),
        sections,
        data,
        transport: Transport {
            mids: offer.bundle.mids.clone(),
            tagged_mid: tagged_mid.to_owned(),
            tagged_media,
            ice_options: offer.ice_options,
        },
        extmap_allow_mixed: offer.extmap_allow_mixed,
        terms,
    })
}

impl Role {
    /// Passive where we may choose: an encoder behind a NAT then sends first, and the handshake needs no waiting.
    fn answering(setup: Setup) -> Self {
        match setup {
            Setup::ActPass | Setup::Active => Self::Server,
            Setup::Passive => Self::Client,
        }
    }

    /// The answer's `a=setup`.
    pub(crate) fn setup(self) -> &'static str {
        match self {
            Self::Client => "active",
            Self::Server => "passive",
        }
    }
}

impl Encoder {
    fn from_session_name(name: &str) -> Self {
        if name.trim() == "FFmpegPublishSession" {
            Self::Ffmpeg
        } else {
            Self::Other
        }
    }
}

/// The most preferred codec the section has, and of its formats the one that ranks best; the offer's order decides
/// between equals.
fn choose<'a>(offered: &'a Offered, order: &[Codec]) -> Option<(Codec, &'a Format)> {
    order
        .iter()
        .filter(|codec| codec.kind() == offered.kind)
        .find_map(|&codec| {
            let formats = offered.formats.iter().filter(|format| format.codec() == Some(codec));
            let ranked = formats.filter_map(|format| Some((rank::rank(codec, format)?, format)));
            ranked.min_by_key(|(rank, _)| *rank).map(|(_, format)| (codec, format))
        })
}

fn accept_data(offered: &OfferedData, policy: DataPolicy) -> Result<Data, Refusal> {
    let section = offered.index + 1;
    let echo = match policy {
        DataPolicy::Accept => false,
        DataPolicy::Echo => true,
        DataPolicy::Refuse => return Err(Refusal::DataChannel { section }),
    };
    Ok(Data {
        mid: offered.mid.clone(),
        port: offered.port,
        message_bytes_max: offered.message_bytes_max,
        echo,
        index: offered.index,
        protocol: offered.protocol,
    })
}

fn accept(offered: &Offered, codec: Codec, format: &Format) -> (Section, Terms) {
    let rtx = offered.formats.iter().find(|other| other.repairs(format));
    let (feedback, accepted) = congestion_control(offered, format);
    let id = |uri| {
        accepted
            .iter()
            .find(|(known, _)| *known == uri)
            .map(|(_, extension)| extension.id)
    };
    let extensions = Extensions {
        mid: id(Uri::Mid),
        rid: id(Uri::Rid),
        repaired_rid: id(Uri::RepairedRid),
        transport_cc: id(Uri::TransportCc),
    };
    // Without the header extension nothing would tell the layers apart.
    let streams = if extensions.rid.is_some() {
        layers_in(&offered.streams, format.payload_type)
    } else {
        Vec::new()
    };
    let section = Section {
        mid: offered.mid.clone(),
        kind: offered.kind,
        codec,
        payload_type: format.payload_type,
        rtx_payload_type: rtx.map(|rtx| rtx.payload_type),
        clock_rate: format.clock_rate,
        channels: if offered.kind == Kind::Audio {
            format.channels
        } else {
            0
        },
        feedback,
        extensions,
        rids: streams.iter().flatten().map(|layer| layer.rid.clone()).collect(),
        sources: offered.sources.clone(),
    };
    let terms = Terms {
        protocol: offered.protocol,
        encoding: format.encoding.clone(),
        parameters: rank::answer_parameters(codec, format),
        rtcp_mux_only: offered.rtcp_mux_only,
        extmap_allow_mixed: offered.extmap_allow_mixed,
        extensions: accepted,
        streams,
    };
    (section, terms)
}

/// One congestion control per section. Transport-wide feedback needs its extension and its `a=rtcp-fb`, and makes
/// REMB pointless. Our REMB follows loss: the absolute send time is not asked for.
fn congestion_control(offered: &Offered, format: &Format) -> (Feedback, Vec<(Uri, Extension)>) {
    let mut feedback = format.feedback;
    let has_extension = offered
        .extensions
        .iter()
        .any(|extension| extension.uri == Some(Uri::TransportCc));
    feedback.transport_cc &= has_extension;
    feedback.remb &= !feedback.transport_cc;

    let mut accepted: Vec<(Uri, Extension)> = Vec::new();
    for extension in &offered.extensions {
        let Some(uri) = extension.uri else { continue };
        let wanted = match uri {
            Uri::Mid | Uri::Rid | Uri::RepairedRid => true,
            Uri::TransportCc => feedback.transport_cc,
        };
        if wanted && !accepted.iter().any(|(known, _)| *known == uri) {
            accepted.push((uri, extension.clone()));
        }
    }
    (feedback, accepted)
}

/// The layers that may use the payload type (RFC 8851 §6.3).
fn layers_in(streams: &[Vec<Layer>], payload_type: u8) -> Vec<Vec<Layer>> {
    let usable = |layer: &&Layer| layer.payload_types.is_empty() || layer.payload_types.contains(&payload_type);
    let streams = streams
        .iter()
        .map(|alternatives| alternatives.iter().filter(usable).cloned().collect());
    streams
        .filter(|alternatives: &Vec<Layer>| !alternatives.is_empty())
        .collect()
}
