//! Which track is recorded of a media section that has several: of simulcast layers, the one with the largest picture.
//!
//! Their order in an offer tells nothing (OBS names the largest first, others the smallest), and a browser begins with the
//! smallest and adds the others as it learns the path's bandwidth. So packets wait for one window before the first choice, which is the
//! one that carried most, and the choice is looked at again after each. Another layer is taken from its keyframe on, which is
//! asked for; until then the one before is recorded, as far as it still comes.

use std::time::Duration;

use whipcord_media::RtpPacket;
use whipcord_peer::event::TrackId;

/// Long enough that each layer shows its rate, over its keyframe.
const WINDOW: Duration = Duration::from_secs(2);

/// Bytes held for the first choice, at most, with what each packet costs besides its own: beyond 8 Mbit/s for all layers together it is
/// made early.
const HELD_MAX: usize = 2 << 20;

/// A change is seen: another layer with a picture of the same size has to carry half as much again.
const WORTH: (u64, u64) = (3, 2);

/// A layer has stopped when another has sent for so long without it. Browsers send a picture that stands still once a second.
const STOPPED: Duration = Duration::from_millis(1500);

/// A keyframe is asked for again after this time: the request or its answer may have been lost.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// One media section's tracks.
#[derive(Debug)]
pub(super) struct Layers {
    /// The only track that can be there, or one of several.
    simulcast: bool,
    state: State,
    layers: Vec<Layer>,
    /// Arrival of this window's first packet.
    since: Option<Duration>,
    /// Arrival of the first packet of another layer after the last one of that which is recorded.
    others_since: Option<Duration>,
}

#[derive(Debug)]
struct Layer {
    track: TrackId,
    /// Of its last keyframe; 0 until one was read.
    pixels: u64,
    /// Payload bytes in this window, and in the one before.
    carried: u64,
    carried_before: u64,
    /// Arrival of its last packet that carried something.
    heard: Option<Duration>,
}

#[derive(Debug)]
enum State {
    Choosing {
        held: Vec<Held>,
        bytes: usize,
    },
    Chosen(TrackId),
    /// `to` is recorded from its next keyframe on.
    Switching {
        from: TrackId,
        to: TrackId,
        asked: Option<Duration>,
    },
}

/// A packet that waits for the first choice.
#[derive(Debug)]
pub(super) struct Held {
    track: TrackId,
    sequence: u64,
    timestamp: u32,
    marker: bool,
    arrival: Duration,
    payload: Vec<u8>,
}

/// What to do with a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Record,
    /// From here on this track instead of another: its keyframe begins.
    Switch,
    /// Hand it to [`Layers::hold`].
    Hold,
    /// Another layer is recorded, or there is nothing in it to record.
    Skip,
}

impl Layers {
    pub(super) fn new(simulcast: bool) -> Self {
        let state = State::Choosing {
            held: Vec::new(),
            bytes: 0,
        };
        Self {
            simulcast,
            state,
            layers: Vec::new(),
            since: None,
            others_since: None,
        }
    }

    pub(super) fn is_simulcast(&self) -> bool {
        self.simulcast
    }

    /// A track of this section was recognised. Without simulcast the latest is the section's.
    pub(super) fn announce(&mut self, track: TrackId) {
        if !self.simulcast {
            self.state = State::Chosen(track);
        } else if !self.layers.iter().any(|layer| layer.track == track) {
            self.layers.push(Layer {
                track,
                pixels: 0,
                carried: 0,
                carried_before: 0,
                heard: None,
            });
        }
    }

    pub(super) fn has(&self, track: TrackId) -> bool {
        self.recorded() == Some(track) || self.layers.iter().any(|layer| layer.track == track)
    }

    pub(super) fn recorded(&self) -> Option<TrackId> {
        match self.state {
            State::Chosen(track) | State::Switching { from: track, .. } => Some(track),
            State::Choosing { .. } => None,
        }
    }

    /// `keyframe`: one begins with this packet, of so many pixels.
    pub(super) fn on_packet(
        &mut self,
        track: TrackId,
        bytes: usize,
        keyframe: Option<u64>,
        arrival: Duration,
    ) -> Verdict {
        // Padding is no sign of life.
        if self.simulcast && bytes > 0 {
            if let (Some(pixels), Some(layer)) = (keyframe, self.layer_mut(track)) {
                layer.pixels = pixels;
            }
            self.look(track, bytes, arrival);
        }
        match self.state {
            // Padding has its place among what a layer sends, and none before.
            State::Choosing { .. } if bytes == 0 && !self.is_heard(track) => Verdict::Skip,
            State::Choosing { .. } => Verdict::Hold,
            State::Switching { to, .. } if to == track && keyframe.is_some() => {
                self.state = State::Chosen(track);
                self.others_since = None;
                Verdict::Switch
            }
            State::Chosen(recorded) | State::Switching { from: recorded, .. } if recorded == track => Verdict::Record,
            State::Chosen(_) | State::Switching { .. } => Verdict::Skip,
        }
    }

    pub(super) fn hold(&mut self, packet: Held) {
        if let State::Choosing { held, bytes } = &mut self.state {
            *bytes += packet.payload.len() + size_of::<Held>();
            held.push(packet);
        }
    }

    /// Makes the first choice, if it is time or nothing more comes, and returns what was held for it, in sequence.
    pub(super) fn choose(&mut self, now: Duration, last: bool) -> Vec<Held> {
        let State::Choosing { held, bytes } = &mut self.state else {
            return Vec::new();
        };
        let Some(since) = self.since else { return Vec::new() };
        if !last && now.saturating_sub(since) < WINDOW && *bytes < HELD_MAX {
            return Vec::new();
        }
        let mut held = std::mem::take(held);
        if let Some(track) = self.largest(|layer| Some((0, layer.carried))) {
            held.retain(|packet| packet.track == track);
            // A hole is waited for by arrivals, all of which are past: what repaired one has to come before what followed it.
            held.sort_by_key(|packet| packet.sequence);
            self.state = State::Chosen(track);
        }
        self.end_window();
        held
    }

    /// The track of which a keyframe is to be asked for now.
    pub(super) fn keyframe_wanted(&mut self, now: Duration) -> Option<TrackId> {
        let State::Switching { to, asked, .. } = &mut self.state else {
            return None;
        };
        let due = asked.is_none_or(|asked| now.saturating_sub(asked) >= ASK_AGAIN);
        due.then(|| {
            *asked = Some(now);
            *to
        })
    }

    /// Counts a packet, and looks at the choice again when the recorded layer has stopped, and when a window is over.
    fn look(&mut self, track: TrackId, bytes: usize, arrival: Duration) {
        let since = *self.since.get_or_insert(arrival);
        if let Some(layer) = self.layer_mut(track) {
            layer.carried += bytes as u64;
            layer.heard = Some(arrival);
        }
        let Some(recorded) = self.recorded() else { return };
        if track == recorded {
            // What was left because it had stopped is not left.
            if self
                .others_since
                .take()
                .is_some_and(|since| has_stopped(since, arrival))
            {
                self.state = State::Chosen(recorded);
            }
        } else if has_stopped(*self.others_since.get_or_insert(arrival), arrival)
            && let Some(next) = self.largest(|layer| layer.replaces(recorded, arrival))
        {
            self.switch(recorded, next);
        }
        if arrival.saturating_sub(since) >= WINDOW {
            match self.largest(|layer| (layer.carried > 0).then_some((layer.pixels, layer.carried))) {
                Some(best) if self.is_worth(best, recorded) => self.switch(recorded, best),
                _ if self.others_since.is_some_and(|since| has_stopped(since, arrival)) => {}
                _ => self.state = State::Chosen(recorded),
            }
            self.end_window();
        }
    }

    fn switch(&mut self, from: TrackId, to: TrackId) {
        if !matches!(self.state, State::Switching { to: already, .. } if already == to) {
            self.state = State::Switching { from, to, asked: None };
        }
    }

    /// Whether, by this window, one is so much better than another that a change is worth it.
    fn is_worth(&self, track: TrackId, recorded: TrackId) -> bool {
        let find = |wanted| self.layers.iter().find(|layer| layer.track == wanted);
        let (Some(new), Some(old)) = (find(track), find(recorded)) else {
            return false;
        };
        new.pixels > old.pixels || new.pixels == old.pixels && new.carried * WORTH.1 > old.carried * WORTH.0
    }

    /// The one that ranks highest, by pixels and bytes, of those that have a rank.
    fn largest(&self, rank: impl Fn(&Layer) -> Option<(u64, u64)>) -> Option<TrackId> {
        let layers = self.layers.iter().filter_map(|layer| Some((rank(layer)?, layer.track)));
        layers.max().map(|(_, track)| track)
    }

    fn layer_mut(&mut self, track: TrackId) -> Option<&mut Layer> {
        self.layers.iter_mut().find(|layer| layer.track == track)
    }

    /// Whether it has carried something: then the window of the first choice has begun.
    fn is_heard(&self, track: TrackId) -> bool {
        let mut layers = self.layers.iter();
        layers.any(|layer| layer.track == track && layer.heard.is_some())
    }

    fn end_window(&mut self) {
        self.since = None;
        for layer in &mut self.layers {
            layer.carried_before = std::mem::take(&mut layer.carried);
        }
    }
}

impl Layer {
    /// Its rank, if it is another than that which stopped, and lives. This window may have just begun.
    fn replaces(&self, stopped: TrackId, now: Duration) -> Option<(u64, u64)> {
        let lives = self.heard.is_some_and(|heard| now.saturating_sub(heard) < STOPPED);
        (self.track != stopped && lives).then_some((self.pixels, self.carried + self.carried_before))
    }
}

impl Held {
    pub(super) fn of(track: TrackId, packet: &RtpPacket<'_>) -> Self {
        Self {
            track,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            marker: packet.marker,
            arrival: packet.arrival,
            payload: packet.payload.to_vec(),
        }
    }

    /// As a packet of the recording's track for this section.
    pub(super) fn packet(&self, section: usize) -> RtpPacket<'_> {
        RtpPacket {
            track: section,
            sequence: self.sequence,
            timestamp: self.timestamp,
            marker: self.marker,
            payload: &self.payload,
            arrival: self.arrival,
        }
    }
}

fn has_stopped(others_since: Duration, now: Duration) -> bool {
    now.saturating_sub(others_since) >= STOPPED
}

#[cfg(test)]
mod tests;
