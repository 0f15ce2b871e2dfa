//! Answers, as rtc-stun reads them.

use super::*;

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
