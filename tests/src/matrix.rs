//! The table of encoders that `make interop` prints: a row from each encoder that was seen at work.

use std::{fs, process::Command};

use crate::{encoder::Encoder, output, recording::Recording, root};

/// Notes what came of an encoder; the last note counts.
///
/// # Panics
/// When its version cannot be told.
pub fn note(encoder: Encoder, result: &str) {
    let (script, variant) = encoder.script();
    let (versions, _) = output(Command::new(root().join("tests/interop/versions")).args([script, variant]));
    let versions = String::from_utf8(versions).expect("versions are text");
    let folder = root().join("target/matrix");
    fs::create_dir_all(&folder).expect("a folder can be made below target");
    let row = format!("| {} | {variant} | {result} |\n", versions.trim());
    fs::write(folder.join(format!("{script} {variant}")), row).expect("a file can be written below target");
}

/// What a recording holds, in a few words.
pub fn words(recording: &Recording) -> String {
    let late = recording.sound_late();
    let furthest = late.iter().fold(0.0, |furthest: f64, late| furthest.max(late.abs()));
    format!(
        "{:.1} s recorded, {} pictures, sound within {:.0} ms",
        recording.duration(),
        recording.readable(),
        furthest * 1000.0
    )
}
