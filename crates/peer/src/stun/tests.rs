//! rtc-stun is the oracle: it writes what we read, and reads what we write.

use std::net::SocketAddr;

use proptest::prelude::*;
use rtc_stun::{
    attributes::{
        ATTR_ICE_CONTROLLED, ATTR_PRIORITY, ATTR_SOFTWARE, ATTR_USE_CANDIDATE, ATTR_USERNAME, AttrType, RawAttribute,
    },
    error_code::ErrorCodeAttribute,
    fingerprint::FINGERPRINT,
    integrity::MessageIntegrity,
    message::{BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, Getter, Message, Setter},
    uattrs::UnknownAttributes,
    xoraddr::XorMappedAddress,
};

use super::{Error, Request};

const PWD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

/// RFC 5769 §2.1.
const SAMPLE_REQUEST: &[u8] = b"\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x10STUN test client\
    \x00\x24\x00\x04\x6e\x00\x01\xff\
    \x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\
    \x00\x06\x00\x09\x65\x76\x74\x6a\x3a\x68\x36\x76\x59\x20\x20\x20\
    \x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\
    \x80\x28\x00\x04\xe5\x7a\x3b\xcf";
/// RFC 5769 §2.2 and §2.3: XOR-MAPPED-ADDRESS of port 32853 at 192.0.2.1 and at 2001:db8:1234:5678:11:2233:4455:6677.
const SAMPLE_MAPPED_V4: &[u8] = b"\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43";
const SAMPLE_MAPPED_V6: &[u8] =
    b"\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9";

fn message(attributes: &[(AttrType, &[u8])]) -> Message {
    let mut message = Message::new();
    message.set_type(BINDING_REQUEST);
    message.new_transaction_id().expect("randomness");
    message.write_header();
    for (kind, value) in attributes {
        message.add(*kind, value);
    }
    message
}

fn signed(attributes: &[(AttrType, &[u8])], pwd: &str) -> Vec<u8> {
    let mut message = message(attributes);
    sign(&mut message, pwd);
    FINGERPRINT.add_to(&mut message).expect("room");
    message.raw
}

fn sign(message: &mut Message, pwd: &str) {
    let provider = rtc_crypto::default_provider().expect("a provider");
    let integrity = MessageIntegrity::new_raw_integrity_with_provider(pwd.as_bytes(), provider.crypto());
    integrity.add_to(message).expect("room");
}

/// Reads an answer with rtc-stun, which checks its fingerprint and its integrity under `PWD`.
fn read(answer: &[u8]) -> Message {
    let mut message = Message::new();
    message.unmarshal_binary(answer).expect("well-formed");
    FINGERPRINT.check(&message).expect("its fingerprint");
    let provider = rtc_crypto::default_provider().expect("a provider");
    MessageIntegrity::check(&mut message, PWD.as_bytes(), provider.crypto()).expect("its integrity");
    message
}

/// An attribute inserted before the integrity, everything re-measured but not signed again.
fn unsigned(attributes: &[(AttrType, &[u8])]) -> Vec<u8> {
    message(attributes).raw
}

fn minimal() -> [(AttrType, &'static [u8]); 1] {
    [(ATTR_USERNAME, b"server:client")]
}

// === reading ===

#[test]
fn the_sample_request_of_rfc_5769_is_understood() {
    let request = Request::parse(SAMPLE_REQUEST).expect("well-formed");
    assert_eq!(request.local_ufrag(), "evtj");
    assert!(request.controlled() && !request.nominates() && request.unknown().is_empty());
    assert!(request.authenticates(PWD));
    assert!(!request.authenticates("VOkJxbRl1RmTxUk/WvJxBu"));
    assert!(!request.authenticates(""));
}

#[test]
fn every_changed_bit_of_the_sample_request_is_noticed() {
    // With another type FINGERPRINT is an attribute after the integrity, which does not count.
    let fingerprint_type = 8 * 100..8 * 102;
    for bit in (0..8 * SAMPLE_REQUEST.len()).filter(|bit| !fingerprint_type.contains(bit)) {
        let mut datagram = SAMPLE_REQUEST.to_vec();
        datagram[bit / 8] ^= 1 << (bit % 8);
        let accepted = Request::parse(&datagram).is_ok_and(|request| request.authenticates(PWD));
        assert!(!accepted, "bit {bit}");
    }
}

#[test]
fn a_request_with_a_username_alone_is_enough() {
    let datagram = signed(&minimal(), PWD);
    let request = Request::parse(&datagram).expect("well-formed");
    assert!(request.authenticates(PWD) && !request.nominates() && !request.controlled());
    let no_fingerprint = {
        let mut message = message(&minimal());
        sign(&mut message, PWD);
        message.raw
    };
    assert!(Request::parse(&no_fingerprint).expect("well-formed").authenticates(PWD));
    let no_integrity = unsigned(&minimal());
    assert!(!Request::parse(&no_integrity).expect("well-formed").authenticates(PWD));
}

#[test]
fn a_kilobyte_of_attributes_that_nobody_knows_is_accepted() {
    let attributes = [
        (AttrType(0xC070), &[9; 1200][..]),
        (ATTR_USERNAME, b"server:client"),
        (AttrType(0x8070), &[1; 333]),
        (ATTR_USE_CANDIDATE, &[]),
    ];
    let datagram = signed(&attributes, PWD);
    let request = Request::parse(&datagram).expect("well-formed");
    assert!(datagram.len() > 1500 && request.authenticates(PWD) && request.nominates() && request.unknown().is_empty());
}

#[test]
fn the_longest_usernames_are_accepted_and_longer_ones_are_not() {
    let long = format!("{}:{}", "a".repeat(256), "b".repeat(256));
    let datagram = signed(&[(ATTR_USERNAME, long.as_bytes())], PWD);
    let request = Request::parse(&datagram).expect("well-formed");
    assert_eq!(request.local_ufrag().len(), 256);
    for wrong in [
        format!("{}:b", "a".repeat(257)),
        format!("a:{}", "b".repeat(257)),
        "nocolon".to_owned(),
        ":b".to_owned(),
        "a:".to_owned(),
    ] {
        let datagram = signed(&[(ATTR_USERNAME, wrong.as_bytes())], PWD);
        assert_eq!(Request::parse(&datagram).err(), Some(Error::Username), "{wrong}");
    }
    assert_eq!(
        Request::parse(&signed(&[(ATTR_USERNAME, &[0xff, b':', 0xff])], PWD)).err(),
        Some(Error::Username)
    );
    assert_eq!(Request::parse(&signed(&[], PWD)).err(), Some(Error::Username));
}

#[test]
fn what_follows_the_integrity_does_not_count() {
    let mut message = message(&minimal());
    sign(&mut message, PWD);
    message.add(ATTR_USE_CANDIDATE, &[]);
    message.add(ATTR_USERNAME, b"other:other");
    message.add(AttrType(0x7abc), &[1]);
    FINGERPRINT.add_to(&mut message).expect("room");
    let request = Request::parse(&message.raw).expect("well-formed");
    assert!(request.authenticates(PWD) && !request.nominates() && request.unknown().is_empty());
    assert_eq!(request.local_ufrag(), "server");
}

#[test]
fn what_is_not_a_binding_request_is_refused() {
    let datagram = signed(&minimal(), PWD);
    // A binding indication, a success, another method.
    for (kind, name) in [([0, 0x11], "indication"), ([1, 1], "success"), ([0, 3], "allocate")] {
        let mut other = datagram.clone();
        other[..2].copy_from_slice(&kind);
        assert_eq!(Request::parse(&other).err(), Some(Error::NotARequest), "{name}");
    }
}

#[test]
fn malformed_messages_are_refused() {
    let good = signed(&minimal(), PWD);
    for length in 0..good.len() {
        assert_eq!(
            Request::parse(&good[..length]).err(),
            Some(Error::Malformed),
            "cut to {length}"
        );
    }
    let changed = |at: usize, byte: u8| {
        let mut datagram = good.clone();
        datagram[at] = byte;
        Request::parse(&datagram).err()
    };
    assert_eq!(changed(4, 0x22), Some(Error::Malformed), "magic cookie");
    assert_eq!(
        changed(3, good[3] + 4),
        Some(Error::Malformed),
        "length beyond the datagram"
    );
    assert_eq!(
        changed(22, 0xff),
        Some(Error::Malformed),
        "attribute beyond the datagram"
    );
    assert_eq!(
        changed(good.len() - 1, good[good.len() - 1] ^ 1),
        Some(Error::Fingerprint)
    );
    let odd = [&good[..], &[0]].concat();
    assert_eq!(Request::parse(&odd).err(), Some(Error::Malformed), "a byte too many");
    let doubled = [(ATTR_USERNAME, &b"a:b"[..]), (ATTR_USERNAME, b"a:b")];
    assert_eq!(Request::parse(&signed(&doubled, PWD)).err(), Some(Error::Doubled));
    let early = {
        let mut message = message(&minimal());
        FINGERPRINT.add_to(&mut message).expect("room");
        message.add(ATTR_SOFTWARE, b"late");
        message.raw
    };
    assert_eq!(
        Request::parse(&early).err(),
        Some(Error::Malformed),
        "FINGERPRINT is not the last"
    );
}

// === answering ===

#[test]
fn a_success_is_what_rfc_5769_shows_and_rtc_stun_accepts() {
    let request = Request::parse(SAMPLE_REQUEST).expect("well-formed");
    let table = [
        ("192.0.2.1:32853", SAMPLE_MAPPED_V4),
        ("[2001:db8:1234:5678:11:2233:4455:6677]:32853", SAMPLE_MAPPED_V6),
    ];
    for (address, mapped) in table {
        let address: SocketAddr = address.parse().expect("an address");
        let mut answer = vec![1, 2, 3];
        request.success(address, PWD, &mut answer);
        assert_eq!(&answer[20..20 + mapped.len()], mapped);
        let answer = read(&answer);
        assert_eq!(
            (answer.typ, answer.transaction_id.0[..].to_vec()),
            (BINDING_SUCCESS, SAMPLE_REQUEST[8..20].to_vec())
        );
        let mut seen = XorMappedAddress::default();
        seen.get_from(&answer).expect("an address");
        assert_eq!(SocketAddr::new(seen.ip, seen.port), address);
    }
}

#[test]
fn a_v4_mapped_address_is_told_as_ipv4() {
    let request = Request::parse(SAMPLE_REQUEST).expect("well-formed");
    let mut answer = Vec::new();
    request.success(
        "[::ffff:192.0.2.1]:32853".parse().expect("an address"),
        PWD,
        &mut answer,
    );
    assert_eq!(&answer[20..32], SAMPLE_MAPPED_V4);
}

#[test]
fn errors_carry_their_code_reason_and_unknown_attributes() {
    let attributes = [
        (AttrType(0x0003), &[0, 0, 0, 0][..]),
        (AttrType(0x7001), &[]),
        (ATTR_USERNAME, b"server:client"),
        (ATTR_ICE_CONTROLLED, &[0; 8]),
    ];
    let datagram = signed(&attributes, PWD);
    let request = Request::parse(&datagram).expect("well-formed");
    assert_eq!(request.unknown(), [0x0003, 0x7001]);
    assert!(request.controlled());
    let mut answer = Vec::new();
    for (code, reason) in [
        (420, "Unknown Attribute"),
        (487, "Role Conflict"),
        (401, "Unauthorized"),
        (400, ""),
    ] {
        request.error(code, reason, Some(PWD), &mut answer);
        let answer = read(&answer);
        let mut seen = ErrorCodeAttribute::default();
        seen.get_from(&answer).expect("an error");
        assert_eq!(
            (answer.typ, seen.code.0, seen.reason.as_slice()),
            (BINDING_ERROR, code, reason.as_bytes())
        );
        let mut unknown = UnknownAttributes(vec![]);
        let named = unknown.get_from(&answer).map(|()| unknown.0).unwrap_or_default();
        assert_eq!(
            named,
            if code == 420 {
                vec![AttrType(0x0003), AttrType(0x7001)]
            } else {
                vec![]
            }
        );
    }
    request.error(401, "Unauthorized", None, &mut answer);
    let mut unsigned = Message::new();
    unsigned.unmarshal_binary(&answer).expect("well-formed");
    assert!(
        unsigned
            .attributes
            .0
            .iter()
            .all(|RawAttribute { typ, .. }| typ.0 != 0x0008)
    );
}

#[test]
fn a_long_reason_is_cut_at_a_character() {
    let request = Request::parse(SAMPLE_REQUEST).expect("well-formed");
    let mut answer = Vec::new();
    request.error(500, &"é".repeat(300), Some(PWD), &mut answer);
    let mut seen = ErrorCodeAttribute::default();
    seen.get_from(&read(&answer)).expect("an error");
    assert_eq!(
        String::from_utf8(seen.reason).expect("whole characters"),
        "é".repeat(127)
    );
}

#[test]
fn at_most_eight_unknown_attributes_are_named() {
    let kinds: Vec<_> = (0x7000..0x7020).map(AttrType).collect();
    let attributes: Vec<_> = kinds
        .iter()
        .map(|kind| (*kind, &[][..]))
        .chain([(ATTR_USERNAME, &b"server:client"[..])])
        .collect();
    let datagram = signed(&attributes, PWD);
    let request = Request::parse(&datagram).expect("well-formed");
    assert_eq!(request.unknown().len(), 8);
}

/// RFC 8489 §14.6, with truncation; rtc-stun knows no SHA-256.
#[test]
fn sha256_integrity_is_checked_and_answered_in_kind() {
    let sha256 = |message: &[u8], length: u16| {
        let mut covered = message.to_vec();
        let total = u16::try_from(covered.len() - 20).expect("small") + 4 + length;
        covered[2..4].copy_from_slice(&total.to_be_bytes());
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, PWD.as_bytes());
        let tag = aws_lc_rs::hmac::sign(&key, &covered);
        covered.extend([0, 0x1c]);
        covered.extend(length.to_be_bytes());
        covered.extend(&tag.as_ref()[..usize::from(length)]);
        covered
    };
    for length in [16, 20, 32] {
        let datagram = sha256(&unsigned(&minimal()), length);
        let request = Request::parse(&datagram).expect("well-formed");
        assert!(request.authenticates(PWD) && !request.authenticates("other"));
        let mut answer = Vec::new();
        request.success("192.0.2.1:1".parse().expect("an address"), PWD, &mut answer);
        let (before, _) = answer.split_at(32);
        assert_eq!(answer[32..68], sha256(before, 32)[32..]);
    }
    // After MESSAGE-INTEGRITY it is the one that counts.
    let both = {
        let mut message = message(&minimal());
        sign(&mut message, "other");
        sha256(&message.raw, 32)
    };
    assert!(Request::parse(&both).expect("well-formed").authenticates(PWD));
    let short = sha256(&unsigned(&minimal()), 12);
    assert_eq!(Request::parse(&short).err(), Some(Error::Malformed));
}

#[test]
fn reading_and_answering_allocates_nothing() {
    let mut answer = Vec::with_capacity(256);
    let address = "192.0.2.1:32853".parse().expect("an address");
    let allocated = allocation_counter::measure(|| {
        let request = Request::parse(SAMPLE_REQUEST).expect("well-formed");
        assert!(request.authenticates(PWD));
        request.success(address, PWD, &mut answer);
    });
    assert_eq!(allocated.count_total, 0);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(mut datagram in prop::collection::vec(any::<u8>(), 0..200), like_stun in any::<bool>()) {
        if like_stun && datagram.len() >= 20 {
            datagram.truncate(datagram.len() / 4 * 4);
            let length = u16::try_from(datagram.len() - 20).expect("small");
            datagram[..8].copy_from_slice(&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42]);
            datagram[2..4].copy_from_slice(&length.to_be_bytes());
        }
        if let Ok(request) = Request::parse(&datagram) {
            prop_assert!(!request.authenticates(PWD));
        }
    }

    /// The integrity covers 76 bytes and the length up to its own end, at 100.
    #[test]
    fn a_damaged_request_never_panics_and_authenticates_only_where_nothing_signed_changed(
        damage in prop::collection::vec((0..SAMPLE_REQUEST.len(), any::<u8>()), 1..6),
        length in 0..=SAMPLE_REQUEST.len() / 4,
    ) {
        let mut datagram = SAMPLE_REQUEST.to_vec();
        for (at, byte) in damage {
            datagram[at] = byte;
        }
        datagram.truncate((4 * length).max(20));
        let total = u16::try_from(datagram.len() - 20).expect("small");
        datagram[2..4].copy_from_slice(&total.to_be_bytes());
        if Request::parse(&datagram).is_ok_and(|request| request.authenticates(PWD)) {
            prop_assert_eq!(&datagram[4..100], &SAMPLE_REQUEST[4..100]);
        }
    }

    #[test]
    fn what_rtc_stun_writes_is_read(
        local in "[a-zA-Z0-9+/]{1,256}", remote in "[a-zA-Z0-9+/]{1,256}", pwd in "[a-zA-Z0-9+/]{22,64}",
        priority in any::<u32>(), nominates in any::<bool>(), address in any::<SocketAddr>(),
    ) {
        let username = format!("{local}:{remote}");
        let priority_bytes = priority.to_be_bytes();
        let mut attributes = vec![(ATTR_USERNAME, username.as_bytes()), (ATTR_PRIORITY, &priority_bytes[..])];
        if nominates {
            attributes.push((ATTR_USE_CANDIDATE, &[]));
        }
        let datagram = signed(&attributes, &pwd);
        let request = Request::parse(&datagram).expect("well-formed");
        prop_assert_eq!((request.local_ufrag(), request.nominates()), (local.as_str(), nominates));
        prop_assert!(request.unknown().is_empty());
        prop_assert!(request.authenticates(&pwd));
        let mut answer = Vec::new();
        request.success(address, PWD, &mut answer);
        let mut seen = XorMappedAddress::default();
        seen.get_from(&read(&answer)).expect("an address");
        prop_assert_eq!((seen.ip, seen.port), (address.ip().to_canonical(), address.port()));
    }
}
