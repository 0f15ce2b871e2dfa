//! SCTP packets (RFC 9260 §3), as far as the guard looks into them: a header, chunks, and three kinds' own fields.
//!
//! Must not know any state.

/// Ports, verification tag and checksum.
const HEADER_BYTES: usize = 12;
const CHUNK_HEADER_BYTES: usize = 4;
/// RFC 3758 §3.2.
const FORWARD_TSN: u8 = 192;

/// RFC 9260 §3.2, RFC 3758 §3.1, RFC 6525 §3.1: all that rtc-sctp reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Init,
    InitAck,
    Sack,
    ForwardTsn,
    Reconfig,
    Abort,
    Error,
    Heartbeat,
    CookieEcho,
    /// The SHUTDOWNs and COOKIE ACK.
    Plain,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk<'a> {
    pub(super) kind: Kind,
    pub(super) body: &'a [u8],
}

/// What is no packet, or has a chunk that we do not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Chunk<'a> {
    /// A number in the body.
    pub(super) fn word(&self, offset: usize) -> Option<u32> {
        let bytes = self.body.get(offset..offset + 4)?;
        Some(bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)))
    }

    pub(super) fn half(&self, offset: usize) -> Option<u16> {
        let bytes = self.body.get(offset..offset + 2)?;
        Some(bytes.iter().fold(0, |half, byte| half << 8 | u16::from(*byte)))
    }

    fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Malformed> {
        let length = match bytes {
            [_, _, high, low, ..] => usize::from(*high) << 8 | usize::from(*low),
            _ => return Err(Malformed),
        };
        let body = bytes.get(CHUNK_HEADER_BYTES..length).ok_or(Malformed)?;
        let kind = kind(bytes[0], body).ok_or(Malformed)?;
        // Each begins at a multiple of four (RFC 9260 §3.2).
        let after = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Ok((Self { kind, body }, after))
    }
}

/// None for a chunk of another kind, and for one that is longer than what it holds: rtc-sctp takes the surplus for the next chunk, so
/// that one could hide in another.
fn kind(number: u8, body: &[u8]) -> Option<Kind> {
    let (kind, exact) = match number {
        0 => (Kind::Data, true),
        1 => (Kind::Init, body.get(16..).is_some_and(|rest| are_parameters(rest, 16))),
        2 => (
            Kind::InitAck,
            body.get(16..).is_some_and(|rest| are_parameters(rest, 16)),
        ),
        3 => (Kind::Sack, body.len() == sack_length(body)?),
        4 => (Kind::Heartbeat, are_parameters(body, 1)),
        6 => (Kind::Abort, true),
        // SHUTDOWN.
        7 => (Kind::Plain, body.len() == 4),
        // SHUTDOWN ACK, COOKIE ACK, SHUTDOWN COMPLETE.
        8 | 11 | 14 => (Kind::Plain, body.is_empty()),
        9 => (Kind::Error, true),
        10 => (Kind::CookieEcho, true),
        130 => (Kind::Reconfig, are_parameters(body, 2)),
        FORWARD_TSN => (Kind::ForwardTsn, body.len() >= 4 && body.len().is_multiple_of(4)),
        _ => return None,
    };
    exact.then_some(kind)
}

/// Acknowledged number, window, two counts, and the blocks and numbers counted (RFC 9260 §3.3.4).
fn sack_length(body: &[u8]) -> Option<usize> {
    let counts = body.get(8..12)?;
    let count = |at: usize| usize::from(counts[at]) << 8 | usize::from(counts[at + 1]);
    Some(12 + 4 * (count(0) + count(2)))
}

/// At most so many parameters (RFC 9260 §3.2.1), each as long as rtc-sctp reads it, up to the end or its padding.
fn are_parameters(mut rest: &[u8], most: usize) -> bool {
    /// RFC 6525 §4.4: without the optional numbers of another kind of reset.
    const RECONFIG_RESPONSE: (u16, usize) = (16, 12);
    /// RFC 3758 §3.1.
    const FORWARD_TSN_SUPPORTED: (u16, usize) = (0xC000, 4);
    /// RFC 4895 §3.3: numbers of two bytes.
    const REQUESTED_HMAC: u16 = 0x8004;
    for _ in 0..most {
        let [k0, k1, l0, l1, ..] = *rest else { break };
        let (kind, length) = (u16::from_be_bytes([k0, k1]), usize::from(u16::from_be_bytes([l0, l1])));
        let fixed = [RECONFIG_RESPONSE, FORWARD_TSN_SUPPORTED];
        let legal = fixed.iter().all(|(known, exact)| kind != *known || length == *exact)
            && (kind != REQUESTED_HMAC || length.is_multiple_of(2));
        if !legal || length < 4 || length > rest.len() {
            return false;
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    rest.is_empty()
}

/// Whether FORWARD TSN is among the supported extensions (RFC 5061 §4.2.7), as we have it among ours.
fn forwards(mut parameters: &[u8]) -> bool {
    const SUPPORTED_EXTENSIONS: u16 = 0x8008;
    while let [k0, k1, l0, l1, ..] = *parameters {
        let length = usize::from(u16::from_be_bytes([l0, l1])).max(4);
        let value = parameters.get(4..length).unwrap_or_default();
        if u16::from_be_bytes([k0, k1]) == SUPPORTED_EXTENSIONS && value.contains(&FORWARD_TSN) {
            return true;
        }
        parameters = parameters.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

/// The chunks of a packet; after a malformed one nothing.
pub(super) fn chunks(packet: &[u8]) -> impl Iterator<Item = Result<Chunk<'_>, Malformed>> {
    let mut rest = packet.get(HEADER_BYTES..).ok_or(Malformed);
    std::iter::from_fn(move || {
        let bytes = match rest {
            Ok([]) => return None,
            Ok(bytes) => bytes,
            Err(malformed) => {
                rest = Ok(&[]);
                return Some(Err(malformed));
            }
        };
        let split = Chunk::split(bytes);
        rest = Ok(split.as_ref().map_or(&[], |(_, after)| *after));
        Some(split.map(|(chunk, _)| chunk))
    })
}

/// The INIT that an encoder begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Init {
    tag: u32,
    /// Of its first DATA chunk.
    pub(super) first: u32,
    /// Whether FORWARD TSN was negotiated, as rtc-sctp reads it.
    pub(super) forwards: bool,
}

impl Init {
    /// It stands alone (RFC 9260 §3.3.2).
    pub(super) fn parse(packet: &[u8]) -> Option<Self> {
        let mut chunks = chunks(packet);
        let chunk = chunks.next()?.ok().filter(|chunk| chunk.kind == Kind::Init)?;
        let init = Self::of(&chunk)?;
        chunks.next().is_none().then_some(init)
    }

    /// INIT and INIT ACK begin alike.
    pub(super) fn of(chunk: &Chunk<'_>) -> Option<Self> {
        Some(Self {
            tag: chunk.word(0)?,
            first: chunk.word(12)?,
            forwards: forwards(chunk.body.get(16..)?),
        })
    }
}
