//! Which track is recorded of a media section that has several: of simulcast layers, the one that carries most.
//!
//! Their order in an offer tells nothing (OBS names the largest first, others the smallest), and a browser begins with the
//! smallest and adds the others as it learns the path's bandwidth. So packets wait for one window before the first choice, and
//! the choice is looked at again after each.

use std::time::Duration;

use whipcord_peer::event::TrackId;

/// Long enough that each layer shows its rate, over its keyframe.
const WINDOW: Duration = Duration::from_secs(2);

/// Bytes held for the first choice, at most: beyond 8 Mbit/s for all layers together it is made early.
const HELD_MAX: usize = 2 << 20;

/// A change costs frames until the next keyframe: another layer has to carry half as much again.
const WORTH: (u64, u64) = (3, 2);

/// One media section's tracks.
#[derive(Debug)]
pub(super) struct Layers {
    /// The only track that can be there, or one of several.
    simulcast: bool,
    state: State,
    /// Payload bytes of each track in this window.
    carried: Vec<(TrackId, u64)>,
    /// Arrival of this window's first packet.
    since: Option<Duration>,
}

#[derive(Debug)]
enum State {
    Choosing {
        held: Vec<Held>,
        bytes: usize,
    },
    /// Chosen instead of another; nothing of it has come since.
    Switching(TrackId),
    Chosen(TrackId),
}

/// A packet that waits for the first choice.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) track: TrackId,
    pub(super) sequence: u64,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    pub(super) arrival: Duration,
    pub(super) payload: Vec<u8>,
}

/// What to do with a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Record,
    /// From here on this track instead of another: there is a gap before it.
    Switch,
    /// Hand it to [`Layers::hold`].
    Hold,
    /// Another layer is recorded.
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
            carried: Vec::new(),
            since: None,
        }
    }

    /// A track of this section was recognised. Without simulcast the latest is the section's.
    pub(super) fn announce(&mut self, track: TrackId) {
        if !self.simulcast {
            self.state = State::Chosen(track);
        } else if !self.carried.iter().any(|(known, _)| *known == track) {
            self.carried.push((track, 0));
        }
    }

    pub(super) fn has(&self, track: TrackId) -> bool {
        self.chosen() == Some(track) || self.carried.iter().any(|(known, _)| *known == track)
    }

    pub(super) fn chosen(&self) -> Option<TrackId> {
        match self.state {
            State::Chosen(track) | State::Switching(track) => Some(track),
            State::Choosing { .. } => None,
        }
    }

    pub(super) fn on_packet(&mut self, track: TrackId, bytes: usize, arrival: Duration) -> Verdict {
        if self.simulcast {
            self.count(track, bytes, arrival);
        }
        match self.state {
            State::Choosing { .. } => Verdict::Hold,
            State::Chosen(chosen) if chosen == track => Verdict::Record,
            State::Switching(chosen) if chosen == track => {
                self.state = State::Chosen(track);
                Verdict::Switch
            }
            State::Chosen(_) | State::Switching(_) => Verdict::Skip,
        }
    }

    pub(super) fn hold(&mut self, packet: Held) {
        if let State::Choosing { held, bytes } = &mut self.state {
            *bytes += packet.payload.len();
            held.push(packet);
        }
    }

    /// Makes the first choice, if it is time or nothing more comes, and returns what was held for it.
    pub(super) fn choose(&mut self, now: Duration, last: bool) -> Vec<Held> {
        let State::Choosing { held, bytes } = &mut self.state else {
            return Vec::new();
        };
        let Some(since) = self.since else { return Vec::new() };
        if !last && now.saturating_sub(since) < WINDOW && *bytes < HELD_MAX {
            return Vec::new();
        }
        let mut held = std::mem::take(held);
        if let Some((track, _)) = self.largest() {
            held.retain(|packet| packet.track == track);
            self.state = State::Chosen(track);
        }
        self.begin_window();
        held
    }

    /// Counts a packet, and looks at the choice again when a window is over.
    fn count(&mut self, track: TrackId, bytes: usize, arrival: Duration) {
        let since = *self.since.get_or_insert(arrival);
        if let Some((_, carried)) = self.carried.iter_mut().find(|(known, _)| *known == track) {
            *carried += bytes as u64;
        }
        let Some(chosen) = self.chosen() else { return };
        if arrival.saturating_sub(since) < WINDOW {
            return;
        }
        let carried = self
            .carried
            .iter()
            .find(|(known, _)| *known == chosen)
            .map_or(0, |(_, bytes)| *bytes);
        if let Some((best, most)) = self.largest()
            && best != chosen
            && most * WORTH.1 > carried * WORTH.0
        {
            self.state = State::Switching(best);
        }
        self.begin_window();
    }

    fn largest(&self) -> Option<(TrackId, u64)> {
        self.carried.iter().copied().max_by_key(|(_, bytes)| *bytes)
    }

    fn begin_window(&mut self) {
        self.since = None;
        self.carried.iter_mut().for_each(|(_, bytes)| *bytes = 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: TrackId = TrackId(1);
    const HIGH: TrackId = TrackId(2);

    fn packet(layers: &mut Layers, track: TrackId, bytes: usize, ms: u64) -> Verdict {
        let arrival = Duration::from_millis(ms);
        let verdict = layers.on_packet(track, bytes, arrival);
        if verdict == Verdict::Hold {
            let payload = vec![0; bytes];
            layers.hold(Held {
                track,
                sequence: ms,
                timestamp: 0,
                marker: false,
                arrival,
                payload,
            });
        }
        verdict
    }

    fn simulcast() -> Layers {
        let mut layers = Layers::new(true);
        layers.announce(LOW);
        layers.announce(HIGH);
        layers
    }

    #[test]
    fn the_only_track_of_a_section_is_recorded_at_once() {
        let mut layers = Layers::new(false);
        assert!(!layers.has(LOW));
        layers.announce(LOW);
        assert!(layers.has(LOW) && !layers.has(HIGH));
        assert_eq!(packet(&mut layers, LOW, 100, 0), Verdict::Record);
    }

    #[test]
    fn the_layer_that_carries_most_is_recorded_from_its_first_packet() {
        let mut layers = simulcast();
        for ms in (0..2000).step_by(100) {
            assert_eq!(packet(&mut layers, LOW, 100, ms), Verdict::Hold);
            assert_eq!(packet(&mut layers, HIGH, 300, ms), Verdict::Hold);
            assert!(layers.choose(Duration::from_millis(ms), false).is_empty());
        }
        let held = layers.choose(Duration::from_millis(2000), false);
        assert_eq!(held.len(), 20);
        assert!(held.iter().all(|packet| packet.track == HIGH) && held[0].sequence == 0);
        assert_eq!(packet(&mut layers, HIGH, 300, 2001), Verdict::Record);
        assert_eq!(packet(&mut layers, LOW, 100, 2002), Verdict::Skip);
    }

    #[test]
    fn what_is_held_is_bounded_and_not_lost_at_an_early_end() {
        let mut layers = simulcast();
        let mut ms = 0;
        while layers.choose(Duration::from_millis(ms), false).is_empty() {
            ms += 1;
            packet(&mut layers, LOW, 10_000, ms);
        }
        assert_eq!(ms, (HELD_MAX as u64).div_ceil(10_000));

        let mut layers = simulcast();
        packet(&mut layers, LOW, 10, 0);
        assert_eq!(layers.choose(Duration::ZERO, true).len(), 1);
    }

    #[test]
    fn a_layer_that_grows_later_takes_over_and_one_that_stops_is_left() {
        let mut layers = simulcast();
        packet(&mut layers, LOW, 100, 0);
        assert_eq!(layers.choose(Duration::from_secs(2), false).len(), 1);
        // A little more is not worth a gap.
        let mut verdicts = Vec::new();
        for ms in (2000..12_000).step_by(100) {
            packet(&mut layers, LOW, 100, ms);
            verdicts.push(packet(&mut layers, HIGH, if ms < 6000 { 140 } else { 400 }, ms));
        }
        let first = verdicts.iter().position(|verdict| *verdict != Verdict::Skip).unwrap();
        assert!((40..=85).contains(&first), "{first}");
        assert_eq!(verdicts[first], Verdict::Switch);
        assert!(verdicts[first + 1..].iter().all(|verdict| *verdict == Verdict::Record));
        for ms in (12_000..20_000).step_by(100) {
            packet(&mut layers, LOW, 100, ms);
        }
        assert_eq!(layers.chosen(), Some(LOW));
    }
}
