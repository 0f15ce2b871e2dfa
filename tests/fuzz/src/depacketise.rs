//! Payloads of one track into frames. A packet of the input is a byte of flags, a length, and the payload.

use crate::input::Input;
use whipcord_media::{
    Codec, Frame,
    depacketise::{Damage, Depacketiser, FRAME_MAX, Packet, opus},
    params::{H264Parameters, vp8_picture_size},
};

const MARKER: u8 = 0x01;
const NEXT_TIMESTAMP: u8 = 0x02;
const LOSS_BEFORE: u8 = 0x04;
const FLUSH_AFTER: u8 = 0x08;

pub fn run(codec: Codec, data: &[u8]) {
    let mut input = Input::new(data);
    let mut depacketiser = Depacketiser::new(codec);
    let (mut timestamp, mut out) = (1 << 32, vec![]);
    while !input.is_empty() {
        let (flags, len) = (input.byte(), input.word() & 0x07ff);
        if flags & LOSS_BEFORE != 0 {
            depacketiser.lost(&mut out);
            check(codec, timestamp, &mut out);
        }
        if flags & NEXT_TIMESTAMP != 0 {
            timestamp += 3000;
        }
        let packet = Packet {
            timestamp,
            marker: flags & MARKER != 0,
            payload: input.slice(len.into()),
        };
        depacketiser.push(packet, &mut out);
        check(codec, timestamp, &mut out);
        if flags & FLUSH_AFTER != 0 {
            depacketiser.flush(&mut out);
            check(codec, timestamp, &mut out);
        }
    }
    depacketiser.flush(&mut out);
    check(codec, timestamp, &mut out);
}

/// At most the frame before a packet and its own, each as [`Frame`] promises.
fn check(codec: Codec, newest: u64, out: &mut Vec<Result<Frame, Damage>>) {
    assert!(out.len() <= 2);
    for frame in out.drain(..).flatten() {
        assert!(frame.timestamp <= newest);
        assert!((1..=FRAME_MAX).contains(&frame.data.len()));
        match codec {
            Codec::H264 => check_h264(&frame),
            Codec::Vp8 => assert!(!frame.keyframe || vp8_picture_size(&frame.data).is_some()),
            Codec::Opus => {
                assert!(frame.keyframe && opus::duration(&frame.data).is_some_and(|samples| samples <= 5760));
            }
        }
    }
}

fn check_h264(frame: &Frame) {
    let mut rest = frame.data.as_slice();
    while let Some((len, following)) = rest.split_first_chunk::<4>() {
        let len = u32::from_be_bytes(*len) as usize;
        assert!((1..=following.len()).contains(&len), "a length that does not fit");
        rest = &following[len..];
    }
    assert!(rest.is_empty());
    assert!(!frame.keyframe || H264Parameters::of(&frame.data).is_some());
}
