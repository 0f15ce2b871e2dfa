//! STUN as a controlling ICE agent speaks it (RFC 8489, RFC 8445): checks, and what answers them.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::hmac;

const COOKIE: [u8; 4] = 0x2112_a442_u32.to_be_bytes();
/// Type, length and cookie: what stands before the transaction id.
const BEFORE_ID: usize = 8;
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const ICE_CONTROLLING: u16 = 0x802a;

/// Of one check.
pub(super) type Id = [u8; 12];

/// The id that the next check has: no two of this process are alike.
pub(super) fn next_id() -> Id {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut id = [0; 12];
    id[..4].copy_from_slice(&std::process::id().to_be_bytes());
    id[4..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    id
}

/// A nominating binding request (RFC 8489 §5, RFC 8445 §7.1), from `local` to the agent with these credentials.
pub(super) fn request(id: Id, local: &str, (ufrag, pwd): (&str, &str)) -> Vec<u8> {
    let mut attributes = vec![];
    attribute(&mut attributes, USERNAME, format!("{ufrag}:{local}").as_bytes());
    attribute(&mut attributes, PRIORITY, &0x7e00_00ff_u32.to_be_bytes());
    attribute(&mut attributes, ICE_CONTROLLING, &1_u64.to_be_bytes());
    attribute(&mut attributes, USE_CANDIDATE, &[]);
    let mut request = vec![0, 1];
    // The integrity to come counts: 4 bytes and 20 (RFC 8489 §14.5).
    request.extend((attributes.len() as u16 + 24).to_be_bytes());
    request.extend(COOKIE);
    request.extend(id);
    request.extend(attributes);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, pwd.as_bytes());
    let tag = hmac::sign(&key, &request);
    attribute(&mut request, MESSAGE_INTEGRITY, tag.as_ref());
    request
}

/// The id of the check that this datagram answers with success.
pub(super) fn answered(datagram: &[u8]) -> Option<Id> {
    let (head, rest) = datagram.split_at_checked(BEFORE_ID)?;
    let is_success = head.starts_with(&[1, 1]) && head.ends_with(&COOKIE);
    is_success.then(|| rest.first_chunk().copied()).flatten()
}

fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend(kind.to_be_bytes());
    out.extend((value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}
