//! A session with keys: SRTP in, media out.

use std::{ops::Range, time::Instant};

use crate::{
    Event, Packet, Path,
    budget::Budget,
    dtls::Dtls,
    event::TrackId,
    ice::Ice,
    outputs::Output,
    rtcp::{nack::Missing, reception::Reception},
    rtp::{self, Header},
    srtp::{Keys, Opener, Replay, WrongKeyLength, estimate},
    stats::DropReason,
};

use super::{
    feedback::Feedback,
    held::Held,
    reports::Senders,
    streams::{Progress, Stream, Streams},
    tracks::{Binding, Tracks, is_video},
};

/// Trial decryptions for SSRCs that the offer did not announce, per second and at once. An encoder brings a few in its life; a
/// forger of random SSRCs is held to 0.2 ms of CPU per second.
const UNANNOUNCED_PER_SECOND: u32 = 100;
const UNANNOUNCED_BURST: u32 = 64;

#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) dtls: Association,
    pub(crate) keys: Keys,
    opener: Opener,
    pub(crate) streams: Streams,
    pub(crate) senders: Senders,
    pub(crate) feedback: Feedback,
    unannounced: Budget,
    pub(crate) held: Held,
    pub(crate) first_media: bool,
}

/// The DTLS association lives as long as the session, to answer a repeated flight and to understand close_notify.
#[derive(Debug)]
pub(crate) enum Association {
    Own(Box<Dtls>),
    /// The process that made it is gone.
    Lost,
}

/// An opened packet: where its payload lies in the datagram.
#[derive(Debug)]
pub(crate) struct Opened {
    track: TrackId,
    ssrc: u32,
    sequence: u64,
    timestamp: u32,
    marker: bool,
    payload: Range<usize>,
}

impl Opened {
    pub(crate) fn packet(self, datagram: &[u8]) -> Packet<'_> {
        let Self {
            track,
            ssrc,
            sequence,
            timestamp,
            marker,
            payload,
        } = self;
        Packet {
            track,
            ssrc,
            sequence,
            timestamp,
            marker,
            payload: &datagram[payload],
        }
    }
}

/// A packet that authenticated.
#[derive(Clone, Copy, Debug)]
struct Authentic {
    /// Of its stream among the session's.
    position: usize,
    /// Its extended sequence number.
    index: u64,
    /// Where its payload, padding included, ends in the datagram.
    end: usize,
}

/// What every packet of a session touches besides the live state.
pub(crate) struct Around<'a> {
    pub(crate) tracks: &'a Tracks,
    pub(crate) ice: &'a mut Ice,
}

impl Live {
    pub(crate) fn new(keys: Keys, dtls: Association, held: Held, feedback: Feedback) -> Result<Self, WrongKeyLength> {
        Ok(Self {
            dtls,
            opener: Opener::new(keys.profile, &keys.remote)?,
            keys,
            streams: Streams::default(),
            senders: Senders::default(),
            feedback,
            unannounced: Budget::new(UNANNOUNCED_PER_SECOND, UNANNOUNCED_BURST),
            held,
            first_media: false,
        })
    }

    /// One SRTP packet. `Err` says why nothing came of it; `Ok(None)` is repair or probing that was consumed.
    pub(crate) fn receive_rtp(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &mut [u8],
        around: &mut Around<'_>,
        out: &mut Output<'_>,
    ) -> Result<Option<Opened>, DropReason> {
        let header = Header::parse(datagram).map_err(|_| DropReason::Malformed)?;
        let packet = match self.streams.position(header.ssrc) {
            Some(position) => self.open_known(position, datagram, &header)?,
            None => self.open_new(now, datagram, &header, around, out)?,
        };
        let newest = self.admit(now, packet, &header);
        self.feedback.arrived(now, &header, datagram);
        if newest {
            follow(now, path, around.ice, out);
        }
        if !self.first_media {
            self.first_media = true;
            out.event(Event::FirstMedia);
        }
        self.deliver(now, packet, datagram, &header, around)
    }

    /// Whether this packet of one of our SSRCs opens under our keys. Changes nothing.
    pub(crate) fn recognises(&self, datagram: &[u8]) -> bool {
        let Ok(header) = Header::parse(datagram) else {
            return false;
        };
        let (sequence, len) = (header.sequence, header.len());
        let Some(stream) = self.streams.iter().find(|stream| stream.ssrc == header.ssrc) else {
            return false;
        };
        let Some(highest) = stream.replay.highest() else {
            return false;
        };
        let index = estimate(highest, sequence);
        stream.replay.check(index) && self.opener.probe_rtp(datagram, len, index)
    }

    /// One SRTCP packet.
    pub(crate) fn receive_rtcp(
        &mut self,
        now: Instant,
        datagram: &mut [u8],
        out: &mut Output<'_>,
    ) -> Result<(), DropReason> {
        self.senders
            .receive(now, &self.opener, datagram, &mut self.streams, out)
    }
}

// === the steps of one packet ===

impl Live {
    fn open_known(&mut self, position: usize, datagram: &mut [u8], header: &Header) -> Result<Authentic, DropReason> {
        let stream = self.streams.at(position);
        let highest = stream.replay.highest().unwrap_or(0);
        let index = estimate(highest, header.sequence);
        if stream.progress == Progress::Restored {
            return self.open_restored(position, datagram, header, highest);
        }
        if !stream.replay.check(index) {
            return Err(DropReason::Replayed);
        }
        let end = self
            .opener
            .open_rtp(datagram, header.len(), index)
            .map_err(|_| DropReason::Unauthentic)?;
        Ok(Authentic { position, index, end })
    }

    /// The first packet after adoption. Up to 2^17 packets may have passed since the checkpoint: ten seconds at 13,000 per second,
    /// four times the fastest encoder. So the roll-over counter is one of four, and authentication says which.
    fn open_restored(
        &mut self,
        position: usize,
        datagram: &mut [u8],
        header: &Header,
        highest: u64,
    ) -> Result<Authentic, DropReason> {
        let nearest = estimate(highest, header.sequence);
        let further = (0..3).map(|turn| ((highest >> 16) + turn) << 16 | u64::from(header.sequence));
        let index = [nearest]
            .into_iter()
            .chain(further)
            .find(|index| self.opener.probe_rtp(datagram, header.len(), *index))
            .ok_or(DropReason::Unauthentic)?;
        let stream = self.streams.at(position);
        if !stream.replay.check(index) {
            return Err(DropReason::Replayed);
        }
        stream.progress = Progress::Known;
        let end = self
            .opener
            .open_rtp(datagram, header.len(), index)
            .map_err(|_| DropReason::Unauthentic)?;
        Ok(Authentic { position, index, end })
    }

    /// A packet of an SSRC that has no state. It starts at roll-over counter 0; an encoder that starts anywhere in 16 bits may have
    /// wrapped before its first packet reached us.
    fn open_new(
        &mut self,
        now: Instant,
        datagram: &mut [u8],
        header: &Header,
        around: &mut Around<'_>,
        out: &mut Output<'_>,
    ) -> Result<Authentic, DropReason> {
        if !around.tracks.announces(header.ssrc) && !self.unannounced.take(now) {
            return Err(DropReason::RateLimited);
        }
        let index = [0, 1 << 16]
            .into_iter()
            .map(|roll_over| roll_over | u64::from(header.sequence))
            .find(|index| self.opener.probe_rtp(datagram, header.len(), *index))
            .ok_or(DropReason::Unauthentic)?;
        let end = self
            .opener
            .open_rtp(datagram, header.len(), index)
            .map_err(|_| DropReason::Unauthentic)?;
        let binding = around.tracks.bind(header, datagram).ok_or(DropReason::Unbound)?;
        let section = around.tracks.section(binding.track());
        let asks = matches!(binding, Binding::Media(_)) && section.feedback.nack;
        let stream = Stream {
            ssrc: header.ssrc,
            binding,
            replay: Replay::default(),
            progress: Progress::Known,
            reception: Reception::new(section.clock_rate, index),
            missing: asks.then(Missing::default),
            heard: now,
            packets: 0,
            bytes: 0,
            persisted: self.feedback.indices_are_free(),
        };
        if !self.streams.insert(now, stream, out) {
            return Err(DropReason::TooManyStreams);
        }
        if let Binding::Media(track) = binding {
            out.event(Event::Track {
                track,
                kind: section.kind,
                codec: section.codec,
                mid: section.mid.clone(),
                rid: around.tracks.rid(track).map(str::to_owned),
                ssrc: header.ssrc,
            });
            if is_video(section) {
                self.feedback.request_keyframe(track);
            }
        }
        let position = self.streams.position(header.ssrc).expect("inserted above");
        Ok(Authentic { position, index, end })
    }

    /// Counts an authentic packet. True if it is the newest of its stream.
    fn admit(&mut self, now: Instant, packet: Authentic, header: &Header) -> bool {
        let Authentic { position, index, .. } = packet;
        let stream = self.streams.at(position);
        let newest = stream.replay.highest().is_none_or(|highest| index > highest);
        stream.replay.commit(index);
        stream.reception.received(now, index, header.timestamp);
        stream.heard = now;
        if let Some(missing) = &mut stream.missing {
            missing.received(now, index);
            self.feedback.holes(now, missing);
        }
        newest
    }

    fn deliver(
        &mut self,
        now: Instant,
        packet: Authentic,
        datagram: &[u8],
        header: &Header,
        around: &Around<'_>,
    ) -> Result<Option<Opened>, DropReason> {
        let stream = self.streams.at(packet.position);
        if around.tracks.payload_type(stream.binding) != Some(header.payload_type) {
            return Err(DropReason::Unbound);
        }
        let length = rtp::payload(datagram, packet.end, header)
            .map_err(|_| DropReason::Malformed)?
            .len();
        let payload = header.len()..header.len() + length;
        stream.packets += 1;
        stream.bytes += payload.len() as u64;
        let Header {
            timestamp,
            marker,
            ssrc,
            ..
        } = *header;
        match stream.binding {
            Binding::Media(track) => Ok(Some(Opened {
                track,
                ssrc,
                sequence: packet.index,
                timestamp,
                marker,
                payload,
            })),
            Binding::Repair(track) => self.repair(now, track, datagram, payload, header, around),
        }
    }

    /// RFC 4588 §4: the payload begins with the original sequence number; the time is the original's.
    fn repair(
        &mut self,
        now: Instant,
        track: TrackId,
        datagram: &[u8],
        payload: Range<usize>,
        header: &Header,
        around: &Around<'_>,
    ) -> Result<Option<Opened>, DropReason> {
        let Some((sequence, _)) = rtp::rtx::unwrap(&datagram[payload.clone()]) else {
            return Ok(None);
        };
        let announced = around
            .tracks
            .announced_media_of(header.ssrc)
            .and_then(|ssrc| self.streams.position(ssrc));
        let Some(position) = announced.or_else(|| self.streams.bound(Binding::Media(track))) else {
            return Ok(None);
        };
        let stream = self.streams.at(position);
        let Some(highest) = stream.replay.highest() else {
            return Ok(None);
        };
        let index = estimate(highest, sequence);
        // Chromium probes for bandwidth by repeating what arrived long ago.
        if index > highest || !stream.replay.check(index) {
            return Ok(None);
        }
        stream.replay.commit(index);
        stream.reception.repaired(index);
        if let Some(missing) = &mut stream.missing {
            missing.received(now, index);
        }
        let payload = payload.start + 2..payload.end;
        let Header { timestamp, marker, .. } = *header;
        Ok(Some(Opened {
            track,
            ssrc: stream.ssrc,
            sequence: index,
            timestamp,
            marker,
            payload,
        }))
    }
}

/// The newest packet says where the encoder is.
fn follow(now: Instant, path: Path, ice: &mut Ice, out: &mut Output<'_>) {
    let pending = ice.restart_pending();
    if ice.on_media(now, path) {
        out.event(Event::PathChanged { path });
    }
    if pending && !ice.restart_pending() {
        out.event(Event::Restarted);
    }
}
