//! What `publish URL test` sends: a moving picture that says its frame number, and a beep with each flash.
//!
//! 640x360 at 30 frames/s, about 0.8 Mbit/s, most of it a patch of noise that makes pictures as large as real ones.
//! The picture is written by this crate's own small encoder, so that nothing has to be installed; the beep is one
//! second of Opus, packed into the program.

mod bits;
mod h264;

use std::{io::Cursor, time::Duration};

use bytes::Bytes;

use self::h264::{Encoder, Format, Macroblock};
use super::{Codec, Frame, Track, ogg};

pub(in super::super) struct Pattern {
    encoder: Encoder,
    /// Number of the next picture.
    picture: u32,
    keyframe_wanted: bool,
    /// One second of Opus packets, played in a loop.
    beep: Vec<Bytes>,
    /// Number of the next audio packet.
    packet: u32,
}

const FORMAT: Format = Format {
    width: 640,
    height: 360,
    frames_per_second: 30,
};
/// Two seconds: what recorders and segmenters expect at most.
const KEYFRAME_INTERVAL: u32 = 2 * FORMAT.frames_per_second;
/// The flash and the beep both last 100 ms, from the start of each second.
const FLASH_PICTURES: u32 = FORMAT.frames_per_second / 10;
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
    pub(super) fn new() -> Self {
        let mut reader = ogg::Reader::new(Cursor::new(BEEP)).expect("the packed beep is Ogg Opus");
        let packets = std::iter::from_fn(|| reader.next().expect("the packed beep is whole"));
        let beep = packets
            .skip(LOOP.start)
            .take(LOOP.len())
            .map(|packet| packet.data)
            .collect();
        Self {
            encoder: Encoder::new(FORMAT),
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

    pub(super) fn request_keyframe(&mut self) {
        self.keyframe_wanted = true;
    }

    /// Never ends.
    pub(super) fn next(&mut self) -> Frame {
        let picture_time = Duration::from_secs(1) * self.picture / FORMAT.frames_per_second;
        let packet_time = AUDIO_PACKET * self.packet;
        if packet_time < picture_time {
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
            time,
            keyframe: true,
            data,
        }
    }

    fn next_picture(&mut self, time: Duration) -> Frame {
        let number = self.picture;
        self.picture += 1;
        let keyframe = std::mem::take(&mut self.keyframe_wanted) || number.is_multiple_of(KEYFRAME_INTERVAL);
        let data = self.encoder.encode(draw(number), keyframe);
        Frame {
            codec: Codec::H264,
            time,
            keyframe,
            data,
        }
    }
}

const fn colour(y: u8, cb: u8, cr: u8) -> Macroblock {
    Macroblock::Flat { y, cb, cr }
}

const BLACK: Macroblock = colour(16, 128, 128);
const WHITE: Macroblock = colour(235, 128, 128);
const NIGHT: Macroblock = colour(40, 140, 122);
const ORANGE: Macroblock = colour(150, 60, 190);
/// 75 % colour bars of ITU-R BT.601: grey, yellow, cyan, green, magenta, red, blue, black.
const BARS: [Macroblock; 8] = [
    colour(180, 128, 128),
    colour(162, 44, 142),
    colour(131, 156, 44),
    colour(112, 72, 58),
    colour(84, 184, 198),
    colour(65, 100, 212),
    colour(35, 212, 114),
    BLACK,
];

/// A grid of 40 by 23 macroblocks; the lowest row is half cropped.
struct Canvas(Vec<Macroblock>);

impl Canvas {
    fn fill(&mut self, columns: std::ops::Range<usize>, rows: std::ops::Range<usize>, with: Macroblock) {
        for row in rows {
            self.0[row * FORMAT.columns()..][columns.clone()].fill(with);
        }
    }
}

/// From top to bottom: colour bars; the frame number in digits, and the flash; the frame number in 32 bits, white for
/// one, the highest at the left; a ball on its way; noise.
fn draw(number: u32) -> Vec<Macroblock> {
    let mut canvas = Canvas(vec![NIGHT; FORMAT.columns() * FORMAT.rows()]);
    for (bar, colour) in BARS.into_iter().enumerate() {
        canvas.fill(5 * bar..5 * bar + 5, 0..5, colour);
    }
    let digits = format!("{:06}", number % 1_000_000);
    for (place, digit) in digits.bytes().enumerate() {
        draw_digit(&mut canvas, 2 + 4 * place, usize::from(digit - b'0'));
    }
    let flash = number % FORMAT.frames_per_second < FLASH_PICTURES;
    canvas.fill(29..38, 7..12, if flash { WHITE } else { BLACK });
    for bit in 0..32 {
        let set = number >> (31 - bit) & 1 == 1;
        canvas.fill(4 + bit..5 + bit, 14..15, if set { WHITE } else { BLACK });
    }
    let ball = bounce(number as usize, FORMAT.columns() - 2);
    canvas.fill(ball..ball + 2, 17..19, ORANGE);
    for column in 16..24 {
        let seed = number.wrapping_mul(8).wrapping_add(column);
        canvas.fill(column as usize..column as usize + 1, 20..21, Macroblock::Noise { seed });
    }
    canvas.0
}

/// 0, 1, ... `limit`, ... 1, 0, 1, ...
fn bounce(step: usize, limit: usize) -> usize {
    let phase = step % (2 * limit);
    phase.min(2 * limit - phase)
}

/// Three columns by five rows, at row 7; each number is five rows of three bits.
fn draw_digit(canvas: &mut Canvas, column: usize, digit: usize) {
    const GLYPHS: [[u8; 5]; 10] = [
        [0b111, 0b101, 0b101, 0b101, 0b111],
        [0b010, 0b110, 0b010, 0b010, 0b111],
        [0b111, 0b001, 0b111, 0b100, 0b111],
        [0b111, 0b001, 0b111, 0b001, 0b111],
        [0b101, 0b101, 0b111, 0b001, 0b001],
        [0b111, 0b100, 0b111, 0b001, 0b111],
        [0b111, 0b100, 0b111, 0b101, 0b111],
        [0b111, 0b001, 0b010, 0b010, 0b010],
        [0b111, 0b101, 0b111, 0b101, 0b111],
        [0b111, 0b101, 0b111, 0b001, 0b111],
    ];
    for (row, bits) in GLYPHS[digit].into_iter().enumerate() {
        for x in 0..3 {
            if bits >> (2 - x) & 1 == 1 {
                canvas.fill(column + x..column + x + 1, 7 + row..8 + row, WHITE);
            }
        }
    }
}

#[cfg(test)]
mod tests;
