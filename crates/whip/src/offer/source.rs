//! `a=ssrc` and `a=ssrc-group` (RFC 5576): which SSRCs a section announces.

use crate::{
    Refusal,
    sdp::{self, Block},
};

/// SSRCs of one section. Simulcast as old browsers do it, three layers with RTX and FEC each, makes nine.
const SSRCS_MAX: usize = 32;

/// An announced media stream and what repeats it (RFC 5576 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    pub ssrc: u32,
    pub rtx: Option<u32>,
}

/// Media streams in the order of their announcement. One that only an FID group names counts too; FFmpeg's RTX SSRC
/// is named nowhere else.
pub(super) fn parse_all(block: &Block<'_>) -> Result<Vec<Source>, Refusal> {
    let mut sources: Vec<Source> = Vec::new();
    let mut repairs: Vec<u32> = Vec::new();
    for (semantics, primary, repair) in block.all("ssrc-group").filter_map(pair) {
        repairs.push(repair);
        match sources.iter_mut().find(|source| source.ssrc == primary) {
            Some(source) if semantics == "FID" => source.rtx = Some(repair),
            Some(_) => {}
            None => sources.push(Source {
                ssrc: primary,
                rtx: (semantics == "FID").then_some(repair),
            }),
        }
    }
    let groups = std::mem::take(&mut sources);
    let announced = block
        .all("ssrc")
        .filter_map(|value| value.split(' ').next().and_then(sdp::number));
    for ssrc in announced.chain(groups.iter().map(|group| group.ssrc)) {
        if repairs.contains(&ssrc) || sources.iter().any(|source| source.ssrc == ssrc) {
            continue;
        }
        if sources.len() + repairs.len() >= SSRCS_MAX {
            return Err(Refusal::TooMany {
                what: "SSRCs in a media section",
                most: SSRCS_MAX,
            });
        }
        let group = groups.iter().find(|group| group.ssrc == ssrc);
        sources.push(Source {
            ssrc,
            rtx: group.and_then(|group| group.rtx),
        });
    }
    Ok(sources)
}

/// A group of a media stream and what repairs it: retransmissions (RFC 5576 §4.2) or FEC (RFC 5956 §4.3).
fn pair(value: &str) -> Option<(&str, u32, u32)> {
    let words: Vec<&str> = value.split_ascii_whitespace().collect();
    let [semantics @ ("FID" | "FEC" | "FEC-FR"), primary, repair] = words[..] else {
        return None;
    };
    let (primary, repair) = (sdp::number(primary)?, sdp::number(repair)?);
    (primary != repair).then_some((semantics, primary, repair))
}
