//! `a=extmap` (RFC 8285 §5): the RTP header extensions we read.

use crate::sdp::{self, Block};

/// Mappings of one section: as many as there are ids.
const EXTENSIONS_MAX: usize = 255;

/// A header extension we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uri {
    /// RFC 9143 §15.
    Mid,
    /// RFC 8852 §3.3.
    Rid,
    /// RFC 8852 §3.3.
    RepairedRid,
    TransportCc,
}

/// One mapping of a section.
#[derive(Clone, Debug)]
pub(crate) struct Extension {
    pub(crate) id: u8,
    /// None for one we do not read; kept because its id may clash with one that we do.
    pub(crate) uri: Option<Uri>,
    /// The offer gave a direction, so the answer must (RFC 8285 §7).
    pub(crate) directed: bool,
    text: String,
}

impl Uri {
    const ALL: [Self; 4] = [Self::Mid, Self::Rid, Self::RepairedRid, Self::TransportCc];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::TransportCc => "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        }
    }
}

impl Extension {
    /// Session-level mappings hold for every section.
    pub(super) fn parse_all(session: &Block<'_>, block: &Block<'_>) -> Vec<Self> {
        session
            .all("extmap")
            .chain(block.all("extmap"))
            .filter_map(Self::parse)
            .take(EXTENSIONS_MAX)
            .collect()
    }

    /// `<id>["/"<direction>] <uri> [<attributes>]`. None for one that is malformed or that the client does not send.
    fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let (id, text) = (words.next()?, words.next()?);
        let (id, direction) = id
            .split_once('/')
            .map_or((id, None), |(id, direction)| (id, Some(direction)));
        let directed = match direction {
            None => false,
            Some("sendonly" | "sendrecv") => true,
            Some(_) => return None,
        };
        // 0 is padding; 4096 and up are proposals for an answerer to renumber (RFC 8285 §7).
        let id = sdp::number(id).filter(|&id| id != 0)?;
        let uri = Uri::ALL.into_iter().find(|uri| uri.as_str() == text);
        Some(Self {
            id,
            uri,
            directed,
            text: text.to_owned(),
        })
    }

    /// An id that names two extensions within the bundle (forbidden by RFC 9143 §12) could not be read: packets
    /// are told apart by what the extensions say. Such an id is not negotiated.
    pub(super) fn clashes_with(&self, other: &Self) -> bool {
        self.id == other.id && self.text != other.text
    }
}
