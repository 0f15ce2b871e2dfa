use proptest::prelude::*;

use super::{Header, Malformed, is_rtcp, is_rtp_or_rtcp, payload, rtx, ssrc_of};

/// Version 2, payload type 96 with marker, sequence 0x1234, timestamp 0x01020304, SSRC 0xaabbccdd.
const FIXED: [u8; 12] = [0x80, 0xe0, 0x12, 0x34, 1, 2, 3, 4, 0xaa, 0xbb, 0xcc, 0xdd];

fn with(flags: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = FIXED.to_vec();
    packet[0] |= flags;
    packet.extend_from_slice(rest);
    packet
}

#[test]
fn a_fixed_header_is_read() {
    let packet = with(0, b"payload");
    let header = Header::parse(&packet).unwrap();
    assert_eq!(
        (header.payload_type, header.marker, header.sequence),
        (96, true, 0x1234)
    );
    assert_eq!(
        (header.timestamp, header.ssrc, header.len()),
        (0x0102_0304, 0xaabb_ccdd, 12)
    );
    assert_eq!(payload(&packet, packet.len(), &header), Ok(&b"payload"[..]));
    assert_eq!(header.extensions(&packet).count(), 0);
}

#[test]
fn contributors_and_an_unknown_extension_are_skipped() {
    let packet = with(0x12, b"csrccsrc\xab\xcd\x00\x01exte|rest");
    let header = Header::parse(&packet).unwrap();
    assert_eq!(header.len(), 28);
    assert_eq!(header.extensions(&packet).count(), 0);
    assert_eq!(payload(&packet, packet.len(), &header), Ok(&b"|rest"[..]));
}

#[test]
fn what_is_cut_short_or_of_another_version_is_malformed() {
    let whole = with(0x12, b"csrccsrc\xbe\xde\x00\x01\x10\x61\x00\x00");
    assert!(Header::parse(&whole).is_ok());
    for len in 0..whole.len() {
        assert_eq!(Header::parse(&whole[..len]), Err(Malformed), "{len} bytes");
    }
    for version in [0x00, 0x40, 0xc0] {
        let mut packet = FIXED;
        packet[0] = version;
        assert_eq!(Header::parse(&packet), Err(Malformed));
    }
}

#[test]
fn one_byte_elements_are_read_over_padding() {
    // id 1 "a", two bytes of padding, id 14 "bcd", padding to the word.
    let packet = with(0x10, b"\xbe\xde\x00\x03\x10a\x00\x00\xe2bcd\x00\x00\x00\x00x");
    let header = Header::parse(&packet).unwrap();
    let elements: Vec<_> = header.extensions(&packet).collect();
    assert_eq!(elements, [(1, &b"a"[..]), (14, &b"bcd"[..])]);
    assert_eq!(header.extension(&packet, 14), Some(&b"bcd"[..]));
    assert_eq!(header.extension(&packet, 2), None);
}

#[test]
fn one_byte_elements_end_at_id_15_and_at_id_0_with_a_length() {
    for stop in [0xf0, 0xf2, 0x02] {
        let packet = with(0x10, &[0xbe, 0xde, 0, 2, 0x10, b'a', stop, 0, 0x20, b'b', 0, 0]);
        let header = Header::parse(&packet).unwrap();
        assert_eq!(
            header.extensions(&packet).collect::<Vec<_>>(),
            [(1, &b"a"[..])],
            "{stop:#x}"
        );
    }
}

#[test]
fn two_byte_elements_may_be_empty_and_carry_any_id() {
    for profile in [0x00, 0x05] {
        let packet = with(
            0x10,
            &[0x10, profile, 0, 3, 15, 1, b'a', 0, 200, 0, 16, 2, b'b', b'c', 0, 0],
        );
        let header = Header::parse(&packet).unwrap();
        let elements: Vec<_> = header.extensions(&packet).collect();
        assert_eq!(elements, [(15, &b"a"[..]), (200, &b""[..]), (16, &b"bc"[..])]);
    }
}

#[test]
fn an_element_that_runs_over_the_extension_is_not_read() {
    for bytes in [
        [0xbe, 0xde, 0, 1, 0x17, b'a', b'b', b'c'],
        [0x10, 0, 0, 1, 1, 3, b'a', b'b'],
        [0x10, 0, 0, 1, 0, 0, 0, 9],
    ] {
        let mut packet = with(0x10, &bytes);
        packet.extend_from_slice(b"payload");
        let header = Header::parse(&packet).unwrap();
        assert_eq!(header.extensions(&packet).count(), 0);
    }
}

#[test]
fn padding_is_removed() {
    let table: [(&[u8], Option<&[u8]>); 6] = [
        (b"data\x01", Some(b"data")),
        (b"data\x00\x00\x03", Some(b"data")),
        (b"\x00\x00\x03", Some(b"")),
        (b"data\x00", None),
        (b"data\x06", None),
        (b"", None),
    ];
    for (bytes, expected) in table {
        let packet = with(0x20, bytes);
        let header = Header::parse(&packet).unwrap();
        assert_eq!(
            payload(&packet, packet.len(), &header),
            expected.ok_or(Malformed),
            "{bytes:?}"
        );
    }
}

#[test]
fn an_end_outside_the_packet_is_malformed() {
    let packet = with(0, b"data");
    let header = Header::parse(&packet).unwrap();
    assert_eq!(payload(&packet, 17, &header), Err(Malformed));
    assert_eq!(payload(&packet, 11, &header), Err(Malformed));
    assert_eq!(payload(&packet, 14, &header), Ok(&b"da"[..]));
}

#[test]
fn rtp_and_rtcp_are_told_apart() {
    // (first byte, second byte, either, RTCP)
    let table = [
        (0x00, 0x01, false, false), // STUN
        (0x16, 0xfe, false, false), // DTLS
        (0x7f, 0xc8, false, false),
        (0xc0, 0xc8, false, false),
        (0x80, 0x60, true, false), // payload type 96
        (0x80, 0xe0, true, false), // the same with the marker
        (0x90, 0x00, true, false),
        (0x80, 0x3f, true, false), // 63
        (0x80, 0xbf, true, false), // 63 with the marker
        (0x80, 0xc0, true, true),  // 192
        (0x81, 0xc8, true, true),  // sender report
        (0xbf, 0xce, true, true),  // payload-specific feedback
        (0x80, 0xdf, true, true),  // 223
    ];
    for (first, second, either, control) in table {
        let datagram = [first, second, 0, 0, 0, 0, 0, 4, 0, 0, 0, 8];
        assert_eq!(is_rtp_or_rtcp(&datagram), either, "{first:#x} {second:#x}");
        assert_eq!(is_rtcp(&datagram), control, "{first:#x} {second:#x}");
        assert_eq!(ssrc_of(&datagram), either.then_some(if control { 4 } else { 8 }));
    }
    assert_eq!(ssrc_of(&FIXED[..11]), None);
    assert_eq!(ssrc_of(&[0x80, 0xc8, 0, 0, 0, 0, 0]), None);
    assert!(!is_rtp_or_rtcp(&[]) && !is_rtcp(&[0x80]));
}

#[test]
fn a_retransmission_names_its_original() {
    assert_eq!(rtx::unwrap(&[0x12, 0x34, 5, 6]), Some((0x1234, &[5, 6][..])));
    assert_eq!(rtx::unwrap(&[0x12, 0x34]), Some((0x1234, &[][..])));
    assert_eq!(rtx::unwrap(&[0x12]), None);
    assert_eq!(rtx::unwrap(&[]), None);
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_without_a_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..120),
        profile in prop::option::of(prop::sample::select(&[0xbede_u16, 0x1000][..])),
        end: prop::sample::Index,
    ) {
        if let (Some(profile), 16..) = (profile, bytes.len()) {
            bytes[0] = 0x90 | bytes[0] & 0x20;
            bytes[12..14].copy_from_slice(&profile.to_be_bytes());
            let words = bytes.len() as u16 / 8;
            bytes[14..16].copy_from_slice(&words.to_be_bytes());
        }
        let _ = (is_rtcp(&bytes), ssrc_of(&bytes), rtx::unwrap(&bytes));
        if let Ok(header) = Header::parse(&bytes) {
            prop_assert!(header.len() <= bytes.len());
            for (id, data) in header.extensions(&bytes) {
                prop_assert!(id > 0 && data.len() <= 255);
            }
            let _ = payload(&bytes, end.index(bytes.len() + 2), &header);
            // Never with the wrong datagram either.
            let _ = (header.extensions(&[]).count(), payload(&[], 0, &header));
        }
    }
}
