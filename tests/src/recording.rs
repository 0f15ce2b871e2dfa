//! Reads a recording back with FFmpeg and says what is in it, in the terms of [`crate::pattern`].

use std::{path::Path, process::Command, time::Duration};

use crate::{output, pattern};

/// A recording, decoded from start to end. Times are seconds on the file's own time line.
#[derive(Debug)]
pub struct Recording {
    pub pictures: Vec<Picture>,
    /// When each beep begins.
    pub beeps: Vec<f64>,
    /// When the sound ends.
    pub sound_end: f64,
    /// What the decoders complained of; empty for a good file.
    pub complaints: String,
}

#[derive(Debug, Clone, Copy)]
pub struct Picture {
    pub at: f64,
    /// `None` when it cannot be read: the picture is damaged.
    pub number: Option<u32>,
    pub flash: bool,
}

/// Grey pictures of 160 x 90 pixels, as many as there are. Their times come from ffprobe; here they only have to rise.
const PIXELS: &str =
    "-map 0:v:0 -fps_mode passthrough -vf scale=160:90:flags=area,format=gray -bsf:v setts=ts=N -f rawvideo";
/// One channel of 48,000 samples a second. Gaps become silence, so that a sample's place is its time.
const SAMPLES: &str = "-map 0:a:0 -ac 1 -ar 48000 -af aresample=async=1:first_pts=0 -c:a pcm_f32le -f f32le";

/// The sound's resolution: one level per 48 samples, 1 ms.
const LEVEL_SAMPLES: usize = 48;
/// The mean amplitude from which it beeps: the sine of amplitude 0.5 has 0.32.
const LOUD: f32 = 0.1;
/// A beep begins after so many quiet milliseconds, so that no beep counts twice.
const QUIET_BEFORE: usize = 100;

impl Recording {
    /// # Panics
    /// When FFmpeg cannot decode the file at all.
    pub fn read(file: &Path) -> Self {
        let silent = Self::read_silent(file);
        let (sound, more) = decode(file, SAMPLES);
        let complaints = silent.complaints + &more;
        let samples: Vec<f32> = sound
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        Self {
            pictures: silent.pictures,
            beeps: beeps(&samples),
            sound_end: samples.len() as f64 / 48_000.0,
            complaints,
        }
    }

    /// The same of a file without sound.
    ///
    /// # Panics
    /// As [`Recording::read`].
    pub fn read_silent(file: &Path) -> Self {
        let (pixels, complaints) = grey_pictures(file);
        let times = picture_times(file);
        assert_eq!(
            pixels.len(),
            times.len(),
            "{}: ffmpeg and ffprobe count pictures differently",
            file.display()
        );
        let picture = |(at, pixels): (f64, &Vec<u8>)| {
            let (number, flash) = (pattern::number(pixels), pattern::flashes(pixels));
            Picture { at, number, flash }
        };
        Self {
            pictures: times.into_iter().zip(&pixels).map(picture).collect(),
            beeps: Vec::new(),
            sound_end: 0.0,
            complaints,
        }
    }

    /// From the first picture to the end of the last, in seconds.
    pub fn duration(&self) -> f64 {
        let (Some(first), Some(last)) = (self.pictures.first(), self.pictures.last()) else {
            return 0.0;
        };
        last.at - first.at + 1.0 / pattern::RATE
    }

    /// How many pictures can be read, each number once.
    pub fn readable(&self) -> usize {
        let mut numbers: Vec<u32> = self.pictures.iter().filter_map(|picture| picture.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.len()
    }

    /// The numbers of the first and the last readable picture.
    pub fn numbers(&self) -> Option<(u32, u32)> {
        let mut numbers = self.pictures.iter().filter_map(|picture| picture.number);
        let first = numbers.next()?;
        Some((first, numbers.next_back().unwrap_or(first)))
    }

    /// The longest time from one picture to the next, in seconds.
    pub fn longest_gap(&self) -> f64 {
        let gaps = self.pictures.windows(2).map(|pair| pair[1].at - pair[0].at);
        gaps.fold(0.0, f64::max)
    }

    /// The longest time without a picture, beyond that between two.
    pub fn media_gap(&self) -> Duration {
        Duration::from_secs_f64((self.longest_gap() - 1.0 / pattern::RATE).max(0.0))
    }

    /// For each flash with a beep less than half a second off: by how many seconds the sound is late.
    pub fn sound_late(&self) -> Vec<f64> {
        let begins = self
            .pictures
            .windows(2)
            .filter(|pair| !pair[0].flash && pair[1].flash)
            .map(|pair| pair[1].at);
        let nearest = |flash: f64| {
            let late = self.beeps.iter().map(|beep| beep - flash);
            late.min_by(|a, b| a.abs().total_cmp(&b.abs()))
                .filter(|late| late.abs() < 0.5)
        };
        begins.filter_map(nearest).collect()
    }
}

/// Each picture in grey, of 160 x 90 pixels, and what the decoder complained of.
pub(crate) fn grey_pictures(file: &Path) -> (Vec<Vec<u8>>, String) {
    let (pixels, complaints) = decode(file, PIXELS);
    (pixels.chunks(160 * 90).map(<[u8]>::to_vec).collect(), complaints)
}

fn decode(file: &Path, options: &str) -> (Vec<u8>, String) {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-nostdin", "-v", "error", "-copyts", "-i"])
        .arg(file)
        .args(options.split(' '))
        .arg("-");
    output(&mut ffmpeg)
}

/// Width and height of each picture of a file.
pub fn picture_sizes(file: &Path) -> Vec<(u32, u32)> {
    let size = |line: &String| {
        let mut sides = line.split(',').map(|side| side.parse().expect("a picture has a size"));
        Some((sides.next()?, sides.next()?))
    };
    of_pictures(file, "width,height").iter().filter_map(size).collect()
}

fn picture_times(file: &Path) -> Vec<f64> {
    let time = |line: &String| {
        line.trim_end_matches(',')
            .parse()
            .expect("each picture of a recording has a time")
    };
    of_pictures(file, "best_effort_timestamp_time")
        .iter()
        .map(time)
        .collect()
}

/// What ffprobe says of each picture, a line each.
fn of_pictures(file: &Path, entries: &str) -> Vec<String> {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-select_streams", "v:0", "-of", "csv=p=0"]);
    let (lines, _) = output(ffprobe.args(["-show_entries", &format!("frame={entries}")]).arg(file));
    let lines = String::from_utf8(lines).expect("ffprobe writes text");
    lines
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

fn beeps(samples: &[f32]) -> Vec<f64> {
    let levels = samples
        .chunks(LEVEL_SAMPLES)
        .map(|ms| ms.iter().map(|s| s.abs()).sum::<f32>() / ms.len() as f32);
    let mut quiet = QUIET_BEFORE;
    let mut found = Vec::new();
    for (millisecond, level) in levels.enumerate() {
        if level < LOUD {
            quiet += 1;
        } else {
            if quiet >= QUIET_BEFORE {
                found.push(millisecond as f64 / 1000.0);
            }
            quiet = 0;
        }
    }
    found
}
