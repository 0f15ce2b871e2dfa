//! Test streams made by FFmpeg's own encoders, taken apart into frames.

use std::process::Command;

/// One encoded frame, and for H.264 its NAL units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) units: Vec<Vec<u8>>,
    pub(crate) keyframe: bool,
}

pub(crate) const FRAME_RATE: u32 = 30;

/// Opus frames are 20 ms.
pub(crate) const OPUS_SAMPLES: u32 = 960;

/// `size`: as "320x240". A keyframe each second, several slices per picture, no B-frames.
pub(crate) fn h264(size: &str, seconds: u32) -> Vec<Encoded> {
    let args = format!("-c:v libx264 -preset veryfast -tune zerolatency -threads 2 -g {FRAME_RATE} -bf 0 -f h264");
    access_units(&encode(&video_source(size, seconds), &args))
}

/// With B-frames, in decoding order.
pub(crate) fn h264_with_b_frames(size: &str, seconds: u32) -> Vec<Encoded> {
    let args = format!("-c:v libx264 -preset veryfast -threads 1 -g {FRAME_RATE} -bf 2 -b_strategy 0 -f h264");
    access_units(&encode(&video_source(size, seconds), &args))
}

pub(crate) fn vp8(size: &str, seconds: u32) -> Vec<Encoded> {
    let args = format!("-c:v libvpx -deadline realtime -cpu-used 8 -b:v 600k -g {FRAME_RATE} -auto-alt-ref 0 -f ivf");
    ivf_frames(&encode(&video_source(size, seconds), &args))
}

pub(crate) fn opus(seconds: u32) -> Vec<Encoded> {
    let source = format!("-f lavfi -i sine=frequency=440:sample_rate=48000:duration={seconds}");
    // The first two packets of Ogg Opus are headers (RFC 7845 §3).
    let packets = ogg_packets(&encode(
        &source,
        "-c:a libopus -ac 2 -b:a 64k -frame_duration 20 -f ogg",
    ));
    packets
        .into_iter()
        .skip(2)
        .map(|packet| Encoded {
            units: vec![packet],
            keyframe: true,
        })
        .collect()
}

fn video_source(size: &str, seconds: u32) -> String {
    format!("-f lavfi -i testsrc=size={size}:rate={FRAME_RATE}:duration={seconds} -pix_fmt yuv420p")
}

fn encode(source: &str, output: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out");
    let mut args: Vec<_> = ["-v", "error", "-nostdin", "-y"].into();
    args.extend(source.split(' '));
    args.extend(output.split(' '));
    args.push(file.to_str().unwrap());
    run("ffmpeg", &args);
    std::fs::read(file).unwrap()
}

/// Runs a tool of FFmpeg's. Returns standard output; anything on standard error fails the test.
pub(crate) fn run(tool: &str, args: &[&str]) -> String {
    let output = Command::new(tool)
        .args(args)
        .output()
        .unwrap_or_else(|error| panic!("cannot run {tool} ({error}); install it with: apt-get install ffmpeg"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && errors.is_empty(),
        "{tool} {args:?} says: {errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Annex B into access units: one begins at each slice with first_mb_in_slice = 0 and the non-slices before it.
fn access_units(stream: &[u8]) -> Vec<Encoded> {
    let mut units: Vec<Encoded> = Vec::new();
    let mut prefix = Vec::new();
    for nal in annex_b(stream) {
        let is_slice = matches!(nal[0] & 0x1f, 1 | 5);
        if !is_slice {
            prefix.push(nal.to_vec());
        } else if nal[1] & 0x80 != 0 {
            let mut all = std::mem::take(&mut prefix);
            all.push(nal.to_vec());
            units.push(Encoded {
                units: all,
                keyframe: nal[0] & 0x1f == 5,
            });
        } else {
            units.last_mut().unwrap().units.push(nal.to_vec());
        }
    }
    units
}

fn annex_b(stream: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<_> = (0..stream.len().saturating_sub(2))
        .filter(|at| stream[*at..].starts_with(&[0, 0, 1]))
        .collect();
    let ends = starts.iter().skip(1).copied().chain([stream.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| trim_zeros(&stream[start + 3..end]))
        .collect()
}

fn trim_zeros(nal: &[u8]) -> &[u8] {
    let end = nal.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    &nal[..end]
}

fn ivf_frames(file: &[u8]) -> Vec<Encoded> {
    let mut frames = Vec::new();
    let mut rest = &file[32..];
    while rest.len() > 12 {
        let size = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
        let data = rest[12..12 + size].to_vec();
        frames.push(Encoded {
            keyframe: data[0] & 1 == 0,
            units: vec![data],
        });
        rest = &rest[12 + size..];
    }
    frames
}

fn ogg_packets(mut file: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = vec![Vec::new()];
    while !file.is_empty() {
        assert!(file.starts_with(b"OggS"));
        let segments = usize::from(file[26]);
        let mut at = 27 + segments;
        for lacing in &file[27..27 + segments] {
            packets
                .last_mut()
                .unwrap()
                .extend_from_slice(&file[at..at + usize::from(*lacing)]);
            at += usize::from(*lacing);
            if *lacing < 255 {
                packets.push(Vec::new());
            }
        }
        file = &file[at..];
    }
    packets.pop();
    packets
}
