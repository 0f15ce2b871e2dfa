//! `a=rid` (RFC 8851) and `a=simulcast` (RFC 8853).

use crate::{
    Refusal,
    sdp::{self, Block},
};

/// Rids of one section, alternatives counted. OBS and browsers send up to four.
const RIDS_MAX: usize = 8;

/// Rids are repeated in the answer, twice. Real ones are up to four bytes.
const RID_BYTES_MAX: usize = 32;

/// Restrictions of one `a=rid` line, which an answer repeats.
const RESTRICTIONS_BYTES_MAX: usize = 128;

/// One encoding, named by its rid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) rid: String,
    /// `~`: offered as not sent at first (RFC 8853 §5.1).
    pub(crate) paused: bool,
    /// `pt=` of the `a=rid` line; empty for any.
    pub(crate) payload_types: Vec<u8>,
    /// The other parameters of the `a=rid` line, as offered (`max-width=1280;max-height=720`).
    pub(crate) restrictions: String,
}

/// Simulcast streams in the offer's order, each a list of alternatives, first preferred. Empty without simulcast.
///
/// A section with two `a=simulcast` lines breaks RFC 8853 §5.1, and is read as one without simulcast, as is one
/// whose line does not parse. At session level the attribute has no meaning.
pub(super) fn parse(block: &Block<'_>) -> Result<Vec<Vec<Layer>>, Refusal> {
    let mut lines = block.all("simulcast");
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Ok(Vec::new());
    };
    let Some(list) = send_list(line) else {
        return Ok(Vec::new());
    };
    if list.split([';', ',']).count() > RIDS_MAX {
        return Err(Refusal::TooMany {
            what: "simulcast rids in a media section",
            most: RIDS_MAX,
        });
    }

    let mut seen: Vec<&str> = Vec::new();
    let mut streams = Vec::new();
    for stream in list.split(';') {
        let mut alternatives = Vec::new();
        for id in stream.split(',') {
            let (rid, paused) = id.strip_prefix('~').map_or((id, false), |rid| (rid, true));
            // A rid without an `a=rid` line of its direction is no valid stream (RFC 8853 §5.1).
            let Some(layer) = layer(rid, paused, block) else {
                continue;
            };
            if !seen.contains(&rid) {
                seen.push(rid);
                alternatives.push(layer);
            }
        }
        if !alternatives.is_empty() {
            streams.push(alternatives);
        }
    }
    Ok(streams)
}

/// The list after `send`; directions come in any order, each once.
fn send_list(line: &str) -> Option<&str> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    match words[..] {
        ["send", list] | ["send", list, "recv", _] | ["recv", _, "send", list] => Some(list),
        _ => None,
    }
}

fn layer(rid: &str, paused: bool, block: &Block<'_>) -> Option<Layer> {
    let is_rid = !rid.is_empty()
        && rid.len() <= RID_BYTES_MAX
        && rid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !is_rid {
        return None;
    }
    let parameters = block.all("rid").find_map(|value| {
        let mut words = value.split_ascii_whitespace();
        (words.next() == Some(rid) && words.next() == Some("send")).then(|| words.next().unwrap_or(""))
    })?;

    let mut layer = Layer {
        rid: rid.to_owned(),
        paused,
        payload_types: Vec::new(),
        restrictions: String::new(),
    };
    for parameter in parameters.split(';').filter(|parameter| !parameter.is_empty()) {
        if let Some(payload_types) = parameter.strip_prefix("pt=") {
            layer.payload_types = payload_types.split(',').map(sdp::number).collect::<Option<_>>()?;
        } else {
            if !layer.restrictions.is_empty() {
                layer.restrictions.push(';');
            }
            layer.restrictions.push_str(parameter);
        }
    }
    let writable = layer.restrictions.len() <= RESTRICTIONS_BYTES_MAX && layer.restrictions.is_ascii();
    writable.then_some(layer)
}
