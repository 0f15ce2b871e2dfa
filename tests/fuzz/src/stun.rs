//! STUN requests: the input as a datagram, and as the attributes of one that is well formed and signed.

use std::net::SocketAddr;

use aws_lc_rs::hmac;
use whipcord_peer::stun::{Error, Request};

const PWD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

pub fn run(data: &[u8]) {
    check(data);
    check(&signed(data, PWD));
}

fn check(datagram: &[u8]) {
    let Ok(request) = Request::parse(datagram) else { return };
    for ufrag in [request.local_ufrag(), request.remote_ufrag()] {
        assert!((1..=256).contains(&ufrag.len()));
    }
    assert!(!(request.authenticates(PWD) && request.authenticates("another")));
    let mut out = vec![];
    for mapped in ["192.0.2.1:32853", "[2001:db8::1]:32853"] {
        let mapped: SocketAddr = mapped.parse().expect("a literal address");
        request.success(mapped, PWD, &mut out);
        assert_response(datagram, &out);
    }
    for (code, pwd) in [(400, None), (420, Some(PWD)), (487, Some(PWD))] {
        request.error(code, "no", pwd, &mut out);
        assert_response(datagram, &out);
    }
}

/// A well-formed message of ours: the reader finds nothing wrong with it but that it is no request.
fn assert_response(request: &[u8], response: &[u8]) {
    assert_eq!(Request::parse(response).err(), Some(Error::NotARequest));
    assert_eq!(request[4..20], response[4..20], "another transaction");
    assert!(
        response.len() <= 256,
        "an answer must not be much longer than the request"
    );
}

/// A binding request of these attributes and MESSAGE-INTEGRITY (RFC 8489 §14.5).
pub fn signed(attributes: &[u8], pwd: &str) -> Vec<u8> {
    /// What any UDP datagram can hold, less the integrity.
    const ATTRIBUTES_MAX: usize = 60_000;
    let attributes = &attributes[..attributes.len().min(ATTRIBUTES_MAX) / 4 * 4];
    let mut request = vec![0, 1];
    // The header's length counts the 24 bytes of the integrity already.
    request.extend((attributes.len() as u16 + 24).to_be_bytes());
    request.extend([0x21, 0x12, 0xa4, 0x42]);
    request.extend(*b"transaction.");
    request.extend(attributes);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, pwd.as_bytes());
    let tag = hmac::sign(&key, &request);
    request.extend([0, 8, 0, 20]);
    request.extend(tag.as_ref());
    request
}
