//! The section of an offer that carries its data channels (RFC 8841).
//!
//! Must not know what a channel is: those are opened later, within SCTP (RFC 8832).

use super::section::mid;
use crate::{
    Refusal,
    sdp::{self, Block},
};

/// What may stand for SCTP over DTLS (RFC 8841 §4.1). The draft's `DTLS/SCTP 5000` is in no client since 2019.
const PROTOCOLS: [&str; 2] = ["UDP/DTLS/SCTP", "TCP/DTLS/SCTP"];
/// The only use of SCTP that WebRTC has (RFC 8841 §4.3).
const FORMAT: &str = "webrtc-datachannel";
/// RFC 8841 §6.1: what a peer takes that says nothing.
const MESSAGE_BYTES_DEFAULT: u32 = 64 * 1024;

#[derive(Clone, Debug)]
pub(crate) struct Data {
    /// Among the offer's `m=` lines.
    pub(crate) index: usize,
    pub(crate) protocol: &'static str,
    pub(crate) bundle_only: bool,
    /// Empty where the offer has none.
    pub(crate) mid: String,
    pub(crate) port: u16,
    /// Bytes of a message that the offerer takes; None for any size.
    pub(crate) message_bytes_max: Option<u32>,
}

impl Data {
    /// `number` counts from 1, for refusals.
    pub(super) fn parse(number: usize, block: &Block<'_>) -> Result<Self, Refusal> {
        let malformed = || Refusal::MediaLine { section: number };
        let words: Vec<&str> = block.media.split_ascii_whitespace().collect();
        let [_, port, protocol, ref formats @ ..] = words[..] else {
            return Err(malformed());
        };
        let protocol = PROTOCOLS
            .into_iter()
            .find(|known| *known == protocol && formats == [FORMAT])
            .ok_or(Refusal::DataProtocol { section: number })?;
        let port: u16 = sdp::number(port).ok_or_else(malformed)?;
        let bundle_only = port == 0;
        if bundle_only && !block.has("bundle-only") {
            return Err(Refusal::Disabled { section: number });
        }
        // There is no default, and 0 means no association (RFC 8841 §5.1).
        let sctp_port = block
            .first("sctp-port")
            .and_then(sdp::number)
            .filter(|&port: &u16| port != 0)
            .ok_or(Refusal::Attribute {
                attribute: "sctp-port",
                clause: "RFC 8841 section 5",
            })?;
        let message_bytes_max = block
            .first("max-message-size")
            .map_or(Some(MESSAGE_BYTES_DEFAULT), message_size)
            .ok_or(Refusal::Attribute {
                attribute: "max-message-size",
                clause: "RFC 8841 section 6",
            })?;
        Ok(Self {
            index: number - 1,
            protocol,
            bundle_only,
            mid: mid(block)?,
            port: sctp_port,
            // RFC 8841 §6.1: 0 is any size.
            message_bytes_max: (message_bytes_max > 0).then_some(message_bytes_max),
        })
    }
}

/// Sizes beyond 32 bits are as good as the largest.
fn message_size(value: &str) -> Option<u32> {
    let size: u64 = sdp::number(value)?;
    Some(u32::try_from(size).unwrap_or(u32::MAX))
}
