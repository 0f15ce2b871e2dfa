//! An SDP offer, parsed once: what no preference could make acceptable is refused here.
//!
//! Must not know what we prefer, or anything of the answer.

mod bundle;
mod data;
pub(crate) mod extension;
mod fingerprint;
pub(crate) mod format;
pub(crate) mod section;
pub(crate) mod simulcast;
mod source;

pub use fingerprint::{Fingerprint, HashAlgorithm};
pub use format::Feedback;
pub use source::Source;

use crate::{
    Credentials, Kind, Refusal,
    ice::IceOptions,
    sdp::{self, Block},
};
use bundle::{Bundle, Member};
pub(crate) use data::Data;
use section::Section;

/// Bytes of one offer. The largest of real clients, Chromium with every codec, is below 10 KiB.
pub const OFFER_BYTES_MAX: usize = 64 * 1024;

/// Media sections read before an offer is refused for having two of a kind or another kind.
const SECTIONS_MAX: usize = 16;

/// A whole, well-formed offer. Built only by [`Offer::parse`].
#[derive(Clone, Debug)]
pub struct Offer {
    pub(crate) session_name: String,
    pub(crate) extmap_allow_mixed: bool,
    pub(crate) ice_options: IceOptions,
    /// Of media, in the offer's order.
    pub(crate) sections: Vec<Section>,
    pub(crate) data: Option<Data>,
    pub(crate) bundle: Bundle,
    credentials: Credentials,
    fingerprints: Vec<Fingerprint>,
    setup: Setup,
}

/// `a=setup` (RFC 8842 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    Active,
    Passive,
    ActPass,
}

impl Offer {
    /// Parses at most [`OFFER_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// A [`Refusal`] of any kind but those of fragments and [`Refusal::NoCodec`].
    pub fn parse(sdp: &[u8]) -> Result<Self, Refusal> {
        let lines = sdp::lines(sdp, OFFER_BYTES_MAX)?;
        if lines
            .first()
            .is_none_or(|line| line.letter != 'v' || line.value.trim() != "0")
        {
            return Err(Refusal::NotAnOffer);
        }
        let session_name = lines
            .iter()
            .find(|line| line.letter == 's')
            .map_or("", |line| line.value);
        let (session, media) = Block::split(&lines);

        let (mut sections, data) = sections(&session, &media)?;
        let bundle = Bundle::parse(&session, &members(&sections, data.as_ref()))?;
        Section::resolve_shared(&mut sections);

        // BUNDLE has one transport, described by the tagged section (RFC 9143 §7.1.3); what that leaves out is
        // looked up at session level.
        let transport = Transport {
            tagged: &media[bundle.tagged],
            session: &session,
        };
        check_rtcp_mux(&sections)?;
        Ok(Self {
            session_name: session_name.to_owned(),
            extmap_allow_mixed: session.has("extmap-allow-mixed"),
            ice_options: transport
                .first("ice-options")
                .map_or_else(IceOptions::default, IceOptions::parse),
            credentials: transport.credentials()?,
            fingerprints: transport.fingerprints()?,
            setup: transport.setup()?,
            sections,
            data,
            bundle,
        })
    }

    /// The transport's ICE credentials.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// At least one; the peer's certificate must match one of them (RFC 8122 §5).
    pub fn fingerprints(&self) -> &[Fingerprint] {
        &self.fingerprints
    }

    pub fn setup(&self) -> Setup {
        self.setup
    }
}

/// Those of media, and the one of data channels.
fn sections(session: &Block<'_>, media: &[Block<'_>]) -> Result<(Vec<Section>, Option<Data>), Refusal> {
    if media.len() > SECTIONS_MAX {
        return Err(Refusal::TooMany {
            what: "media sections",
            most: SECTIONS_MAX,
        });
    }
    let mut sections: Vec<Section> = Vec::with_capacity(media.len());
    let mut data = None;
    for (number, block) in (1..).zip(media) {
        if block.media.split_ascii_whitespace().next() != Some("application") {
            sections.push(Section::parse(number, session, block)?);
        } else if data.replace(Data::parse(number, block)?).is_some() {
            return Err(Refusal::SecondDataSection);
        }
    }
    if sections.is_empty() {
        return Err(Refusal::NoMedia);
    }
    for kind in [Kind::Audio, Kind::Video] {
        if sections.iter().filter(|section| section.kind == kind).count() > 1 {
            return Err(Refusal::SecondSection { kind });
        }
    }
    // By now there are three at most.
    let members = members(&sections, data.as_ref());
    let is_double = |(index, one): (usize, &Member<'_>)| {
        !one.mid.is_empty() && members[index + 1..].iter().any(|other| other.mid == one.mid)
    };
    if members.iter().enumerate().any(is_double) {
        return Err(Refusal::DuplicateMid);
    }
    Ok((sections, data))
}

/// All sections, in the offer's order.
fn members<'a>(sections: &'a [Section], data: Option<&'a Data>) -> Vec<Member<'a>> {
    let mut members: Vec<Member<'_>> = sections
        .iter()
        .map(|section| Member {
            mid: &section.mid,
            bundle_only: section.bundle_only,
        })
        .collect();
    if let Some(data) = data {
        members.insert(
            data.index,
            Member {
                mid: &data.mid,
                bundle_only: data.bundle_only,
            },
        );
    }
    members
}

/// Every media section must be multiplexed; one with `a=bundle-only` and port 0 may leave that to the tagged section, as
/// all attributes that RFC 8859 classes IDENTICAL (RFC 9143 §7.1.3).
fn check_rtcp_mux(sections: &[Section]) -> Result<(), Refusal> {
    let missing = sections
        .iter()
        .find(|section| !(section.rtcp_mux || section.bundle_only));
    missing.map_or(Ok(()), |section| {
        Err(Refusal::NoRtcpMux {
            section: section.index + 1,
        })
    })
}

/// Where the attributes of the one transport are looked for.
struct Transport<'b, 'a> {
    tagged: &'b Block<'a>,
    session: &'b Block<'a>,
}

impl<'a> Transport<'_, 'a> {
    fn first(&self, name: &str) -> Option<&'a str> {
        self.tagged.first(name).or_else(|| self.session.first(name))
    }

    fn credentials(&self) -> Result<Credentials, Refusal> {
        let (ufrag, pwd) = self
            .first("ice-ufrag")
            .zip(self.first("ice-pwd"))
            .ok_or(Refusal::NoCredentials)?;
        Credentials::parse(ufrag, pwd)
    }

    fn fingerprints(&self) -> Result<Vec<Fingerprint>, Refusal> {
        let level = if self.tagged.has("fingerprint") {
            self.tagged
        } else {
            self.session
        };
        fingerprint::parse_all(level.all("fingerprint"))
    }

    fn setup(&self) -> Result<Setup, Refusal> {
        match self.first("setup") {
            Some("actpass") => Ok(Setup::ActPass),
            Some("passive") => Ok(Setup::Passive),
            // RFC 4145 §4: without the attribute an offerer is active.
            Some("active") | None => Ok(Setup::Active),
            Some(_) => Err(Refusal::Attribute {
                attribute: "setup",
                clause: "RFC 8842 section 5.2",
            }),
        }
    }
}
