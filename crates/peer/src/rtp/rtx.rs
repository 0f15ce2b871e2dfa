//! Retransmission streams (RFC 4588 §4).

/// The sequence number a retransmission stands for, and its payload. None for the empty packets that some senders pad a probe with.
pub fn unwrap(payload: &[u8]) -> Option<(u16, &[u8])> {
    let (sequence, original) = payload.split_first_chunk()?;
    Some((u16::from_be_bytes(*sequence), original))
}
