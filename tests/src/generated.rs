//! What `whipcord publish URL test` shows, read from a recording: the number of each picture, drawn in digits and in bits.
//!
//! The wide sizes, 640 x 360 and 1280 x 720, are split into 40 x 22.5 squares. From the square (2, 7) on there are six
//! digits of 3 x 5 squares, 4 apart; in row 14, from the fifth square on, 32 bits, the highest at the left.

use std::path::Path;

use crate::{pattern::mean, recording};

/// Pixels along the side of a square, in a picture of 160 x 90.
const SQUARE: usize = 4;
/// Rows of three squares each.
const GLYPHS: [[&str; 5]; 10] = [
    ["###", "# #", "# #", "# #", "###"],
    [" # ", "## ", " # ", " # ", "###"],
    ["###", "  #", "###", "#  ", "###"],
    ["###", "  #", "###", "  #", "###"],
    ["# #", "# #", "###", "  #", "  #"],
    ["###", "#  ", "###", "  #", "###"],
    ["###", "#  ", "###", "# #", "###"],
    ["###", "  #", " # ", " # ", " # "],
    ["###", "# #", "###", "# #", "###"],
    ["###", "# #", "###", "  #", "###"],
];

/// The number that each picture says; `None` where digits and bits do not say the same.
///
/// # Panics
/// When FFmpeg cannot decode the file, or complains.
pub fn numbers(file: &Path) -> Vec<Option<u32>> {
    let (pictures, complaints) = recording::grey_pictures(file);
    assert_eq!(complaints, "", "the decoders complain");
    pictures.iter().map(|picture| number(picture)).collect()
}

fn number(picture: &[u8]) -> Option<u32> {
    // The middle of a square, away from what scaling mixed at its edges.
    let is_white = |column: usize, row: usize| mean(picture, column * SQUARE + 1, row * SQUARE + 1, 2) >= 128;
    let bits = (0..32).fold(0, |number, bit| number << 1 | u32::from(is_white(4 + bit, 14)));
    let digit = |place: usize| {
        let shows = |glyph: &[&str; 5]| {
            glyph.iter().enumerate().all(|(row, squares)| {
                let mut squares = squares.chars().enumerate();
                squares.all(|(x, square)| is_white(2 + 4 * place + x, 7 + row) == (square == '#'))
            })
        };
        GLYPHS.iter().position(shows)
    };
    let digits = (0..6).try_fold(0, |number, place| Some(number * 10 + digit(place)? as u32))?;
    (digits == bits).then_some(bits)
}
