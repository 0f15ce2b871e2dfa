//! What we tell an encoder: receiver reports, holes, keyframe requests, and what its congestion control needs.
//!
//! It decides when, and seals. Not here: the formats (see `rtcp`), and what is missing (see the trackers there).

use std::time::{Duration, Instant};

use whipcord_whip::negotiate::Encoder;

use crate::{
    Path,
    event::TrackId,
    outputs::Output,
    rtcp::{self, nack::Missing, remb::Estimate, twcc::Arrivals},
    rtp::Header,
    srtp::{Keys, Sealer, WrongKeyLength},
};

use super::{
    pledge::Indices,
    streams::Streams,
    tracks::{Binding, Tracks},
};

/// RFC 3550 §6.2 allows less than its 5 s minimum for unicast; a second keeps the encoder's round-trip time fresh.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Chromium's congestion control is tuned to this; without it, it stays at 300 kbit/s for long.
const TRANSPORT_INTERVAL: Duration = Duration::from_millis(100);
/// One holds 800 packets when few are lost, and a late packet takes one of its own. What does not fit goes with the next.
const TRANSPORT_FEEDBACKS_MAX: usize = 4;
/// REMB is a ceiling, not a control loop: twice a second lets a rising estimate be noticed.
const REMB_INTERVAL: Duration = Duration::from_millis(500);
/// Holes are looked at this often while there are any.
const HOLES_INTERVAL: Duration = Duration::from_millis(20);
/// A keyframe costs the encoder as much as half a second of video: no more often than this.
const KEYFRAME_INTERVAL: Duration = Duration::from_secs(1);
/// FFmpeg reads one datagram per packet that it muxes, about 80 per second, and consent answers queue behind ours: at most
/// 16 per second from us (1 s / 60 ms).
const FFMPEG_GAP: Duration = Duration::from_millis(60);

/// Random choices of a session's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Our RTCP SSRC is this, moved on by the epoch.
    pub(crate) ssrc_base: u32,
    /// SDES CNAME, as hex.
    pub(crate) cname: u64,
}

impl Identity {
    /// Our RTCP SSRC in this epoch: no two epochs of one session have the same, because an odd factor permutes 32 bits.
    pub(crate) fn ssrc(self, epoch: u32) -> u32 {
        self.ssrc_base.wrapping_add(epoch.wrapping_mul(0x9e37_79b1))
    }
}

#[derive(Debug)]
pub(crate) struct Feedback {
    ssrc: u32,
    cname: String,
    sealer: Sealer,
    indices: Indices,
    /// The least time between two datagrams.
    gap: Duration,
    quiet_until: Instant,
    report_at: Instant,
    holes_at: Option<Instant>,
    congestion: Congestion,
    keyframes: Vec<Keyframe>,
    fir_sequence: u8,
    /// Messages sent.
    nacks: u64,
    keyframe_requests: u64,
}

#[derive(Debug)]
enum Congestion {
    /// The encoder asked for nothing.
    Unmanaged,
    /// Transport-wide congestion control, its extension's id, and when the next feedback is due.
    Transport {
        id: u8,
        arrivals: Box<Arrivals>,
        at: Option<Instant>,
    },
    Remb {
        estimate: Estimate,
        at: Instant,
    },
}

/// Keyframe requests of one track.
#[derive(Clone, Copy, Debug, Default)]
struct Keyframe {
    wanted: bool,
    asked: Option<Instant>,
}

impl Keyframe {
    fn due(&self, now: Instant) -> Option<Instant> {
        self.wanted
            .then(|| self.asked.map_or(now, |asked| asked + KEYFRAME_INTERVAL))
    }
}

impl Feedback {
    pub(crate) fn new(
        now: Instant,
        keys: &Keys,
        tracks: &Tracks,
        encoder: Encoder,
        identity: Identity,
        epoch: u32,
        first_index: u32,
    ) -> Result<Self, WrongKeyLength> {
        let congestion = match tracks.transport_cc() {
            Some(id) => Congestion::Transport {
                id,
                arrivals: Box::default(),
                at: None,
            },
            None if tracks.wants_remb() => Congestion::Remb {
                estimate: Estimate::new(now),
                at: now + REMB_INTERVAL,
            },
            None => Congestion::Unmanaged,
        };
        Ok(Self {
            ssrc: identity.ssrc(epoch),
            cname: format!("{:016x}", identity.cname),
            sealer: Sealer::new(keys.profile, &keys.local)?,
            indices: Indices::starting_at(first_index),
            gap: if encoder == Encoder::Ffmpeg {
                FFMPEG_GAP
            } else {
                Duration::ZERO
            },
            quiet_until: now,
            report_at: now + REPORT_INTERVAL,
            holes_at: None,
            congestion,
            keyframes: tracks.ids().map(|_| Keyframe::default()).collect(),
            fir_sequence: 0,
            nacks: 0,
            keyframe_requests: 0,
        })
    }

    pub(super) fn nacks(&self) -> u64 {
        self.nacks
    }

    pub(super) fn keyframe_requests(&self) -> u64 {
        self.keyframe_requests
    }

    /// An authentic packet.
    #[inline]
    pub(crate) fn arrived(&mut self, now: Instant, header: &Header, datagram: &[u8]) {
        match &mut self.congestion {
            Congestion::Transport { id, arrivals, at } => {
                let value = header.extension(datagram, *id).and_then(|value| value.first_chunk());
                if let Some(sequence) = value {
                    arrivals.record(now, u16::from_be_bytes(*sequence));
                    at.get_or_insert(now + TRANSPORT_INTERVAL);
                }
            }
            Congestion::Remb { estimate, .. } => estimate.received(datagram.len()),
            Congestion::Unmanaged => {}
        }
    }

    /// A stream's holes changed.
    #[inline]
    pub(crate) fn holes(&mut self, now: Instant, missing: &Missing) {
        if self.holes_at.is_none() && !missing.is_empty() {
            self.holes_at = Some(now + HOLES_INTERVAL);
        }
    }

    pub(crate) fn request_keyframe(&mut self, track: TrackId) {
        if let Some(keyframe) = self.keyframes.get_mut(usize::from(track.0)) {
            keyframe.wanted = true;
        }
    }

    /// A new owner speaks at once: the encoder has heard nothing for a while.
    pub(crate) fn speak_now(&mut self, now: Instant) {
        self.report_at = now;
    }

    pub(crate) fn indices_are_free(&self) -> bool {
        self.indices.is_free()
    }

    pub(crate) fn offer_ceiling(&mut self) -> u32 {
        self.indices.offer_ceiling()
    }

    pub(crate) fn persisted(&mut self, ceiling: u32) {
        self.indices.persisted(ceiling);
    }

    /// When something is due. Never in the past of `quiet_until`.
    pub(crate) fn poll_timeout(&self) -> Instant {
        let congestion_at = match &self.congestion {
            Congestion::Unmanaged => None,
            Congestion::Transport { at, .. } => *at,
            Congestion::Remb { at, .. } => Some(*at),
        };
        let keyframe_at = self
            .keyframes
            .iter()
            .filter_map(|keyframe| keyframe.due(self.quiet_until))
            .min();
        let next = [self.holes_at, congestion_at, keyframe_at]
            .into_iter()
            .flatten()
            .fold(self.report_at, Instant::min);
        next.max(self.quiet_until)
    }

    /// Sends what is due to `path`; without one, it is only scheduled anew.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        path: Option<Path>,
        tracks: &Tracks,
        streams: &mut Streams,
        out: &mut Output<'_>,
    ) {
        let mut send = Send { path, out };
        self.report(now, streams, &mut send);
        self.ask_for_keyframes(now, tracks, streams, &mut send);
        self.ask_for_holes(now, streams, &mut send);
        self.report_congestion(now, streams, &mut send);
    }
}

/// Where a message goes.
struct Send<'a, 'b> {
    path: Option<Path>,
    out: &'a mut Output<'b>,
}

// === one kind of message each; a message that has to wait for `quiet_until` stays due ===

impl Feedback {
    fn send(&mut self, now: Instant, to: &mut Send<'_, '_>, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(path) = to.path else { return };
        let Some(index) = self.indices.take() else { return };
        let sealer = &self.sealer;
        to.out.transmit(path, |datagram| {
            write(datagram);
            sealer.seal_rtcp(datagram, index);
        });
        self.quiet_until = now + self.gap;
    }

    fn may_send(&self, now: Instant) -> bool {
        now >= self.quiet_until
    }

    fn report(&mut self, now: Instant, streams: &mut Streams, to: &mut Send<'_, '_>) {
        if now < self.report_at || !self.may_send(now) {
            return;
        }
        self.report_at = now + REPORT_INTERVAL;
        let free = self.indices.is_free();
        // Chromium stops sending MID and RID once a report names the SSRC, so an adopter has to know the binding by then.
        let blocks: Vec<_> = streams
            .iter_mut()
            .filter(|stream| free || stream.persisted)
            .map(|stream| stream.reception.block(now, stream.ssrc))
            .collect();
        let (ssrc, cname) = (self.ssrc, std::mem::take(&mut self.cname));
        self.send(now, to, |datagram| {
            rtcp::write::receiver_report(datagram, ssrc, &blocks, &cname)
        });
        self.cname = cname;
    }

    fn ask_for_keyframes(&mut self, now: Instant, tracks: &Tracks, streams: &Streams, to: &mut Send<'_, '_>) {
        for track in tracks.ids() {
            let keyframe = &mut self.keyframes[usize::from(track.0)];
            if keyframe.due(now).is_none_or(|due| now < due) || now < self.quiet_until {
                continue;
            }
            let feedback = tracks.section(track).feedback;
            let Some(position) = streams.bound(Binding::Media(track)) else {
                keyframe.wanted = false;
                continue;
            };
            *keyframe = Keyframe {
                wanted: false,
                asked: Some(now),
            };
            let (ssrc, media) = (self.ssrc, streams.ssrc(position));
            self.keyframe_requests += u64::from(feedback.pli || feedback.fir);
            if feedback.pli {
                self.send(now, to, |datagram| rtcp::write::picture_loss(datagram, ssrc, media));
            } else if feedback.fir {
                self.fir_sequence = self.fir_sequence.wrapping_add(1);
                let sequence = self.fir_sequence;
                self.send(now, to, |datagram| {
                    rtcp::write::full_intra_request(datagram, ssrc, media, sequence)
                });
            }
        }
    }

    fn ask_for_holes(&mut self, now: Instant, streams: &mut Streams, to: &mut Send<'_, '_>) {
        if self.holes_at.is_none_or(|at| now < at) || !self.may_send(now) {
            return;
        }
        let mut any_left = false;
        for stream in streams.iter_mut() {
            let media = stream.ssrc;
            let Some(missing) = &mut stream.missing else { continue };
            if self.may_send(now) {
                let due = missing.due(now);
                if !due.is_empty() {
                    let ssrc = self.ssrc;
                    self.nacks += 1;
                    // Alone in its packet: FFmpeg reads only that.
                    self.send(now, to, |datagram| {
                        rtcp::write::generic_nack(datagram, ssrc, media, &due)
                    });
                }
            }
            any_left |= !missing.is_empty();
        }
        self.holes_at = any_left.then(|| now + HOLES_INTERVAL);
    }

    fn report_congestion(&mut self, now: Instant, streams: &mut Streams, to: &mut Send<'_, '_>) {
        if !self.may_send(now) {
            return;
        }
        let mut congestion = std::mem::replace(&mut self.congestion, Congestion::Unmanaged);
        match &mut congestion {
            Congestion::Transport { arrivals, at, .. } if at.is_some_and(|at| now >= at) => {
                *at = None;
                let (ssrc, media) = (self.ssrc, streams.iter().next().map_or(0, |stream| stream.ssrc));
                for _ in 0..TRANSPORT_FEEDBACKS_MAX {
                    if !arrivals.is_empty() {
                        self.send(now, to, |datagram| arrivals.feedback(datagram, ssrc, media));
                    }
                }
            }
            Congestion::Remb { estimate, at } if now >= *at => {
                *at = now + REMB_INTERVAL;
                let (lost, expected) = streams.take_loss();
                let bits_per_second = estimate.update(now, lost, expected);
                let media: Vec<u32> = streams.iter().map(|stream| stream.ssrc).collect();
                let ssrc = self.ssrc;
                self.send(now, to, |datagram| {
                    rtcp::write::remb(datagram, ssrc, bits_per_second, &media)
                });
            }
            _ => {}
        }
        self.congestion = congestion;
    }
}
