//! What the offer announced, and to which of its tracks a new SSRC belongs.
//!
//! Not here: packets' content, and streams already bound.

use whipcord_whip::{Kind, Section};

use crate::{event::TrackId, rtp::Header};

/// The negotiated sections, and one track for each of their layers.
#[derive(Clone, Debug)]
pub(crate) struct Tracks {
    sections: Vec<Section>,
    /// (section, rid index) in the offer's order; without simulcast the rid index is None.
    tracks: Vec<(usize, Option<usize>)>,
}

/// What a stream of RTP is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    Media(TrackId),
    /// RTX (RFC 4588) of this track's media.
    Repair(TrackId),
}

impl Binding {
    pub(crate) fn track(self) -> TrackId {
        match self {
            Self::Media(track) | Self::Repair(track) => track,
        }
    }
}

impl Tracks {
    pub(crate) fn new(sections: Vec<Section>) -> Self {
        let tracks = sections
            .iter()
            .enumerate()
            .flat_map(|(index, section)| {
                let layers = section.rids.len();
                let single = (layers == 0).then_some((index, None));
                single.into_iter().chain((0..layers).map(move |rid| (index, Some(rid))))
            })
            .collect();
        Self { sections, tracks }
    }

    pub(crate) fn sections(&self) -> &[Section] {
        &self.sections
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = TrackId> + use<> {
        (0..self.tracks.len()).map(|index| TrackId(index as u8))
    }

    pub(crate) fn section(&self, track: TrackId) -> &Section {
        &self.sections[self.tracks[usize::from(track.0)].0]
    }

    pub(crate) fn rid(&self, track: TrackId) -> Option<&str> {
        let (section, rid) = self.tracks[usize::from(track.0)];
        rid.map(|rid| self.sections[section].rids[rid].as_str())
    }

    /// The id under which packets carry their transport-wide sequence number. BUNDLE gives an extension one id in all
    /// sections (RFC 9143 §9.1).
    pub(crate) fn transport_cc(&self) -> Option<u8> {
        self.sections
            .iter()
            .filter(|section| section.feedback.transport_cc)
            .find_map(|section| section.extensions.transport_cc)
    }

    /// REMB is for those that know nothing newer.
    pub(crate) fn wants_remb(&self) -> bool {
        self.transport_cc().is_none() && self.sections.iter().any(|section| section.feedback.remb)
    }

    pub(crate) fn announces(&self, ssrc: u32) -> bool {
        self.announced(ssrc).is_some()
    }

    /// The payload type that a stream so bound must carry.
    pub(crate) fn payload_type(&self, binding: Binding) -> Option<u8> {
        match binding {
            Binding::Media(track) => Some(self.section(track).payload_type),
            Binding::Repair(track) => self.section(track).rtx_payload_type,
        }
    }

    /// Binds a new stream by the header of one of its packets: by MID, else by the SSRC the offer announced, else by payload
    /// type (RFC 9143 §9.2); the layer by RID or repaired RID (RFC 8852).
    pub(crate) fn bind(&self, header: &Header, datagram: &[u8]) -> Option<Binding> {
        let section = self
            .by_mid(header, datagram)
            .or_else(|| self.announced(header.ssrc))
            .or_else(|| self.by_payload_type(header.payload_type))?;
        let Section {
            payload_type,
            rtx_payload_type,
            ..
        } = self.sections[section];
        let extensions = self.sections[section].extensions;
        if header.payload_type == payload_type {
            self.layer(section, header, datagram, extensions.rid)
                .map(Binding::Media)
        } else if Some(header.payload_type) == rtx_payload_type {
            // Some encoders name the layer of a repair stream by plain RID.
            self.layer(section, header, datagram, extensions.repaired_rid)
                .or_else(|| self.layer(section, header, datagram, extensions.rid))
                .map(Binding::Repair)
        } else {
            None
        }
    }

    /// The media SSRC whose RTX this is, where the offer said so.
    pub(crate) fn announced_media_of(&self, repair: u32) -> Option<u32> {
        let mut sources = self.sections.iter().flat_map(|section| &section.sources);
        sources
            .find(|source| source.rtx == Some(repair))
            .map(|source| source.ssrc)
    }

    fn by_mid(&self, header: &Header, datagram: &[u8]) -> Option<usize> {
        let id = self.sections.iter().find_map(|section| section.extensions.mid)?;
        let mid = header.extension(datagram, id)?;
        self.sections.iter().position(|section| section.mid.as_bytes() == mid)
    }

    fn announced(&self, ssrc: u32) -> Option<usize> {
        self.sections.iter().position(|section| {
            let mut sources = section.sources.iter();
            sources.any(|source| source.ssrc == ssrc || source.rtx == Some(ssrc))
        })
    }

    fn by_payload_type(&self, payload_type: u8) -> Option<usize> {
        let carries =
            |section: &Section| section.payload_type == payload_type || section.rtx_payload_type == Some(payload_type);
        let mut carrying = self.sections.iter().enumerate().filter(|(_, section)| carries(section));
        let (index, _) = carrying.next()?;
        carrying.next().is_none().then_some(index)
    }

    fn layer(&self, section: usize, header: &Header, datagram: &[u8], id: Option<u8>) -> Option<TrackId> {
        let first = self.tracks.iter().position(|(index, _)| *index == section)?;
        let rids = &self.sections[section].rids;
        if rids.is_empty() {
            return Some(TrackId(first as u8));
        }
        let rid = header.extension(datagram, id?)?;
        let layer = rids.iter().position(|known| known.as_bytes() == rid)?;
        Some(TrackId((first + layer) as u8))
    }
}

/// Whether keyframes exist for it.
pub(crate) fn is_video(section: &Section) -> bool {
    section.kind == Kind::Video
}
