//! `a=group:BUNDLE` (RFC 9143 §7): which section describes the one transport.

use crate::{Refusal, sdp::Block};

/// What a section says about its place in the group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'a> {
    pub(super) mid: &'a str,
    /// Port 0 and `a=bundle-only`.
    pub(super) bundle_only: bool,
}

/// The group that all sections are in.
#[derive(Clone, Debug)]
pub(crate) struct Bundle {
    /// Mids, the tagged section's first, else in the group's order, those without a section left out. Empty where the offer
    /// has one section and no group.
    pub(crate) mids: Vec<String>,
    /// The offerer-tagged section, the group's first whose port is not 0, among the `m=` lines.
    pub(crate) tagged: usize,
}

impl Bundle {
    pub(super) fn parse(session: &Block<'_>, sections: &[Member<'_>]) -> Result<Self, Refusal> {
        let group = session.all("group").find_map(|value| {
            let mut words = value.split_ascii_whitespace();
            (words.next() == Some("BUNDLE")).then_some(words)
        });
        let Some(words) = group else {
            return match sections {
                [only] if !only.bundle_only => Ok(Self {
                    mids: Vec::new(),
                    tagged: 0,
                }),
                _ => Err(Refusal::NotBundled),
            };
        };

        let mut members: Vec<usize> = Vec::with_capacity(sections.len());
        for mid in words {
            // FFmpeg up to 8.0 writes `BUNDLE 0 1` even if it offers one section: ignore what names none.
            if let Some(index) = sections.iter().position(|section| section.mid == mid)
                && !members.contains(&index)
            {
                members.push(index);
            }
        }
        if members.len() < sections.len() {
            return Err(Refusal::NotBundled);
        }
        let tagged = members
            .iter()
            .copied()
            .find(|&index| !sections[index].bundle_only)
            .ok_or(Refusal::NotBundled)?;
        // The first mid of the answer's group names its tagged section (RFC 9143 §7.3).
        members.sort_by_key(|&index| index != tagged);
        Ok(Self {
            mids: members
                .into_iter()
                .map(|index| sections[index].mid.to_owned())
                .collect(),
            tagged,
        })
    }
}
