//! The messages of a checkpoint, and their conversions. Tags are never reused; a new field is optional to its readers.

use std::net::{IpAddr, SocketAddr};

use whipcord_whip::{
    Codec, Credentials as WhipCredentials, Kind, Section as WhipSection,
    negotiate::{Encoder, Extensions, Feedback, Role, Source as WhipSource},
};

use super::Error;
use crate::{Path, srtp::Profile};

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Checkpoint {
    #[prost(uint32, tag = "1")]
    pub(crate) version: u32,
    #[prost(message, optional, tag = "2")]
    pub(crate) cold: Option<Cold>,
    #[prost(message, optional, tag = "3")]
    pub(crate) hot: Option<Hot>,
}

/// What stays as it is from the handshake on (an ICE restart aside).
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Cold {
    #[prost(uint32, tag = "1")]
    pub(crate) epoch: u32,
    /// 1 client, 2 server.
    #[prost(uint32, tag = "2")]
    pub(crate) role: u32,
    /// 1 FFmpeg, 2 any other.
    #[prost(uint32, tag = "3")]
    pub(crate) encoder: u32,
    #[prost(fixed32, tag = "4")]
    pub(crate) ssrc_base: u32,
    #[prost(fixed64, tag = "5")]
    pub(crate) cname: u64,
    /// [`Profile::number`]: 1, 7 or 8.
    #[prost(uint32, tag = "6")]
    pub(crate) profile: u32,
    #[prost(bytes = "vec", tag = "7")]
    pub(crate) local_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "8")]
    pub(crate) local_salt: Vec<u8>,
    #[prost(bytes = "vec", tag = "9")]
    pub(crate) remote_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "10")]
    pub(crate) remote_salt: Vec<u8>,
    /// Ours: the newest, then the ones before that are still answered, newest first.
    #[prost(message, repeated, tag = "11")]
    pub(crate) credentials: Vec<Credentials>,
    #[prost(message, optional, tag = "12")]
    pub(crate) remote: Option<Credentials>,
    #[prost(message, repeated, tag = "13")]
    pub(crate) sections: Vec<Section>,
}

/// What changes with every packet.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Hot {
    /// An adopter's first SRTCP index.
    #[prost(uint32, tag = "1")]
    pub(crate) srtcp_ceiling: u32,
    #[prost(message, optional, tag = "2")]
    pub(crate) path: Option<WirePath>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) streams: Vec<Stream>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) senders: Vec<Sender>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Credentials {
    #[prost(string, tag = "1")]
    pub(crate) ufrag: String,
    #[prost(string, tag = "2")]
    pub(crate) pwd: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WirePath {
    #[prost(message, optional, tag = "1")]
    pub(crate) local: Option<Address>,
    #[prost(message, optional, tag = "2")]
    pub(crate) remote: Option<Address>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Address {
    /// 4 or 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) ip: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub(crate) port: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Section {
    #[prost(string, tag = "1")]
    pub(crate) mid: String,
    /// 1 audio, 2 video.
    #[prost(uint32, tag = "2")]
    pub(crate) kind: u32,
    /// 1 H.264, 2 VP8, 3 VP9, 4 AV1, 5 H.265, 6 Opus.
    #[prost(uint32, tag = "3")]
    pub(crate) codec: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) payload_type: u32,
    #[prost(uint32, optional, tag = "5")]
    pub(crate) rtx_payload_type: Option<u32>,
    #[prost(uint32, tag = "6")]
    pub(crate) clock_rate: u32,
    #[prost(uint32, tag = "7")]
    pub(crate) channels: u32,
    #[prost(bool, tag = "8")]
    pub(crate) nack: bool,
    #[prost(bool, tag = "9")]
    pub(crate) pli: bool,
    #[prost(bool, tag = "10")]
    pub(crate) fir: bool,
    #[prost(bool, tag = "11")]
    pub(crate) transport_cc: bool,
    #[prost(bool, tag = "12")]
    pub(crate) remb: bool,
    #[prost(bool, tag = "13")]
    pub(crate) reduced_size: bool,
    #[prost(uint32, optional, tag = "14")]
    pub(crate) mid_extension: Option<u32>,
    #[prost(uint32, optional, tag = "15")]
    pub(crate) rid_extension: Option<u32>,
    #[prost(uint32, optional, tag = "16")]
    pub(crate) repaired_rid_extension: Option<u32>,
    #[prost(uint32, optional, tag = "17")]
    pub(crate) transport_cc_extension: Option<u32>,
    // 18 was the id of abs-send-time, which we no longer negotiate.
    #[prost(string, repeated, tag = "19")]
    pub(crate) rids: Vec<String>,
    #[prost(message, repeated, tag = "20")]
    pub(crate) sources: Vec<Source>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Source {
    #[prost(fixed32, tag = "1")]
    pub(crate) ssrc: u32,
    #[prost(fixed32, optional, tag = "2")]
    pub(crate) rtx: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Stream {
    #[prost(fixed32, tag = "1")]
    pub(crate) ssrc: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) track: u32,
    /// RTX of the track's media.
    #[prost(bool, tag = "3")]
    pub(crate) repair: bool,
    /// Extended sequence numbers.
    #[prost(uint64, tag = "4")]
    pub(crate) highest: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) first: u64,
    #[prost(uint64, tag = "6")]
    pub(crate) received: u64,
    /// Which of the newest packets arrived: bit n of word m is `highest - (64 m + n)`. All older ones count as seen.
    #[prost(fixed64, repeated, tag = "7")]
    pub(crate) seen: Vec<u64>,
}

/// A sender of SRTCP and its newest index.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Sender {
    #[prost(fixed32, tag = "1")]
    pub(crate) ssrc: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) highest: u32,
}

/// One table per closed set: both directions read it.
fn number<T: Copy + PartialEq>(table: &[(T, u32)], value: T) -> u32 {
    table
        .iter()
        .find(|(known, _)| *known == value)
        .map_or(0, |(_, number)| *number)
}

fn value<T: Copy>(table: &[(T, u32)], number: u32, what: &'static str) -> Result<T, Error> {
    table
        .iter()
        .find(|(_, known)| *known == number)
        .map(|(value, _)| *value)
        .ok_or(Error::Malformed(what))
}

const ROLES: &[(Role, u32)] = &[(Role::Client, 1), (Role::Server, 2)];
const ENCODERS: &[(Encoder, u32)] = &[(Encoder::Ffmpeg, 1), (Encoder::Other, 2)];
const KINDS: &[(Kind, u32)] = &[(Kind::Audio, 1), (Kind::Video, 2)];
const CODECS: &[(Codec, u32)] = &[
    (Codec::H264, 1),
    (Codec::Vp8, 2),
    (Codec::Vp9, 3),
    (Codec::Av1, 4),
    (Codec::H265, 5),
    (Codec::Opus, 6),
];

pub(crate) fn role_number(role: Role) -> u32 {
    number(ROLES, role)
}

pub(crate) fn role(number: u32) -> Result<Role, Error> {
    value(ROLES, number, "the DTLS role")
}

pub(crate) fn encoder_number(encoder: Encoder) -> u32 {
    number(ENCODERS, encoder)
}

pub(crate) fn encoder(number: u32) -> Result<Encoder, Error> {
    value(ENCODERS, number, "the encoder")
}

pub(crate) fn profile(number: u32) -> Result<Profile, Error> {
    let profile = u16::try_from(number).ok().and_then(Profile::from_number);
    profile.ok_or(Error::Malformed("the SRTP profile"))
}

impl From<&WhipCredentials> for Credentials {
    fn from(credentials: &WhipCredentials) -> Self {
        Self {
            ufrag: credentials.ufrag.clone(),
            pwd: credentials.pwd.clone(),
        }
    }
}

impl From<&Credentials> for WhipCredentials {
    fn from(credentials: &Credentials) -> Self {
        Self {
            ufrag: credentials.ufrag.clone(),
            pwd: credentials.pwd.clone(),
        }
    }
}

impl From<Path> for WirePath {
    fn from(path: Path) -> Self {
        Self {
            local: Some(path.local.into()),
            remote: Some(path.remote.into()),
        }
    }
}

impl TryFrom<&WirePath> for Path {
    type Error = Error;

    fn try_from(path: &WirePath) -> Result<Self, Error> {
        let address = |address: &Option<Address>| -> Result<SocketAddr, Error> {
            address
                .as_ref()
                .ok_or(Error::Malformed("an address is missing"))?
                .try_into()
        };
        Ok(Self::udp(address(&path.local)?, address(&path.remote)?))
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        Self {
            ip,
            port: u32::from(address.port()),
        }
    }
}

impl TryFrom<&Address> for SocketAddr {
    type Error = Error;

    fn try_from(address: &Address) -> Result<Self, Error> {
        let ip = match (
            <[u8; 4]>::try_from(&address.ip[..]),
            <[u8; 16]>::try_from(&address.ip[..]),
        ) {
            (Ok(v4), _) => IpAddr::from(v4),
            (_, Ok(v6)) => IpAddr::from(v6),
            _ => return Err(Error::Malformed("an address")),
        };
        let port = u16::try_from(address.port).map_err(|_| Error::Malformed("a port"))?;
        Ok(Self::new(ip, port))
    }
}

impl From<&WhipSection> for Section {
    fn from(section: &WhipSection) -> Self {
        let WhipSection {
            mid,
            kind,
            codec,
            payload_type,
            rtx_payload_type,
            clock_rate,
            channels,
            feedback,
            extensions,
            rids,
            sources,
            ..
        } = section;
        Self {
            mid: mid.clone(),
            kind: number(KINDS, *kind),
            codec: number(CODECS, *codec),
            payload_type: u32::from(*payload_type),
            rtx_payload_type: rtx_payload_type.map(u32::from),
            clock_rate: *clock_rate,
            channels: u32::from(*channels),
            nack: feedback.nack,
            pli: feedback.pli,
            fir: feedback.fir,
            transport_cc: feedback.transport_cc,
            remb: feedback.remb,
            reduced_size: feedback.reduced_size,
            mid_extension: extensions.mid.map(u32::from),
            rid_extension: extensions.rid.map(u32::from),
            repaired_rid_extension: extensions.repaired_rid.map(u32::from),
            transport_cc_extension: extensions.transport_cc.map(u32::from),
            rids: rids.clone(),
            sources: sources
                .iter()
                .map(|WhipSource { ssrc, rtx }| Source { ssrc: *ssrc, rtx: *rtx })
                .collect(),
        }
    }
}

impl TryFrom<&Section> for WhipSection {
    type Error = Error;

    fn try_from(section: &Section) -> Result<Self, Error> {
        let byte = |number: u32, what| u8::try_from(number).map_err(|_| Error::Malformed(what));
        let extension = |number: Option<u32>| number.map(|number| byte(number, "a header extension id")).transpose();
        Ok(Self {
            mid: section.mid.clone(),
            kind: value(KINDS, section.kind, "the kind")?,
            codec: value(CODECS, section.codec, "the codec")?,
            payload_type: byte(section.payload_type, "a payload type")?,
            rtx_payload_type: section
                .rtx_payload_type
                .map(|number| byte(number, "a payload type"))
                .transpose()?,
            clock_rate: section.clock_rate,
            channels: byte(section.channels, "the channels")?,
            feedback: Feedback {
                nack: section.nack,
                pli: section.pli,
                fir: section.fir,
                transport_cc: section.transport_cc,
                remb: section.remb,
                reduced_size: section.reduced_size,
            },
            extensions: Extensions {
                mid: extension(section.mid_extension)?,
                rid: extension(section.rid_extension)?,
                repaired_rid: extension(section.repaired_rid_extension)?,
                transport_cc: extension(section.transport_cc_extension)?,
            },
            rids: section.rids.clone(),
            sources: section
                .sources
                .iter()
                .map(|Source { ssrc, rtx }| WhipSource { ssrc: *ssrc, rtx: *rtx })
                .collect(),
        })
    }
}
