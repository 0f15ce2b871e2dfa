//! What `publish URL test` sends: a moving picture that says its frame number, and a beep with each flash.
//!
//! 640x360 at 30 frames/s, about 0.8 Mbit/s, most of it a patch of noise that makes pictures as large as real ones; in
//! three sizes also 320x180 with 0.3 and 1280x720 with 1.6 Mbit/s.
//! The picture is written by this crate's own small encoder, so that nothing has to be installed; the beep is one
//! second of Opus, packed into the program.

mod bits;
mod h264;
mod picture;

use std::{collections::VecDeque, io::Cursor, time::Duration};

use bytes::Bytes;

use self::{
    h264::Encoder,
    picture::{Drawing, FRAMES_PER_SECOND},
};
use super::{Codec, Frame, Layer, Track, ogg};

pub(in super::super) struct Pattern {
    /// One, or from the smallest to the largest.
    sizes: Vec<Size>,
    /// Of the newest picture, the sizes that were not handed out yet.
    coded: VecDeque<Frame>,
    /// Number of the next picture.
    picture: u32,
    keyframe_wanted: bool,
    /// One second of Opus packets, played in a loop.
    beep: Vec<Bytes>,
    /// Number of the next audio packet.
    packet: u32,
}

struct Size {
    layer: Option<Layer>,
    drawing: Drawing,
    encoder: Encoder,
}

/// Two seconds: what recorders and segmenters expect at most.
const KEYFRAME_INTERVAL: u32 = 2 * FRAMES_PER_SECOND;
const AUDIO_PACKET: Duration = Duration::from_millis(20);

/// Two seconds of a 1 kHz tone of 100 ms each second, in packets of 20 ms. The tone starts 6.5 ms early, which is what the
/// codec delays it by. Made with libopus 1.3.1:
///
/// ```text
/// ffmpeg -f lavfi -i "aevalsrc='0.25*sin(2000*PI*t)*lt(mod(t+0.0065,1),0.1)':s=48000:d=2.1" -ac 2 -c:a libopus -b:a 32k \
///   -frame_duration 20 -map_metadata -1 -fflags +bitexact -flags:a +bitexact beep.opus
/// ```
const BEEP: &[u8] = include_bytes!("pattern/beep.opus");
/// The loop is the file's second second: it joins its own end, the first one begins with an encoder that knew nothing.
const LOOP: std::ops::Range<usize> = 50..100;

impl Pattern {
    /// In three sizes for simulcast.
    pub(super) fn new(simulcast: bool) -> Self {
        let mut reader = ogg::Reader::new(Cursor::new(BEEP)).expect("the packed beep is Ogg Opus");
        let packets = std::iter::from_fn(|| reader.next().expect("the packed beep is whole"));
        let beep = packets
            .skip(LOOP.start)
            .take(LOOP.len())
            .map(|packet| packet.data)
            .collect();
        let layers = match simulcast {
            true => Layer::ALL.map(Some).to_vec(),
            false => vec![None],
        };
        Self {
            sizes: layers.into_iter().map(Size::new).collect(),
            coded: VecDeque::new(),
            picture: 0,
            keyframe_wanted: true,
            beep,
            packet: 0,
        }
    }

    pub(super) fn tracks() -> Vec<Track> {
        vec![
            Track::H264 {
                profile_level_id: h264::PROFILE_LEVEL_ID,
            },
            Track::Opus,
        ]
    }

    pub(super) fn layers(&self) -> &'static [Layer] {
        match self.sizes.len() {
            1 => &[],
            _ => &Layer::ALL,
        }
    }

    /// Of all sizes: a receiver that changes between them finds them alike.
    pub(super) fn request_keyframe(&mut self) {
        self.keyframe_wanted = true;
    }

    /// Never ends.
    pub(super) fn next(&mut self) -> Frame {
        let picture_time = Duration::from_secs(1) * self.picture / FRAMES_PER_SECOND;
        let packet_time = AUDIO_PACKET * self.packet;
        if let Some(frame) = self.coded.pop_front() {
            frame
        } else if packet_time < picture_time {
            self.next_packet(packet_time)
        } else {
            self.next_picture(picture_time)
        }
    }

    fn next_packet(&mut self, time: Duration) -> Frame {
        let data = self.beep[self.packet as usize % self.beep.len()].clone();
        self.packet += 1;
        Frame {
            codec: Codec::Opus,
            layer: None,
            time,
            keyframe: true,
            data,
        }
    }

    fn next_picture(&mut self, time: Duration) -> Frame {
        let number = self.picture;
        self.picture += 1;
        let keyframe = std::mem::take(&mut self.keyframe_wanted) || number.is_multiple_of(KEYFRAME_INTERVAL);
        let mut frames = self.sizes.iter_mut().map(|size| Frame {
            codec: Codec::H264,
            layer: size.layer,
            time,
            keyframe,
            data: size.encoder.encode(size.drawing.draw(number), keyframe),
        });
        let first = frames.next().expect("there is one size at least");
        self.coded.extend(frames);
        first
    }
}

impl Size {
    fn new(layer: Option<Layer>) -> Self {
        let drawing = Drawing::new(layer);
        Self {
            layer,
            drawing,
            encoder: Encoder::new(drawing.format),
        }
    }
}

#[cfg(test)]
mod tests;
