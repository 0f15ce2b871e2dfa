//! What a picture of the pattern shows, in each of its sizes.
//!
//! From top to bottom: colour bars; the picture's number in digits, and the flash; the number in bits, white for one, the
//! highest at the left; a ball on its way; noise. The smallest size has room for fewer digits and bits.

use std::ops::Range;

use super::{
    super::Layer,
    h264::{Format, Macroblock},
};

/// Where things are, in squares: the smallest of one macroblock each.
#[derive(Debug)]
struct Layout {
    bars: Area,
    /// The upper left corner, and how many there are.
    digits: (usize, usize, usize),
    flash: Area,
    /// The first square, and how many there are in its row.
    bits: (usize, usize, usize),
    ball: Area,
    noise: Area,
}

#[derive(Debug)]
struct Area {
    columns: Range<usize>,
    rows: Range<usize>,
}

pub(super) const FRAMES_PER_SECOND: u32 = 30;
/// The flash and the beep both last 100 ms, from the start of each second.
const FLASH_PICTURES: u32 = FRAMES_PER_SECOND / 10;

/// 40 by 23 squares, of which the lowest are half cropped.
const WIDE: Layout = Layout {
    bars: area(0..40, 0..5),
    digits: (2, 7, 6),
    flash: area(29..38, 7..12),
    bits: (4, 14, 32),
    ball: area(0..40, 17..19),
    noise: area(16..24, 20..21),
};
/// 20 by 12 squares, of the lowest of which a quarter shows.
const NARROW: Layout = Layout {
    bars: area(0..20, 0..1),
    digits: (0, 2, 5),
    flash: area(16..20, 8..10),
    bits: (0, 10, 16),
    ball: area(0..15, 8..10),
    noise: area(18..20, 10..11),
};

const fn area(columns: Range<usize>, rows: Range<usize>) -> Area {
    Area { columns, rows }
}

const fn format(width: u32, height: u32) -> Format {
    Format {
        width,
        height,
        frames_per_second: FRAMES_PER_SECOND,
    }
}

/// One size of the pattern.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drawing {
    pub(super) format: Format,
    layout: &'static Layout,
    /// Macroblocks along the side of a square.
    side: usize,
}

impl Drawing {
    /// The one in which the pattern comes alone is the middle one of three.
    pub(super) fn new(layer: Option<Layer>) -> Self {
        let (format, layout, side) = match layer {
            Some(Layer::Quarter) => (format(320, 180), &NARROW, 1),
            None | Some(Layer::Half) => (format(640, 360), &WIDE, 1),
            Some(Layer::Full) => (format(1280, 720), &WIDE, 2),
        };
        Self { format, layout, side }
    }

    pub(super) fn draw(self, number: u32) -> Vec<Macroblock> {
        let mut canvas = Canvas {
            drawing: self,
            macroblocks: vec![NIGHT; self.format.columns() * self.format.rows()],
        };
        let layout = self.layout;
        let width = layout.bars.columns.len();
        for (bar, colour) in BARS.into_iter().enumerate() {
            let columns = width * bar / BARS.len()..width * (bar + 1) / BARS.len();
            canvas.fill(columns, layout.bars.rows.clone(), colour);
        }
        let (left, top, count) = layout.digits;
        let digits = format!("{:0count$}", u64::from(number) % 10_u64.pow(count as u32));
        for (place, digit) in digits.bytes().enumerate() {
            canvas.digit(left + 4 * place, top, usize::from(digit - b'0'));
        }
        let flash = number % FRAMES_PER_SECOND < FLASH_PICTURES;
        canvas.fill(
            layout.flash.columns.clone(),
            layout.flash.rows.clone(),
            if flash { WHITE } else { BLACK },
        );
        let (left, row, count) = layout.bits;
        for bit in 0..count {
            let set = number >> (count - 1 - bit) & 1 == 1;
            canvas.fill(
                left + bit..left + bit + 1,
                row..row + 1,
                if set { WHITE } else { BLACK },
            );
        }
        let ball = layout.ball.columns.start + bounce(number as usize, layout.ball.columns.len() - 2);
        canvas.fill(ball..ball + 2, layout.ball.rows.clone(), ORANGE);
        canvas.noise(&layout.noise, number);
        canvas.macroblocks
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

struct Canvas {
    drawing: Drawing,
    /// In raster order.
    macroblocks: Vec<Macroblock>,
}

impl Canvas {
    /// Squares; those below the picture are left out.
    fn fill(&mut self, columns: Range<usize>, rows: Range<usize>, with: Macroblock) {
        let Drawing { format, side, .. } = self.drawing;
        for row in rows.start * side..(rows.end * side).min(format.rows()) {
            let row = &mut self.macroblocks[row * format.columns()..][..format.columns()];
            row[columns.start * side..columns.end * side].fill(with);
        }
    }

    /// Three columns by five rows.
    fn digit(&mut self, left: usize, top: usize, digit: usize) {
        for (row, bits) in GLYPHS[digit].into_iter().enumerate() {
            for x in 0..3 {
                if bits >> (2 - x) & 1 == 1 {
                    self.fill(left + x..left + x + 1, top + row..top + row + 1, WHITE);
                }
            }
        }
    }

    /// One row of macroblocks, all different.
    fn noise(&mut self, area: &Area, number: u32) {
        let Drawing { format, side, .. } = self.drawing;
        for column in area.columns.start * side..area.columns.end * side {
            let seed = number.wrapping_mul(8).wrapping_add(column as u32);
            self.macroblocks[area.rows.start * side * format.columns() + column] = Macroblock::Noise { seed };
        }
    }
}

/// 0, 1, ... `limit`, ... 1, 0, 1, ...
fn bounce(step: usize, limit: usize) -> usize {
    let phase = step % (2 * limit);
    phase.min(2 * limit - phase)
}

/// Each digit is five rows of three bits.
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
