//! Payloads in sequence, and the frames that come of them.

mod av1;
mod h264;
mod h265;
mod sizes;
mod vp9;

use proptest::prelude::*;

use super::*;

const SPS: &[u8] = b"\x67\x42\xc0\x0d\xda\x05\x07\xec\x04\x40\x00\x00\x03\x00\x40\x00\x00\x0f\x03\xc5\x0a\xa8";
const PPS: &[u8] = b"\x68\xce\x0f\xc8";
const IDR: &[u8] = b"\x65\x88\x84\x00";
const SECOND_SLICE_OF_IDR: &[u8] = b"\x65\x04\x84\x00";
const SLICE: &[u8] = b"\x41\x9a\x01";
const SECOND_SLICE: &[u8] = b"\x41\x05\x01";
const FILLER: &[u8] = b"\x0c\xff\xff\x80";

/// A packet at `timestamp`, or a hole.
enum Step<'a> {
    Packet(u64, &'a [u8]),
    Marked(u64, &'a [u8]),
    Hole,
}
use Step::{Hole, Marked, Packet as Plain};

fn run(codec: Codec, steps: &[Step<'_>]) -> Vec<Result<Frame, Damage>> {
    let mut depacketiser = Depacketiser::new(codec);
    let mut out = Vec::new();
    for step in steps {
        match step {
            Plain(timestamp, payload) => {
                depacketiser.push(
                    Packet {
                        timestamp: *timestamp,
                        marker: false,
                        payload,
                    },
                    &mut out,
                );
            }
            Marked(timestamp, payload) => {
                depacketiser.push(
                    Packet {
                        timestamp: *timestamp,
                        marker: true,
                        payload,
                    },
                    &mut out,
                );
            }
            Hole => depacketiser.lost(&mut out),
        }
    }
    depacketiser.flush(&mut out);
    out
}

/// A frame of these NAL units, each behind its length.
fn of_nals(timestamp: u64, keyframe: bool, nals: &[&[u8]]) -> Result<Frame, Damage> {
    let data = nals
        .iter()
        .flat_map(|nal| [&(nal.len() as u32).to_be_bytes()[..], nal].concat())
        .collect();
    Ok(Frame {
        timestamp,
        keyframe,
        data,
    })
}

/// What it shows, what is pushed, what comes out.
type Case<'a> = (&'a str, Vec<Step<'a>>, Vec<Result<Frame, Damage>>);

fn assert_cases<'a>(codec: Codec, cases: impl IntoIterator<Item = Case<'a>>) {
    for (what, steps, expected) in cases {
        assert_eq!(run(codec, &steps), expected, "{what}");
    }
}

#[test]
fn a_frame_without_end_stops_growing() {
    // The first fragment, the others, and a frame by itself.
    type Payload<'a> = &'a [u8];
    let cases: [(Codec, Payload<'_>, Payload<'_>, Payload<'_>); 4] = [
        (Codec::H264, b"\x5c\x81\x9a", b"\x5c\x01", SLICE),
        (Codec::H265, b"\x62\x01\x81\xd0", b"\x62\x01\x01", b"\x02\x01\xd0\x09"),
        (Codec::Vp9, b"\x48\x86", b"\x40", b"\x4c\x86\x00"),
        (Codec::Av1, b"\x58\x30\x30", b"\xd0", b"\x10\x30\x30"),
    ];
    for (codec, first, other, whole) in cases {
        stops_growing(codec, first, &[other, &[0xaa; 60_000]].concat(), whole);
    }
}

fn stops_growing(codec: Codec, first: &[u8], payload: &[u8], whole: &[u8]) {
    let mut depacketiser = Depacketiser::new(codec);
    let mut out = Vec::new();
    depacketiser.push(
        Packet {
            timestamp: 1,
            marker: false,
            payload: first,
        },
        &mut out,
    );
    for _ in 0..1000 {
        depacketiser.push(
            Packet {
                timestamp: 1,
                marker: false,
                payload,
            },
            &mut out,
        );
        assert!(depacketiser.memory() <= FRAME_MAX);
    }
    assert_eq!(out, [Err(Damage::TooLarge)]);
    depacketiser.push(
        Packet {
            timestamp: 2,
            marker: true,
            payload: whole,
        },
        &mut out,
    );
    depacketiser.flush(&mut out);
    assert!(matches!(&out[1..], [Ok(frame)] if frame.timestamp == 2), "{codec:?}");
}

#[test]
fn vp8_packets_become_frames() {
    const KEY: &[u8] = b"\x70\x67\x00\x9d\x01\x2a\x40\x01\xf0\x00\x00";
    let vp8 = |timestamp, keyframe, data: &[u8]| {
        Ok(Frame {
            timestamp,
            keyframe,
            data: data.to_vec(),
        })
    };
    let start = |descriptor: &[u8]| [descriptor, KEY].concat();
    let descriptors: [(&str, &[u8]); 6] = [
        ("plain", b"\x10"),
        ("7-bit picture id", b"\x90\x80\x11"),
        ("15-bit picture id", b"\x90\x80\x81\x11"),
        ("TL0PICIDX", b"\x90\x40\x01"),
        ("TID and KEYIDX", b"\x90\x30\x21"),
        ("everything", b"\x90\xf0\x81\x11\x01\x21"),
    ];
    for (what, descriptor) in descriptors {
        let steps = [
            Plain(1, &start(descriptor)),
            Marked(1, b"\x00\xbb"),
            Marked(2, b"\x10\x31\x02"),
        ];
        let expected = [vp8(1, true, &[KEY, b"\xbb"].concat()), vp8(2, false, b"\x31\x02")];
        assert_eq!(run(Codec::Vp8, &steps), expected, "{what}");
    }
    let second_partition = [Plain(1, &start(b"\x10")), Marked(1, b"\x11\xbb".as_slice())];
    assert_eq!(
        run(Codec::Vp8, &second_partition),
        [vp8(1, true, &[KEY, b"\xbb"].concat())]
    );
    let holes = [
        Plain(1, &start(b"\x10")),
        Hole,
        Marked(1, b"\x00\xbb".as_slice()),
        Hole,
        Marked(2, b"\x10\x31"),
    ];
    assert_eq!(
        run(Codec::Vp8, &holes),
        [Err(Damage::Incomplete), Err(Damage::Incomplete), vp8(2, false, b"\x31")]
    );
}

#[test]
fn malformed_vp8_costs_its_frame_and_no_other() {
    let cases: [(&[u8], Damage); 9] = [
        (b"\x10", Damage::Truncated),
        (b"\x90", Damage::Truncated),
        (b"\x90\x80", Damage::Truncated),
        (b"\x90\x80\x81", Damage::Truncated),
        (b"\x90\x80\x81\x11", Damage::Truncated),
        (b"\x90\xf0\x81\x11\x01\x21", Damage::Truncated),
        (b"\x00\x31", Damage::StrayFragment),
        // A keyframe without its start code, and one that ends in its header.
        (b"\x10\x70\x67\x00\x9d\x01\x2b\x40\x01\xf0\x00", Damage::InvalidHeader),
        (b"\x10\x70\x67", Damage::InvalidHeader),
    ];
    for (payload, damage) in cases {
        let steps = [
            Marked(0, b"\x10\x31".as_slice()),
            Marked(1, payload),
            Marked(2, b"\x10\x31"),
        ];
        let out = run(Codec::Vp8, &steps);
        assert_eq!(out.len(), 3, "{payload:02x?}: {out:?}");
        assert_eq!(out[1], Err(damage), "{payload:02x?}");
        assert!(out[2].is_ok());
    }
}

#[test]
fn opus_packets_are_frames() {
    let steps = [
        Plain(1, b"\xfc\xff\xfe".as_slice()),
        Hole,
        Marked(2, b"\xf8"),
        Plain(3, b"\xff"),
        Plain(4, b""),
    ];
    let opus = |timestamp, data: &[u8]| {
        Ok(Frame {
            timestamp,
            keyframe: true,
            data: data.to_vec(),
        })
    };
    assert_eq!(
        run(Codec::Opus, &steps),
        [opus(1, b"\xfc\xff\xfe"), opus(2, b"\xf8"), Err(Damage::InvalidHeader)]
    );
}

#[test]
fn opus_packets_tell_their_duration() {
    let cases: [(&[u8], Option<u32>); 10] = [
        (b"\xfc", Some(960)),
        (b"\xfd\x00", Some(1920)),
        (b"\xe0", Some(120)),
        (b"\x18", Some(2880)),
        (b"\x60", Some(480)),
        (b"\xff\x03", Some(2880)),
        (b"\xff\x06", Some(5760)),
        (b"\xff\x07", None),
        (b"\xff\x00", None),
        (b"", None),
    ];
    for (packet, duration) in cases {
        assert_eq!(opus::duration(packet), duration, "{packet:02x?}");
    }
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    // Half of them begin like something.
    let first = prop_oneof![
        any::<u8>(),
        prop::sample::select(vec![
            0x02, 0x08, 0x0c, 0x10, 0x18, 0x1c, 0x20, 0x28, 0x41, 0x60, 0x62, 0x65, 0x67, 0x68, 0x90, 0xa8
        ])
    ];
    (first, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(first, rest)| [&[first][..], &rest].concat())
}

proptest! {
    #[test]
    fn arbitrary_payloads_neither_panic_nor_pile_up(
        steps in prop::collection::vec((0_u64..4, any::<bool>(), any::<bool>(), payload()), 1..60)
    ) {
        for codec in [Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus] {
            let mut depacketiser = Depacketiser::new(codec);
            let mut given = 0;
            let mut out = Vec::new();
            for (timestamp, marker, hole, payload) in &steps {
                given += 2 * payload.len() + 4;
                if *hole {
                    depacketiser.lost(&mut out);
                }
                depacketiser.push(Packet { timestamp: *timestamp, marker: *marker, payload }, &mut out);
                prop_assert!(depacketiser.memory() <= given.min(FRAME_MAX));
            }
            depacketiser.flush(&mut out);
            for frame in out.into_iter().flatten().filter(|frame| frame.keyframe) {
                prop_assert!(has_parameters(codec, &frame.data), "{codec:?}");
            }
        }
    }
}

/// What a file is begun with.
fn has_parameters(codec: Codec, keyframe: &[u8]) -> bool {
    use crate::params::{Av1Parameters, H264Parameters, H265Parameters, Vp9Parameters, vp8_picture_size};
    match codec {
        Codec::H264 => H264Parameters::of(keyframe).is_some(),
        Codec::H265 => H265Parameters::of(keyframe).is_some(),
        Codec::Vp8 => vp8_picture_size(keyframe).is_some(),
        Codec::Vp9 => Vp9Parameters::of(keyframe).is_some(),
        Codec::Av1 => Av1Parameters::of(keyframe).is_some(),
        Codec::Opus => true,
    }
}

impl Depacketiser {
    fn memory(&self) -> usize {
        match &self.state {
            State::Building(building) => building.data.len(),
            State::Between | State::Lost | State::Skipping { .. } => 0,
        }
    }
}
