//! A session leaves one process and goes on in another.
//!
//! Not here: the bytes (see `checkpoint`), and who decides that it may.

use std::time::Instant;

use whipcord_whip::Section;

use super::{
    Liveness, Peer, WrongPassword,
    addresses::Addresses,
    feedback::{Feedback, Identity},
    held::Held,
    live::{Association, Live},
    phase::Phase,
    reports::Senders,
    streams::{Progress, STREAMS_MAX, Stream},
    tracks::{Binding, Tracks, is_video},
};
use crate::{
    Checkpoint, Path,
    checkpoint::{Cold, Error, Hot, StreamState, wire},
    event::TrackId,
    ice::{GENERATIONS_MAX, Ice},
    rtcp::{nack::Missing, reception::Reception},
    srtp::{Keys, Master, Replay, WINDOW, WORDS, WrongKeyLength},
    stats::Dropped,
};

/// Packets whose arrival a checkpoint tells one by one, in words: 512, which is FFmpeg's whole history for retransmissions.
const RECENT_WORDS: u64 = 8;
/// Media sections of one session: an offer has at most two.
const SECTIONS_MAX: usize = 8;
/// Tracks of one session, layers counted.
const TRACKS_MAX: usize = 32;

impl Peer {
    /// None before the first authenticated SRTP packet: it proves that the client finished DTLS, which an adopter could not do. None
    /// with data channels, ever: they need DTLS as long as the session lives, and its state cannot be taken out of rtc-dtls.
    pub(crate) fn checkpoint(&mut self) -> Option<Checkpoint> {
        if self.data.is_some() {
            return None;
        }
        let Phase::Live(live) = &mut self.phase else {
            return None;
        };
        if !live.first_media {
            return None;
        }
        let Keys { profile, local, remote } = &live.keys;
        let cold = Cold {
            epoch: self.epoch,
            role: wire::role_number(self.role),
            encoder: wire::encoder_number(self.encoder),
            ssrc_base: self.identity.ssrc_base,
            cname: self.identity.cname,
            profile: profile.number().into(),
            local_key: local.key.to_vec(),
            local_salt: local.salt.to_vec(),
            remote_key: remote.key.to_vec(),
            remote_salt: remote.salt.to_vec(),
            credentials: std::iter::once(self.ice.local())
                .chain(self.ice.old())
                .map(wire::Credentials::from)
                .collect(),
            remote: Some(self.ice.remote().into()),
            sections: self.tracks.sections().iter().map(wire::Section::from).collect(),
        };
        let hot = Hot {
            srtcp_ceiling: live.feedback.offer_ceiling(),
            path: self.ice.path().map(wire::WirePath::from),
            streams: live.streams.iter().filter_map(state_of).collect(),
            senders: live
                .senders
                .highest()
                .map(|(ssrc, highest)| wire::Sender { ssrc, highest })
                .collect(),
        };
        Some(Checkpoint { cold, hot })
    }

    /// See [`crate::Mux::persisted`].
    pub(crate) fn persisted(&mut self, checkpoint: &Checkpoint) {
        let Phase::Live(live) = &mut self.phase else { return };
        if checkpoint.cold.epoch != self.epoch {
            return;
        }
        live.feedback.persisted(checkpoint.hot.srtcp_ceiling);
        for state in &checkpoint.hot.streams {
            live.streams
                .iter_mut()
                .filter(|stream| stream.ssrc == state.ssrc)
                .for_each(|stream| stream.persisted = true);
        }
    }

    pub(crate) fn adopt(now: Instant, checkpoint: &Checkpoint, epoch: u32) -> Result<Self, Error> {
        let Checkpoint { cold, hot } = checkpoint;
        if epoch <= cold.epoch {
            return Err(Error::StaleEpoch {
                checkpoint: cold.epoch,
                offered: epoch,
            });
        }
        let tracks = tracks(cold)?;
        let keys = keys(cold)?;
        let encoder = wire::encoder(cold.encoder)?;
        let identity = Identity {
            ssrc_base: cold.ssrc_base,
            cname: cold.cname,
        };
        let path = hot.path.as_ref().map(Path::try_from).transpose()?;
        let ice = ice(now, cold, path)?;
        let mut feedback = Feedback::new(now, &keys, &tracks, encoder, identity, epoch, hot.srtcp_ceiling)?;
        feedback.speak_now(now);
        for track in tracks.ids().filter(|track| is_video(tracks.section(*track))) {
            feedback.request_keyframe(track);
        }
        let mut live = Live::new(keys, Association::Lost, Held::default(), feedback)?;
        live.first_media = true;
        if hot.streams.len() > STREAMS_MAX || hot.senders.len() > STREAMS_MAX {
            return Err(Error::Malformed("more streams than a session may have"));
        }
        for state in &hot.streams {
            live.streams.restore(stream(now, state, &tracks)?);
        }
        live.senders = Senders::restore(hot.senders.iter().map(|sender| (sender.ssrc, sender.highest)));
        Ok(Self {
            role: wire::role(cold.role)?,
            encoder,
            identity,
            epoch,
            tracks,
            ice,
            phase: Phase::Live(Box::new(live)),
            data: None,
            liveness: Liveness::Heard,
            heard: now,
            addresses: Addresses::adopted(now, path.map(|path| path.remote)),
            wrong_password: WrongPassword::Unseen,
            handshake_datagrams: 0,
            dropped: Dropped::default(),
            scheduled: None,
            #[cfg(test)]
            defect: false,
        })
    }
}

fn state_of(stream: &Stream) -> Option<StreamState> {
    let (track, repair) = match stream.binding {
        Binding::Media(track) => (track, false),
        Binding::Repair(track) => (track, true),
    };
    Some(StreamState {
        ssrc: stream.ssrc,
        track: u32::from(track.0),
        repair,
        highest: stream.replay.highest()?,
        first: stream.reception.first(),
        received: stream.reception.received_count(),
        seen: recent(&stream.replay),
    })
}

/// The newest packets as a bitmap that an adopter can read whatever its own window is.
fn recent(replay: &Replay) -> Vec<u64> {
    let Some(highest) = replay.highest() else { return vec![] };
    let was_seen = |back: u64| highest.checked_sub(back).is_none_or(|index| !replay.check(index));
    (0..RECENT_WORDS)
        .map(|word| {
            (0..64)
                .filter(|bit| was_seen(64 * word + bit))
                .fold(0, |bits, bit| bits | 1 << bit)
        })
        .collect()
}

/// The packets of `state` that are still missing among its newest, oldest first.
fn holes(state: &StreamState) -> Vec<u64> {
    let words = state.seen.iter().take(RECENT_WORDS as usize);
    let backs = words.enumerate().flat_map(|(word, bits)| {
        (0..64)
            .filter(move |bit| bits >> bit & 1 == 0)
            .map(move |bit| 64 * word as u64 + bit)
    });
    let mut holes: Vec<u64> = backs.filter_map(|back| state.highest.checked_sub(back)).collect();
    holes.reverse();
    holes
}

fn replay(state: &StreamState, holes: &[u64]) -> Result<Replay, Error> {
    let mut words = [u64::MAX; WORDS];
    for hole in holes {
        let position = hole % WINDOW;
        words[(position / 64) as usize] &= !(1 << (position % 64));
    }
    Replay::from_parts(state.highest, &words).ok_or(Error::Malformed("a replay window"))
}

/// Asks again for what its predecessor was asking for.
fn missing(now: Instant, state: &StreamState, holes: &[u64]) -> Missing {
    let Some(first) = holes.first() else {
        return Missing::restored(state.highest);
    };
    let mut missing = Missing::restored(first.saturating_sub(1));
    for sequence in (*first..=state.highest).filter(|sequence| holes.binary_search(sequence).is_err()) {
        missing.received(now, sequence);
    }
    missing
}

fn stream(now: Instant, state: &StreamState, tracks: &Tracks) -> Result<Stream, Error> {
    let track = tracks
        .ids()
        .find(|track| u32::from(track.0) == state.track)
        .ok_or(Error::Malformed("a stream of no track"))?;
    // RFC 3711 §3.3.1: an index has 48 bits.
    if state.first > state.highest || state.highest >= 1 << 48 {
        return Err(Error::Malformed("a stream's sequence numbers"));
    }
    let holes = holes(state);
    let section = tracks.section(track);
    let binding = if state.repair {
        Binding::Repair(track)
    } else {
        Binding::Media(track)
    };
    Ok(Stream {
        ssrc: state.ssrc,
        binding,
        replay: replay(state, &holes)?,
        progress: Progress::Restored,
        reception: Reception::restored(section.clock_rate, state.first, state.highest, state.received),
        missing: (!state.repair && section.feedback.nack).then(|| missing(now, state, &holes)),
        heard: now,
        packets: 0,
        bytes: 0,
        // The checkpoint that was found names it.
        persisted: true,
    })
}

fn tracks(cold: &Cold) -> Result<Tracks, Error> {
    if cold.sections.is_empty() || cold.sections.len() > SECTIONS_MAX {
        return Err(Error::Malformed("the number of sections"));
    }
    let sections = cold
        .sections
        .iter()
        .map(Section::try_from)
        .collect::<Result<Vec<_>, _>>()?;
    let tracks = Tracks::new(sections);
    if tracks.ids().count() > TRACKS_MAX {
        return Err(Error::Malformed("the number of tracks"));
    }
    Ok(tracks)
}

fn keys(cold: &Cold) -> Result<Keys, Error> {
    let profile = wire::profile(cold.profile)?;
    Ok(Keys {
        profile,
        local: Master {
            key: cold.local_key.clone(),
            salt: cold.local_salt.clone(),
        },
        remote: Master {
            key: cold.remote_key.clone(),
            salt: cold.remote_salt.clone(),
        },
    })
}

fn ice(now: Instant, cold: &Cold, path: Option<Path>) -> Result<Ice, Error> {
    let remote = cold
        .remote
        .as_ref()
        .ok_or(Error::Malformed("the remote credentials are missing"))?;
    let (local, old) = match cold.credentials.as_slice() {
        [local, old @ ..] if old.len() < GENERATIONS_MAX => (local, old.iter().map(Into::into).collect()),
        _ => return Err(Error::Malformed("the local credentials")),
    };
    Ok(Ice::restore(now, remote.into(), local.into(), old, path))
}

impl From<WrongKeyLength> for Error {
    fn from(WrongKeyLength: WrongKeyLength) -> Self {
        Self::Malformed("a key's length")
    }
}

/// So that a track's number fits where it is carried.
const _: () = assert!(TRACKS_MAX < u8::MAX as usize && size_of::<TrackId>() == 1);
