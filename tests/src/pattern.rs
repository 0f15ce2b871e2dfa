//! What the test encoders send, so that a recording can be held against it: numbered pictures, and once a second a
//! flash together with a beep.
//!
//! The picture is split into 16 x 9 squares. The squares of the top row are bits, black or white, the lowest at the
//! left: 12 of the picture's number modulo 4096, then 4 of a check. The middle of the picture (a square from 3/8 to 5/8
//! of its width, 1/3 to 7/9 of its height) is white in the first three of each 30 pictures and else black. The beep of
//! 1 kHz lasts as long as the flash, 100 ms; all other sound is silence. `interop/clients/chromium.html` draws the same.

use std::{path::Path, process::Command, sync::OnceLock};

use tempfile::TempDir;

use crate::output;

/// Pictures per second.
pub const RATE: f64 = 30.0;
/// Numbers repeat after so many pictures, about 136 s.
pub const NUMBERS: u32 = 4096;
/// The file's length, longer than any test publishes.
const SECONDS: u32 = 60;

/// A file of the pattern: H.264 (constrained baseline, 640 x 360, 1.5 Mbit/s, a keyframe each 2 s) and Opus in Matroska.
pub fn file() -> &'static Path {
    static FILE: OnceLock<(TempDir, std::path::PathBuf)> = OnceLock::new();
    let (_, path) = FILE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("pattern.mkv");
        encode(&path, SECONDS, "libx264", "0");
        (folder, path)
    });
    path
}

/// The numbers of the file's pictures, when it is played over and over.
pub fn numbers() -> impl Iterator<Item = u32> {
    (0..SECONDS * RATE as u32).cycle()
}

/// Encodes `seconds` of the pattern, the sound `late` by so many seconds.
pub fn encode(path: &Path, seconds: u32, codec: &str, late: &str) {
    let beep = format!("aevalsrc='gte(t,{late})*lt(mod(t-{late},1),0.1)*0.5*sin(2000*PI*t)':s=48000:c=stereo");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error", "-y"]);
    ffmpeg.args([
        "-f",
        "lavfi",
        "-i",
        &picture(),
        "-f",
        "lavfi",
        "-i",
        &beep,
        "-t",
        &seconds.to_string(),
    ]);
    ffmpeg.args([
        "-c:v", codec, "-pix_fmt", "yuv420p", "-g", "60", "-b:v", "1500k", "-maxrate", "1500k",
    ]);
    ffmpeg.args(["-bufsize", "750k", "-c:a", "libopus", "-b:a", "64k"]);
    match codec {
        "libx265" => ffmpeg.args([
            "-preset",
            "ultrafast",
            "-x265-params",
            "log-level=none:bframes=0:keyint=60:min-keyint=60",
        ]),
        "libx264" => ffmpeg.args(["-preset", "veryfast", "-tune", "zerolatency", "-profile:v", "baseline"]),
        _ => ffmpeg.args(["-deadline", "realtime", "-cpu-used", "8"]),
    };
    output(ffmpeg.arg(path));
}

/// FFmpeg's description of the pictures.
fn picture() -> String {
    let bit = |index: u32, value: String| {
        format!(
            ",drawbox=x={}:y=0:w=40:h=40:c=white:t=fill:enable='mod({value},2)'",
            40 * index
        )
    };
    let number = (0..12).map(|k| bit(k, format!("floor(n/{})", 1 << k)));
    let check = |k| format!("floor((15-mod(n+floor(n/16)+floor(n/256),16))/{})", 1 << k);
    let bits: String = number.chain((0..4).map(|k| bit(12 + k, check(k)))).collect();
    let flash = |colour, when| format!(",drawbox=x=240:y=120:w=160:h=160:c={colour}:t=fill:enable='{when}'");
    format!(
        "testsrc2=s=640x360:r={RATE},drawbox=x=0:y=0:w=iw:h=40:c=black:t=fill{bits}{}{}",
        flash("black", "1"),
        flash("white", "lt(mod(n,30),3)")
    )
}

/// The number in a grey picture of 160 x 90 pixels; `None` when the check does not fit, so not for a damaged picture.
pub(crate) fn number(picture: &[u8]) -> Option<u32> {
    let bits = (0..16).fold(0, |bits, k| {
        bits | u32::from(mean(picture, 10 * k + 3, 3, 4) >= 128) << k
    });
    let number = bits % NUMBERS;
    let check = 15 - (number + (number >> 4) + (number >> 8)) % 16;
    (bits >> 12 == check).then_some(number)
}

/// Whether a grey picture of 160 x 90 pixels shows the flash.
pub(crate) fn flashes(picture: &[u8]) -> bool {
    mean(picture, 70, 40, 20) >= 128
}

/// The mean of the square of `side` pixels from (`left`, `top`).
pub(crate) fn mean(picture: &[u8], left: usize, top: usize, side: usize) -> usize {
    let rows = picture.chunks(160).skip(top).take(side);
    rows.flat_map(|row| &row[left..left + side])
        .map(|&pixel| usize::from(pixel))
        .sum::<usize>()
        / (side * side)
}
