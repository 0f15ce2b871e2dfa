//! rtc-stun is the oracle: it writes what we read, and reads what we write.

mod answering;
mod reading;

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
        prop_assert_eq!((request.local_ufrag(), request.remote_ufrag()), (local.as_str(), remote.as_str()));
        prop_assert_eq!(request.nominates(), nominates);
        prop_assert!(request.unknown().is_empty());
        prop_assert!(request.authenticates(&pwd));
        let mut answer = Vec::new();
        request.success(address, PWD, &mut answer);
        let mut seen = XorMappedAddress::default();
        seen.get_from(&read(&answer)).expect("an address");
        prop_assert_eq!((seen.ip, seen.port), (address.ip().to_canonical(), address.port()));
    }
}
