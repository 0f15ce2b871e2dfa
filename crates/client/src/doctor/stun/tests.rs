use proptest::prelude::*;
use rtc::stun::{attributes::ATTR_USE_CANDIDATE, error_code::ErrorCode, message::MessageType};

use super::*;

const PWD: &str = "ZYXWVUTSRQPONMLKJIHGFEDC";
const ASKED: [Transaction; 2] = [*b"transaction1", *b"transaction2"];

fn check() -> Check {
    Check::new("ours", "AQAAASab", PWD, [7; 8]).unwrap()
}

/// A response as a server makes it, signed with `pwd` if there is one.
fn response(typ: MessageType, transaction: Transaction, mapped: &str, pwd: Option<&str>) -> Message {
    let mapped: SocketAddr = mapped.parse().unwrap();
    let mut message = Message::new();
    message.set_type(typ);
    message.transaction_id = TransactionId(transaction);
    message.write_header();
    let mapped = XorMappedAddress {
        ip: mapped.ip(),
        port: mapped.port(),
    };
    mapped.add_to(&mut message).unwrap();
    let provider = rtc::crypto::default_provider().unwrap();
    if let Some(pwd) = pwd {
        let integrity = MessageIntegrity::new_raw_integrity_with_provider(pwd, provider.crypto());
        integrity.add_to(&mut message).unwrap();
    }
    message
}

#[test]
fn a_request_has_what_ice_asks_for_and_nominates_nothing() {
    let mut request = Message::new();
    request.write(&check().request(ASKED[0]).unwrap()).unwrap();
    assert_eq!((request.typ, request.transaction_id.0), (BINDING_REQUEST, ASKED[0]));
    assert_eq!(request.get(ATTR_USERNAME).unwrap(), b"AQAAASab:ours");
    assert_eq!(request.get(ATTR_PRIORITY).unwrap(), [110, 255, 255, 255]);
    assert_eq!(request.get(ATTR_ICE_CONTROLLING).unwrap(), [7; 8]);
    assert!(!request.contains(ATTR_USE_CANDIDATE));
    FINGERPRINT.check(&request).unwrap();
    let provider = rtc::crypto::default_provider().unwrap();
    MessageIntegrity::check(&mut request, PWD.as_bytes(), provider.crypto()).unwrap();
}

#[test]
fn only_the_server_of_the_answer_can_answer() {
    let success = |transaction, pwd| response(BINDING_SUCCESS, transaction, "203.0.113.9:40000", pwd).raw;
    let mapped = Some("203.0.113.9:40000".parse().unwrap());
    let read = |datagram: &[u8]| check().read(datagram, &ASKED);
    assert_eq!(read(&success(ASKED[1], Some(PWD))), Reply::Success { n: 1, mapped });
    assert_eq!(
        read(&success(ASKED[0], Some("another password, same length"))),
        Reply::Forged
    );
    assert_eq!(read(&success(ASKED[0], None)), Reply::Forged);
    assert_eq!(read(&success(*b"not asked...", Some(PWD))), Reply::Forged);
    assert_eq!(read(b"hello"), Reply::Foreign);
    assert_eq!(
        read(&check().request(ASKED[0]).unwrap()),
        Reply::Foreign,
        "a server's own check"
    );

    let mut tampered = success(ASKED[0], Some(PWD));
    tampered[27] ^= 1;
    assert_eq!(read(&tampered), Reply::Forged);
}

#[test]
fn the_sample_response_of_the_rfc_is_an_answer() {
    // RFC 5769 §2.2.
    let sample = b"\x01\x01\x00\x3c\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
        \x80\x22\x00\x0btest vector \x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43\
        \x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\x8c\x74\x89\xf9\x2a\xf9\xba\x53\xf0\x6b\xe7\xd7\
        \x80\x28\x00\x04\xc0\x7d\x4c\x96";
    let check = Check::new("evtj", "h6vY", "VOkJxbRl1RmTxUk/WvJxBt", [7; 8]).unwrap();
    let asked = [*b"\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"];
    let mapped = Some("192.0.2.1:32853".parse().unwrap());
    assert_eq!(check.read(sample, &asked), Reply::Success { n: 0, mapped });
}

#[test]
fn what_follows_the_signature_does_not_count() {
    let mut message = Message::new();
    message.set_type(BINDING_SUCCESS);
    message.transaction_id = TransactionId(ASKED[0]);
    message.write_header();
    let provider = rtc::crypto::default_provider().unwrap();
    let integrity = MessageIntegrity::new_raw_integrity_with_provider(PWD, provider.crypto());
    integrity.add_to(&mut message).unwrap();
    let evil = XorMappedAddress {
        ip: [203, 0, 113, 66].into(),
        port: 666,
    };
    evil.add_to(&mut message).unwrap();
    assert_eq!(
        check().read(&message.raw, &ASKED),
        Reply::Success { n: 0, mapped: None }
    );
}

#[test]
fn an_error_is_told_in_its_own_words() {
    let mut message = response(BINDING_ERROR, ASKED[0], "203.0.113.9:40000", None);
    let error = ErrorCodeAttribute {
        code: ErrorCode(401),
        reason: b"Un\x1b[2Jauthorized".to_vec(),
    };
    error.add_to(&mut message).unwrap();
    assert_eq!(
        check().read(&message.raw, &ASKED),
        Reply::Error {
            code: 401,
            reason: "Un[2Jauthorized".to_owned()
        }
    );
}

#[test]
fn a_nat_is_seen_by_address_or_port() {
    let at = |address: &str| address.parse().unwrap();
    assert!(!is_translated(at("10.0.0.5:4000"), at("[::ffff:10.0.0.5]:4000")));
    assert!(is_translated(at("10.0.0.5:4000"), at("203.0.113.9:4000")));
    assert!(is_translated(at("10.0.0.5:4000"), at("10.0.0.5:4001")));
}

proptest! {
    #[test]
    fn no_datagram_is_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let not_ours = matches!(check().read(&bytes, &ASKED), Reply::Foreign | Reply::Forged | Reply::Error { .. });
        prop_assert!(not_ours);
    }

    /// A signed response with any bit turned is no success any more, but where the signature itself allows it: behind it.
    #[test]
    fn a_turned_bit_is_noticed(at in 0_usize..56, bit in 0_u8..8) {
        let mut datagram = response(BINDING_SUCCESS, ASKED[0], "203.0.113.9:40000", Some(PWD)).raw;
        prop_assert_eq!(datagram.len(), 56);
        datagram[at] ^= 1 << bit;
        let is_success = matches!(check().read(&datagram, &ASKED), Reply::Success { .. });
        prop_assert!(!is_success);
    }

    #[test]
    fn attributes_in_any_order_are_read_or_refused(attributes in proptest::collection::vec((0_u16..0x30, 0_usize..32), 0..8)) {
        let mut message = Message::new();
        message.set_type(BINDING_SUCCESS);
        message.transaction_id = TransactionId(ASKED[0]);
        message.write_header();
        for (typ, len) in attributes {
            message.add(AttrType(typ), &vec![0; len]);
        }
        prop_assert_eq!(check().read(&message.raw, &ASKED), Reply::Forged);
    }
}
