//! VP9.

use super::*;

/// Made by libvpx: 320 x 240.
pub(super) const KEY: &[u8] = b"\x82\x49\x83\x42\x00\x13\xf0\x0e\xf6\x08";
const INTER: &[u8] = b"\x86\x00";

fn vp9(timestamp: u64, keyframe: bool, data: &[u8]) -> Result<Frame, Damage> {
    Ok(Frame {
        timestamp,
        keyframe,
        data: data.to_vec(),
    })
}

#[test]
fn every_descriptor_is_understood() {
    // Of the first packet of a keyframe, and of the one packet of the frame after it.
    let descriptors: [(&str, &[u8], &[u8]); 9] = [
        ("plain", b"\x08", b"\x4c"),
        ("7-bit picture id", b"\x88\x11", b"\xcc\x12"),
        ("15-bit picture id", b"\x88\x81\x11", b"\xcc\x81\x12"),
        (
            "layer indices, non-flexible mode",
            b"\xa8\x81\x11\x00\x07",
            b"\xec\x81\x12\x40\x08",
        ),
        ("layer indices, flexible mode", b"\xb8\x11\x00", b"\xfc\x12\x40\x02"),
        ("three references", b"\x98\x11", b"\xdc\x12\x03\x05\x06"),
        (
            "sizes in the scalability structure",
            b"\x8a\x11\x10\x01\x40\x00\xf0",
            b"\xcc\x12",
        ),
        (
            "a group of pictures in it",
            b"\x8a\x11\x08\x02\x04\x01\x48\x01\x02",
            b"\xcc\x12",
        ),
        ("an empty scalability structure", b"\x8a\x11\x00", b"\xcc\x12"),
    ];
    for (what, first, second) in descriptors {
        let key = [first, KEY].concat();
        // E, and the picture id where there is one.
        let rest = [&[0x04][..], b"\xbb"].concat();
        let inter = [second, INTER].concat();
        let steps = [Plain(1, &key), Marked(1, &rest), Marked(2, &inter)];
        let expected = [vp9(1, true, &[KEY, b"\xbb"].concat()), vp9(2, false, INTER)];
        assert_eq!(run(Codec::Vp9, &steps), expected, "{what}");
    }
}

#[test]
fn a_hole_loses_the_frame_it_is_in() {
    let key = [b"\x08", KEY].concat();
    let whole = [b"\x0c", KEY].concat();
    let steps = [
        Plain(1, &key),
        Hole,
        Marked(1, b"\x04\xbb".as_slice()),
        Hole,
        Marked(2, b"\x4c\x86\x00"),
        Hole,
        Marked(9, &whole),
    ];
    let expected = [
        Err(Damage::Incomplete),
        Err(Damage::Incomplete),
        vp9(2, false, INTER),
        vp9(9, true, KEY),
    ];
    assert_eq!(run(Codec::Vp9, &steps), expected);
}

#[test]
fn spatial_layers_are_refused_each_picture_once() {
    let base = [&b"\xa8\x11\x00\x01"[..], KEY].concat();
    let above = [&b"\xe8\x11\x03\x01"[..], INTER].concat();
    let top = [&b"\xec\x11\x05\x01"[..], INTER].concat();
    let steps = [
        Plain(1, &base),
        Plain(1, &above),
        Marked(1, &top),
        // After a hole, an upper layer does not begin a picture.
        Hole,
        Plain(2, &above),
        Marked(2, &top),
        Marked(3, b"\x4c\x86\x00"),
    ];
    let expected = [
        Err(Damage::SpatialLayers),
        Err(Damage::Incomplete),
        vp9(3, false, INTER),
    ];
    assert_eq!(run(Codec::Vp9, &steps), expected);
}

#[test]
fn malformed_payloads_cost_their_frame_and_no_other() {
    let cases: [(&[u8], Damage); 16] = [
        (b"\x08", Damage::Truncated),
        (b"\x88", Damage::Truncated),
        (b"\x88\x81", Damage::Truncated),
        (b"\x88\x81\x11", Damage::Truncated),
        (b"\x28", Damage::Truncated),
        (b"\x28\x00", Damage::Truncated),
        (b"\x38\x00", Damage::Truncated),
        (b"\x58\x03\x03", Damage::Truncated),
        (b"\x58\x03\x03\x03\x86\x00", Damage::InvalidHeader),
        (b"\x0a\x10\x01\x40", Damage::Truncated),
        (b"\x0a\x08\xff\x0c\x01\x02\x03", Damage::Truncated),
        (b"\x0a\x08", Damage::Truncated),
        // It does not begin, though nothing was before.
        (b"\x04\x86\x00", Damage::StrayFragment),
        // A keyframe without its sync code, one that ends in its header, and what is no VP9.
        (b"\x0c\x82\x49\x83\x43\x00\x13\xf0\x0e\xf6", Damage::InvalidHeader),
        (b"\x0c\x82\x49", Damage::InvalidHeader),
        (b"\x0c\x00", Damage::InvalidHeader),
    ];
    for (payload, damage) in cases {
        let inter = b"\x4c\x86\x00".as_slice();
        let out = run(Codec::Vp9, &[Marked(0, inter), Marked(1, payload), Marked(2, inter)]);
        let expected = [vp9(0, false, INTER), Err(damage), vp9(2, false, INTER)];
        assert_eq!(out, expected, "{payload:02x?}");
    }
    // A frame that begins again within itself.
    let steps = [Plain(1, b"\x48\x86".as_slice()), Marked(1, b"\x4c\x86\x00")];
    assert_eq!(run(Codec::Vp9, &steps), [Err(Damage::StrayFragment)]);
}
