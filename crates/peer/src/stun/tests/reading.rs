//! Which requests are understood, and whom they authenticate.

use super::*;

#[test]
fn the_sample_request_of_rfc_5769_is_understood() {
    let request = Request::parse(SAMPLE_REQUEST).expect("well-formed");
    assert_eq!((request.local_ufrag(), request.remote_ufrag()), ("evtj", "h6vY"));
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
