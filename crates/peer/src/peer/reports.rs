//! What an encoder reports by SRTCP, and who of it does.
//!
//! Not here: what we report (see `feedback`), and formats.

use std::time::Instant;

use super::{
    streams::{STREAMS_MAX, Streams},
    tracks::Binding,
};
use crate::{
    Event,
    outputs::Output,
    rtcp, rtp,
    srtp::{Opener, Replay},
    stats::DropReason,
};

/// The senders of SRTCP. Bounded like the streams.
#[derive(Debug, Default)]
pub(crate) struct Senders {
    senders: Vec<Sender>,
}

/// One, with its own index space (RFC 3711 §3.2.3).
#[derive(Debug)]
struct Sender {
    ssrc: u32,
    replay: Replay,
}

impl Senders {
    /// Those of a checkpoint, each with its highest index; the caller keeps to [`STREAMS_MAX`].
    pub(crate) fn restore(highest: impl Iterator<Item = (u32, u32)>) -> Self {
        let senders = highest.map(|(ssrc, highest)| Sender {
            ssrc,
            replay: Replay::from_highest(highest.into()),
        });
        Self {
            senders: senders.collect(),
        }
    }

    /// Each one's highest index.
    pub(crate) fn highest(&self) -> impl Iterator<Item = (u32, u32)> {
        self.senders.iter().filter_map(|sender| {
            let highest = u32::try_from(sender.replay.highest()?).ok()?;
            Some((sender.ssrc, highest))
        })
    }

    /// One SRTCP packet.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        opener: &Opener,
        datagram: &mut [u8],
        streams: &mut Streams,
        out: &mut Output<'_>,
    ) -> Result<(), DropReason> {
        let sender = rtp::ssrc_of(datagram).ok_or(DropReason::Malformed)?;
        let (len, index) = opener.open_rtcp(datagram).map_err(|_| DropReason::Unauthentic)?;
        self.admit(sender, index.into(), streams)?;
        for rtcp::SenderReport { ssrc, ntp, timestamp } in rtcp::sender_reports(&datagram[..len]) {
            if let Some(position) = streams.position(ssrc) {
                let stream = streams.at(position);
                stream.reception.sender_report(now, ntp);
                if let Binding::Media(track) = stream.binding {
                    out.event(Event::SenderReport { track, ntp, timestamp });
                }
            }
        }
        Ok(())
    }

    fn admit(&mut self, ssrc: u32, index: u64, streams: &Streams) -> Result<(), DropReason> {
        let position = match self.senders.iter().position(|sender| sender.ssrc == ssrc) {
            Some(position) => position,
            None if self.senders.len() >= STREAMS_MAX && !self.forget_one(streams) => {
                return Err(DropReason::TooManyStreams);
            }
            None => {
                self.senders.push(Sender {
                    ssrc,
                    replay: Replay::default(),
                });
                self.senders.len() - 1
            }
        };
        let replay = &mut self.senders[position].replay;
        if !replay.check(index) {
            return Err(DropReason::Replayed);
        }
        replay.commit(index);
        Ok(())
    }

    /// Makes room by forgetting a sender whose stream is gone: a replay of its reports would concern nothing.
    fn forget_one(&mut self, streams: &Streams) -> bool {
        let gone = self
            .senders
            .iter()
            .position(|sender| streams.position(sender.ssrc).is_none());
        gone.map(|position| self.senders.remove(position)).is_some()
    }
}
