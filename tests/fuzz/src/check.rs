//! What comes back from a candidate: the input as a datagram, and as the attributes of a response to our own request.

use whipcord_client::doctor::stun::{Check, Reply, Transaction};

const ASKED: [Transaction; 2] = [*b"transaction1", *b"transaction2"];
/// Success and error of Binding (RFC 8489 §5).
const RESPONSES: [[u8; 2]; 2] = [[0x01, 0x01], [0x01, 0x11]];

pub fn run(data: &[u8]) {
    let check = Check::new("ours", "AQAAASab", "VOkJxbRl1RmTxUk/WvJxBt", [7; 8]).expect("cryptography is built in");
    read(&check, data);
    for kind in RESPONSES {
        read(&check, &response(kind, data));
    }
}

/// Nobody who does not know the password is believed.
fn read(check: &Check, datagram: &[u8]) {
    match check.read(datagram, &ASKED) {
        Reply::Success { n, .. } => assert!(n < ASKED.len() && is_recorded(datagram), "a forged answer is believed"),
        Reply::Error { reason, .. } => assert!(!reason.chars().any(char::is_control) && reason.chars().count() <= 100),
        Reply::Forged | Reply::Foreign => {}
    }
}

/// The one that a server signed with the password, which is in the corpus: up to the end of its signature, and but for the
/// header's length, which counts what may follow.
fn is_recorded(datagram: &[u8]) -> bool {
    const SIGNED: &[u8] = include_bytes!("../corpus/check/signed");
    /// Header 20, XOR-MAPPED-ADDRESS 12, MESSAGE-INTEGRITY 24.
    const SIGNED_LEN: usize = 56;
    let signed = |message: &[u8]| message.get(..SIGNED_LEN).map(|m| [&m[..2], &m[4..]].concat());
    signed(datagram) == signed(SIGNED)
}

fn response(kind: [u8; 2], attributes: &[u8]) -> Vec<u8> {
    /// What any UDP datagram can hold.
    const ATTRIBUTES_MAX: usize = 60_000;
    let attributes = &attributes[..attributes.len().min(ATTRIBUTES_MAX) / 4 * 4];
    let mut response = kind.to_vec();
    response.extend((attributes.len() as u16).to_be_bytes());
    response.extend([0x21, 0x12, 0xa4, 0x42]);
    response.extend(ASKED[0]);
    response.extend(attributes);
    response
}
