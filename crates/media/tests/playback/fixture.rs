//! Test streams made by FFmpeg's own encoders, taken apart into frames.

use std::process::Command;

/// One encoded frame: of H.264 and H.265 its NAL units, of AV1 its OBUs without their sizes.
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

/// A keyframe each second, two slices per picture, no B-frames.
pub(crate) fn h265(size: &str, seconds: u32) -> Vec<Encoded> {
    let parameters = format!(
        "log-level=none:bframes=0:keyint={FRAME_RATE}:min-keyint={FRAME_RATE}:scenecut=0:slices=2:repeat-headers=1"
    );
    let args = format!("-c:v libx265 -preset ultrafast -x265-params {parameters} -f hevc");
    pictures(&encode(&video_source(size, seconds), &args))
}

/// As a browser encodes.
pub(crate) fn vp9(size: &str, seconds: u32) -> Vec<Encoded> {
    vp9_with(size, seconds, "-deadline realtime -cpu-used 8 -lag-in-frames 0")
}

/// With pictures that are not shown, each in a superframe with the one after it.
pub(crate) fn vp9_with_hidden_pictures(size: &str, seconds: u32) -> Vec<Encoded> {
    vp9_with(
        size,
        seconds,
        "-deadline good -cpu-used 5 -auto-alt-ref 1 -lag-in-frames 16",
    )
}

fn vp9_with(size: &str, seconds: u32, how: &str) -> Vec<Encoded> {
    let args = format!("-c:v libvpx-vp9 {how} -b:v 600k -g {FRAME_RATE} -f ivf");
    ivf_frames(&encode(&video_source(size, seconds), &args), |frame| {
        frame[0] & 0x04 == 0
    })
}

/// As a browser encodes: `libaom` in real time.
pub(crate) fn av1(size: &str, seconds: u32) -> Vec<Encoded> {
    av1_with(
        size,
        seconds,
        "libaom-av1 -usage realtime -cpu-used 8 -lag-in-frames 0 -keyint_min 30 -b:v 600k",
    )
}

/// With pictures that are not shown, or shown later: as for a file.
pub(crate) fn av1_with_hidden_pictures(size: &str, seconds: u32) -> Vec<Encoded> {
    av1_with(
        size,
        seconds,
        "libaom-av1 -cpu-used 8 -lag-in-frames 19 -auto-alt-ref 1 -b:v 600k",
    )
}

fn av1_with(size: &str, seconds: u32, how: &str) -> Vec<Encoded> {
    let args = format!("-c:v {how} -g {FRAME_RATE} -f ivf");
    ivf_frames(&encode(&video_source(size, seconds), &args), |_| false)
        .into_iter()
        .map(|unit| {
            let units = obus(&unit.units[0]);
            // The encoder writes a sequence header before each keyframe.
            let keyframe = units.iter().any(|obu| obu[0] >> 3 == 1);
            Encoded { units, keyframe }
        })
        .collect()
}

pub(crate) fn vp8(size: &str, seconds: u32) -> Vec<Encoded> {
    let args = format!("-c:v libvpx -deadline realtime -cpu-used 8 -b:v 600k -g {FRAME_RATE} -auto-alt-ref 0 -f ivf");
    ivf_frames(&encode(&video_source(size, seconds), &args), |frame| frame[0] & 1 == 0)
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

/// The same of H.265: a picture begins at each slice with first_slice_segment_in_pic_flag.
fn pictures(stream: &[u8]) -> Vec<Encoded> {
    let mut pictures: Vec<Encoded> = Vec::new();
    let mut prefix = Vec::new();
    for nal in annex_b(stream) {
        let kind = nal[0] >> 1;
        if kind >= 32 {
            prefix.push(nal.to_vec());
        } else if nal[2] & 0x80 != 0 {
            let mut units = std::mem::take(&mut prefix);
            units.push(nal.to_vec());
            pictures.push(Encoded {
                units,
                keyframe: kind >= 16,
            });
        } else {
            pictures.last_mut().unwrap().units.push(nal.to_vec());
        }
    }
    pictures
}

/// The OBUs of a temporal unit as they are sent: without their sizes and the temporal delimiter.
fn obus(mut unit: &[u8]) -> Vec<Vec<u8>> {
    let mut obus = Vec::new();
    while let Some(&header) = unit.first() {
        assert_eq!(header & 0x06, 0x02, "no extension, and a size");
        let (mut size, mut at) = (0, 1);
        loop {
            size |= usize::from(unit[at] & 0x7f) << (7 * (at - 1));
            at += 1;
            if unit[at - 1] & 0x80 == 0 {
                break;
            }
        }
        if header >> 3 != 2 {
            obus.push([&[header & !0x02][..], &unit[at..at + size]].concat());
        }
        unit = &unit[at + size..];
    }
    obus
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

fn ivf_frames(file: &[u8], is_keyframe: fn(&[u8]) -> bool) -> Vec<Encoded> {
    let mut frames = Vec::new();
    let mut rest = &file[32..];
    while rest.len() > 12 {
        let size = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
        let data = rest[12..12 + size].to_vec();
        frames.push(Encoded {
            keyframe: is_keyframe(&data),
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
