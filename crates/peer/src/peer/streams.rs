//! The SSRCs of a session: sequence state, made only after a packet of theirs authenticated.

use std::time::{Duration, Instant};

use crate::{
    outputs::Output,
    rtcp::{nack::Missing, reception::Reception},
    srtp::Replay,
};

use super::tracks::Binding;

/// Four simulcast layers with their RTX make eight, audio makes nine; a browser that replaces its tracks brings new ones.
pub(crate) const STREAMS_MAX: usize = 16;
/// A stream silent for this long makes room for a new one.
const SILENT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) ssrc: u32,
    pub(crate) binding: Binding,
    pub(crate) replay: Replay,
    pub(crate) progress: Progress,
    pub(crate) reception: Reception,
    /// Holes to ask for; only media, and only where the offer has `nack`.
    pub(crate) missing: Option<Missing>,
    pub(crate) heard: Instant,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    /// The newest confirmed checkpoint names it: its receiver reports may be sent.
    pub(crate) persisted: bool,
}

/// How sure the roll-over counter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Packets have authenticated here.
    Known,
    /// Restored from a checkpoint, and nothing has authenticated since: the counter may have moved on meanwhile.
    Restored,
}

#[derive(Debug, Default)]
pub(crate) struct Streams {
    streams: Vec<Stream>,
}

impl Streams {
    #[inline]
    pub(crate) fn position(&self, ssrc: u32) -> Option<usize> {
        self.streams.iter().position(|stream| stream.ssrc == ssrc)
    }

    #[inline]
    pub(crate) fn at(&mut self, index: usize) -> &mut Stream {
        &mut self.streams[index]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Stream> {
        self.streams.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.streams.iter_mut()
    }

    pub(crate) fn ssrc(&self, index: usize) -> u32 {
        self.streams[index].ssrc
    }

    /// Lost and expected packets since the last call, all streams together.
    pub(crate) fn take_loss(&mut self) -> (u64, u64) {
        self.streams
            .iter_mut()
            .map(|stream| stream.reception.take_loss())
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// A stream of a checkpoint; the caller keeps to [`STREAMS_MAX`].
    pub(crate) fn restore(&mut self, stream: Stream) {
        self.streams.push(stream);
    }

    /// The stream that carries this binding now: the newest, where an encoder changed its SSRC.
    pub(crate) fn bound(&self, binding: Binding) -> Option<usize> {
        self.streams.iter().rposition(|stream| stream.binding == binding)
    }

    /// Takes a new stream in, in the place of one long silent if need be. False if there is no room.
    pub(crate) fn insert(&mut self, now: Instant, stream: Stream, out: &mut Output<'_>) -> bool {
        if self.streams.len() >= STREAMS_MAX {
            let silent = self.streams.iter().enumerate().min_by_key(|(_, stream)| stream.heard);
            let Some((index, _)) = silent.filter(|(_, stream)| now.duration_since(stream.heard) >= SILENT) else {
                return false;
            };
            out.ssrc_gone(self.streams.remove(index).ssrc);
        }
        out.ssrc_new(stream.ssrc);
        self.streams.push(stream);
        true
    }
}
