//! Payloads of one track into frames. A packet of the input is a byte of flags, a length, and the payload.

use crate::input::Input;
use whipcord_media::{
    Codec, Frame,
    depacketise::{Damage, Depacketiser, FRAME_MAX, Packet, opus, picture_size},
    params::{Av1Parameters, H264Parameters, H265Parameters, Vp9Parameters, vp8_picture_size},
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
        let size = picture_size(codec, packet.payload);
        assert!(size.is_none_or(|size| codec != Codec::Opus && size.width > 0 && size.height > 0));
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
            Codec::H264 => {
                check_nals(&frame);
                assert!(!frame.keyframe || H264Parameters::of(&frame.data).is_some());
            }
            Codec::H265 => {
                check_nals(&frame);
                assert!(!frame.keyframe || H265Parameters::of(&frame.data).is_some());
            }
            Codec::Vp9 => assert!(!frame.keyframe || Vp9Parameters::of(&frame.data).is_some()),
            Codec::Av1 => {
                check_obus(&frame);
                assert!(!frame.keyframe || Av1Parameters::of(&frame.data).is_some());
            }
            Codec::Vp8 => assert!(!frame.keyframe || vp8_picture_size(&frame.data).is_some()),
            Codec::Opus => {
                assert!(frame.keyframe && opus::duration(&frame.data).is_some_and(|samples| samples <= 5760));
            }
        }
    }
}

fn check_nals(frame: &Frame) {
    let mut rest = frame.data.as_slice();
    while let Some((len, following)) = rest.split_first_chunk::<4>() {
        let len = u32::from_be_bytes(*len) as usize;
        assert!((1..=following.len()).contains(&len), "a length that does not fit");
        rest = &following[len..];
    }
    assert!(rest.is_empty());
}

/// Each says its size (AV1 specification §5.3.2), and none is a temporal delimiter.
fn check_obus(frame: &Frame) {
    let mut rest = frame.data.as_slice();
    while let Some(&header) = rest.first() {
        assert!(header & 0x82 == 0x02 && header >> 3 & 0x0f != 2, "header {header:02x}");
        let mut at = if header & 0x04 == 0 { 1 } else { 2 };
        let mut size = 0;
        for i in 0..8 {
            size |= usize::from(rest[at] & 0x7f) << (7 * i);
            at += 1;
            if rest[at - 1] & 0x80 == 0 {
                break;
            }
        }
        rest = &rest[at + size..];
    }
}
