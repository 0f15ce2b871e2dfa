//! A session's way to its first keyframe: the stages that its events begin and end, with their times.
//!
//! Pure. Not here: how a stage is written (trace), counted (metrics).

use std::time::Duration;

use whipcord_peer::{EndReason, Event};
use whipcord_whip::Kind;

/// In the order in which they come to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// From the session's creation to the first authenticated STUN check.
    Ice,
    /// From its first datagram to keys.
    Dtls,
    /// From keys to the first packet that was decrypted.
    FirstRtp,
    /// From the session's creation to that packet: the whole way.
    Establish,
    /// From that packet to the first keyframe of video.
    FirstKeyframe,
}

const STAGES: [Stage; 5] = [
    Stage::Ice,
    Stage::Dtls,
    Stage::FirstRtp,
    Stage::Establish,
    Stage::FirstKeyframe,
];

/// A stage that is over; its times count from the session's creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) stage: Stage,
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    /// Why the session ended before the stage did.
    pub(crate) failed: Option<EndReason>,
}

/// How far one session is.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// When each stage began, while it lasts.
    open: [Option<Duration>; STAGES.len()],
    has_video: bool,
}

impl Default for Setup {
    /// At a session's creation.
    fn default() -> Self {
        let mut setup = Self {
            open: [None; STAGES.len()],
            has_video: false,
        };
        setup.begin(Stage::Ice, Duration::ZERO);
        setup.begin(Stage::Establish, Duration::ZERO);
        setup
    }
}

impl Setup {
    /// What ends with this event of the session at this age. Nothing ends twice.
    pub(crate) fn on_event(&mut self, event: &Event, age: Duration) -> Vec<Passed> {
        let mut passed = Vec::new();
        match event {
            Event::StunSeen { .. } => passed.extend(self.reach(Stage::Ice, age)),
            Event::HandshakeStarted => self.begin(Stage::Dtls, age),
            Event::Connected { .. } => {
                passed.extend(self.reach(Stage::Dtls, age));
                self.begin(Stage::FirstRtp, age);
            }
            Event::Track { kind: Kind::Video, .. } => self.has_video = true,
            Event::FirstMedia => {
                passed.extend(self.reach(Stage::FirstRtp, age));
                passed.extend(self.reach(Stage::Establish, age));
                self.begin(Stage::FirstKeyframe, age);
            }
            _ => {}
        }
        passed
    }

    pub(crate) fn on_keyframe(&mut self, age: Duration) -> Option<Passed> {
        self.reach(Stage::FirstKeyframe, age)
    }

    /// What the session's end cuts short.
    pub(crate) fn on_end(mut self, reason: EndReason, age: Duration) -> Vec<Passed> {
        if !self.has_video {
            self.open[Stage::FirstKeyframe as usize] = None;
        }
        let open = STAGES.into_iter().filter_map(|stage| self.end(stage, age));
        open.map(|passed| Passed {
            failed: Some(reason),
            ..passed
        })
        .collect()
    }

    fn begin(&mut self, stage: Stage, age: Duration) {
        self.open[stage as usize] = Some(age);
    }

    /// What comes before a stage that was reached was reached, too; if it is open still, its notice was lost, and its time with it.
    fn reach(&mut self, stage: Stage, age: Duration) -> Option<Passed> {
        self.open[..stage as usize].fill(None);
        self.end(stage, age)
    }

    fn end(&mut self, stage: Stage, age: Duration) -> Option<Passed> {
        let from = self.open[stage as usize].take()?;
        Some(Passed {
            stage,
            from,
            to: age,
            failed: None,
        })
    }
}

#[cfg(test)]
mod tests;
