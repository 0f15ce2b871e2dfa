//! Sessions that send pictures, each in a way of its own: 25 a second, one packet each, and a check each second.

use std::{
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::Session;

/// What one sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// VP8 with a keyframe each second.
    Well,
    /// VP8 without keyframes.
    Deltas,
    /// H.264 with a keyframe each second, and two B-frames before each other picture.
    BFrames,
    /// VP8 for two seconds, and then checks alone.
    Paused,
    /// VP8 for two seconds, and then nothing at all.
    Gone,
}

/// Sends until it is dropped.
#[derive(Debug)]
pub struct Show {
    keeper: Option<(Sender<()>, JoinHandle<()>)>,
}

const PICTURE: Duration = Duration::from_millis(40);
/// Turns of a second.
const SECOND: u32 = 25;
/// In units of 90 kHz.
const PICTURE_UNITS: u32 = 3600;

/// RFC 7741 §4.2, RFC 6386 §9.1: the first packet of a picture, and whether another is needed for it.
const VP8_KEY: &[u8] = &[0x10, 0x00, 0x00, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00, 0x00];
const VP8_DELTA: &[u8] = &[0x10, 0x01, 0x00, 0x00, 0x00];
/// An IDR slice, a slice that others need, one that none does.
const H264_KEY: &[u8] = &[0x65, 0x88, 0x80, 0x10];
const H264_REFERENCE: &[u8] = &[0x41, 0x9a, 0x00, 0x10];
const H264_B: &[u8] = &[0x01, 0x9e, 0x00, 0x10];

impl Show {
    pub fn begin(mut parts: Vec<(Session, Part)>) -> Self {
        let (stop, stopped) = channel();
        let keeper = thread::spawn(move || {
            let mut turn = 0;
            while stopped.recv_timeout(PICTURE) == Err(RecvTimeoutError::Timeout) {
                for (session, part) in &mut parts {
                    session.read();
                    part.send(session, turn);
                    if turn % SECOND == 0 && !(*part == Part::Gone && turn >= 2 * SECOND) {
                        session.check();
                    }
                }
                turn += 1;
            }
        });
        Self {
            keeper: Some((stop, keeper)),
        }
    }
}

impl Part {
    fn send(self, session: &mut Session, turn: u32) {
        let is_key = turn.is_multiple_of(SECOND);
        match self {
            Self::Paused | Self::Gone if turn >= 2 * SECOND => {}
            Self::Well | Self::Paused | Self::Gone if is_key => session.send_picture(turn * PICTURE_UNITS, VP8_KEY),
            Self::Well | Self::Deltas | Self::Paused | Self::Gone => {
                session.send_picture(turn * PICTURE_UNITS, VP8_DELTA);
            }
            // Sent: 3 1 2, 6 4 5, ...; shown in the order of the numbers.
            Self::BFrames => {
                let (group, place) = (turn / 3 * 3, turn % 3);
                let (shown, payload) = match place {
                    0 if (group / 3).is_multiple_of(8) => (group + 3, H264_KEY),
                    0 => (group + 3, H264_REFERENCE),
                    place => (group + place, H264_B),
                };
                session.send_picture(shown * PICTURE_UNITS, payload);
            }
        }
    }
}

impl Drop for Show {
    fn drop(&mut self) {
        if let Some((stop, keeper)) = self.keeper.take() {
            drop(stop);
            let _ = keeper.join();
        }
    }
}
