//! What happened to one session, for people: its moments, and its counts of the last ten seconds.
//!
//! Pure, and bounded whatever the session lives through: a path that flaps for days keeps its beginning and its latest moments. Never
//! per packet. Not here: whose story it is, and for how long it is kept (stories).

use std::{collections::VecDeque, time::Duration};

use whipcord_peer::{Event, dtls};

use crate::{sinks::record::Disk, snapshot::Snapshot};

/// Moments of the beginning: a way to media is 10, with a wrong password before and four layers.
const FIRST_MAX: usize = 16;
/// The latest ones. With the first 32 moments of some 90 bytes, 3 kB of a session at most; usual are 10 moments.
const LAST_MAX: usize = 16;

/// What the window reaches back to at least: a keyframe a few seconds ago and a burst of loss are in it.
const WINDOW: Duration = Duration::from_secs(10);
/// Samples kept: one each 5 s, so that the oldest is at least [`WINDOW`] old.
const SAMPLES_MAX: usize = 4;

/// Media that has not come for so long has stopped, and not paused for a moment (`PAUSE` of stall): twice that and a second more, which is
/// also how often one looks, so that encoders which send a still picture each two seconds do not fill a timeline of 32 moments.
const STOPPED: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Story {
    first: Vec<Moment>,
    last: VecDeque<Moment>,
    left_out: u32,
    samples: VecDeque<Sample>,
    media: Media,
    disk: Disk,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) age: Duration,
    pub(crate) event: &'static str,
    pub(crate) detail: String,
}

/// Counts at an age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sample {
    age: Duration,
    packets: u64,
    lost: u64,
    pictures_backward: u64,
}

/// By how much they grew, over how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) length: Duration,
    pub(crate) packets: u64,
    pub(crate) lost: u64,
    pub(crate) pictures_backward: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Media {
    Awaited,
    Comes,
    Stopped,
}

impl Default for Story {
    /// At a session's creation.
    fn default() -> Self {
        let mut story = Self {
            first: Vec::new(),
            last: VecDeque::new(),
            left_out: 0,
            samples: VecDeque::from([Sample::default()]),
            media: Media::Awaited,
            disk: Disk::Takes,
        };
        story.add(Duration::ZERO, "created", String::new());
        story
    }
}

impl Story {
    pub(crate) fn on_event(&mut self, event: &Event, age: Duration) {
        if let Some((event, detail)) = words(event) {
            self.add(age, event, detail);
        }
    }

    pub(crate) fn on_keyframe(&mut self, age: Duration) {
        self.add(age, "first_keyframe", String::new());
    }

    /// A look at the session every few seconds: what no event tells.
    pub(crate) fn look(&mut self, snapshot: &Snapshot, disk: Option<Disk>) {
        let age = snapshot.age;
        self.samples.push_back(Sample::of(snapshot));
        while self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
        let media = match snapshot.stats.packets {
            0 => Media::Awaited,
            _ if snapshot.silent >= STOPPED => Media::Stopped,
            _ => Media::Comes,
        };
        match (self.media, media) {
            (Media::Comes, Media::Stopped) => self.add(age - snapshot.silent, "media_stopped", String::new()),
            (Media::Stopped, Media::Comes) => self.add(age, "media_resumed", String::new()),
            _ => {}
        }
        self.media = media;
        if let Some(disk) = disk.filter(|disk| *disk != self.disk) {
            let event = match disk {
                Disk::Takes => "recording_resumed",
                Disk::Full => "disk_full",
                Disk::Refuses => "disk_refuses",
            };
            self.add(age, event, String::new());
            self.disk = disk;
        }
    }

    /// The session ended.
    pub(crate) fn end(&mut self, age: Duration, reason: &'static str) {
        self.add(age, "ended", reason.to_owned());
    }

    /// From the sample that is at least [`WINDOW`] old, or the oldest one, to this state.
    pub(crate) fn window(&self, now: &Snapshot) -> Window {
        let now = Sample::of(now);
        let is_old = |sample: &&Sample| now.age.saturating_sub(sample.age) >= WINDOW;
        let then = self.samples.iter().rev().find(is_old).or_else(|| self.samples.front());
        let then = then.copied().unwrap_or_default();
        Window {
            length: now.age.saturating_sub(then.age),
            packets: now.packets.saturating_sub(then.packets),
            // It can fall, where what was lost before is repaired.
            lost: now.lost.saturating_sub(then.lost),
            pictures_backward: now.pictures_backward.saturating_sub(then.pictures_backward),
        }
    }

    /// In order; and how many are left out after the first ones.
    pub(crate) fn moments(&self) -> (impl Iterator<Item = &Moment>, u32) {
        (self.first.iter().chain(&self.last), self.left_out)
    }

    fn add(&mut self, age: Duration, event: &'static str, detail: String) {
        let moment = Moment { age, event, detail };
        if self.first.len() < FIRST_MAX {
            self.first.push(moment);
            return;
        }
        if self.last.len() == LAST_MAX {
            self.last.pop_front();
            self.left_out = self.left_out.saturating_add(1);
        }
        self.last.push_back(moment);
    }
}

impl Sample {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            age: snapshot.age,
            packets: snapshot.stats.packets,
            lost: snapshot.packets_lost(),
            pictures_backward: snapshot.signs.pictures_backward,
        }
    }
}

/// The event's word, and what there is to say of it: nothing of an SDP but names of codecs and layers.
fn words(event: &Event) -> Option<(&'static str, String)> {
    let (word, detail) = match event {
        Event::StunSeen { path } => ("stun_seen", path.remote.to_string()),
        Event::StunWrongPassword { path } => ("stun_wrong_password", path.remote.to_string()),
        Event::PathChanged { path } => ("path_changed", path.remote.to_string()),
        Event::HandshakeStarted => ("dtls_started", String::new()),
        Event::HandshakeFailed {
            error: dtls::Error::Alert(number),
        } => ("dtls_failed", format!("alert {number}")),
        Event::HandshakeFailed { error } => ("dtls_failed", handshake_error(*error).to_owned()),
        Event::Connected { .. } => ("connected", String::new()),
        Event::Track { kind, codec, rid, .. } => {
            let layer = rid.as_deref().map_or_else(String::new, |rid| format!(" {rid}"));
            ("track", format!("{} {}{layer}", kind.as_str(), codec.as_str()))
        }
        Event::FirstMedia => ("first_media", String::new()),
        Event::DataChannel { .. } => ("data_channel", String::new()),
        Event::Restarted => ("ice_restarted", String::new()),
        Event::Disconnected => ("disconnected", String::new()),
        Event::Reconnected => ("reconnected", String::new()),
        _ => return None,
    };
    Some((word, detail))
}

/// One word for each.
pub(crate) fn handshake_error(error: dtls::Error) -> &'static str {
    match error {
        dtls::Error::FingerprintMismatch => "fingerprint_mismatch",
        dtls::Error::NoSrtpProfile => "no_srtp_profile",
        dtls::Error::NoCipherSuite => "no_cipher_suite",
        dtls::Error::Version => "version",
        dtls::Error::NoCertificate => "no_certificate",
        dtls::Error::Signature => "signature",
        dtls::Error::Alert(_) => "alert",
        dtls::Error::Protocol => "protocol",
        dtls::Error::Certificate => "certificate",
    }
}

#[cfg(test)]
mod tests {
    use whipcord_peer::Stats;

    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn snapshot(age: u64, packets: u64, silent: u64) -> Snapshot {
        Snapshot {
            stats: Stats {
                packets,
                ..Stats::default()
            },
            age: at(age),
            silent: at(silent),
            ..Snapshot::default()
        }
    }

    #[test]
    fn of_a_path_that_flaps_for_ever_the_beginning_and_the_latest_moments_are_kept() {
        let mut story = Story::default();
        for second in 1..=1000 {
            let event = if second % 2 == 0 {
                Event::Reconnected
            } else {
                Event::Disconnected
            };
            story.on_event(&event, at(second));
        }
        let (moments, left_out) = story.moments();
        let moments: Vec<_> = moments.collect();
        assert_eq!(moments.len() + left_out as usize, 1001);
        assert_eq!(moments.len(), FIRST_MAX + LAST_MAX);
        assert_eq!((moments[0].event, moments[1].age), ("created", at(1)));
        assert_eq!(moments[FIRST_MAX].age, at(985), "the latest follow each other");
        let last = moments.last().unwrap();
        assert_eq!((last.event, last.age), ("reconnected", at(1000)));
    }

    #[test]
    fn the_window_is_of_the_last_ten_seconds_and_not_of_the_hours_before() {
        let mut story = Story::default();
        assert_eq!(story.window(&snapshot(3, 300, 0)).packets, 300);
        for look in 1..=100 {
            story.look(&snapshot(5 * look, 500 * look, 0), None);
        }
        let window = story.window(&snapshot(502, 50_200, 0));
        assert_eq!((window.length, window.packets), (at(12), 1200));
    }

    #[test]
    fn a_pause_is_told_from_when_it_began_and_a_disk_once() {
        let mut story = Story::default();
        for (age, packets, silent, disk) in [
            (5, 0, 5, Disk::Takes),
            (10, 100, 0, Disk::Full),
            (15, 100, 4, Disk::Full),
            (20, 100, 9, Disk::Full),
            (25, 100, 14, Disk::Takes),
            (30, 200, 0, Disk::Takes),
        ] {
            story.look(&snapshot(age, packets, silent), Some(disk));
        }
        let told: Vec<_> = story.moments().0.map(|moment| (moment.event, moment.age)).collect();
        let expected = [
            ("created", at(0)),
            ("disk_full", at(10)),
            ("media_stopped", at(11)),
            ("recording_resumed", at(25)),
            ("media_resumed", at(30)),
        ];
        assert_eq!(told, expected);
    }
}
