//! SCTP packets (RFC 9260 §3), as far as the guard looks into them: a header, chunks, and three kinds' own fields.
//!
//! Must not know any state.

/// Ports, verification tag and checksum.
const HEADER_BYTES: usize = 12;
const CHUNK_HEADER_BYTES: usize = 4;

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
    /// HEARTBEAT, the SHUTDOWNs and the COOKIEs.
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
        let kind = match bytes[0] {
            0 => Kind::Data,
            1 => Kind::Init,
            2 => Kind::InitAck,
            3 => Kind::Sack,
            6 => Kind::Abort,
            9 => Kind::Error,
            // HEARTBEAT, SHUTDOWN, SHUTDOWN ACK, COOKIE ECHO, COOKIE ACK, SHUTDOWN COMPLETE.
            4 | 7 | 8 | 10 | 11 | 14 => Kind::Plain,
            130 => Kind::Reconfig,
            192 => Kind::ForwardTsn,
            _ => return Err(Malformed),
        };
        // Each begins at a multiple of four (RFC 9260 §3.2).
        let after = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Ok((Self { kind, body }, after))
    }
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
        })
    }
}
