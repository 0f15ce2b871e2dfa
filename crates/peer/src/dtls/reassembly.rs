//! Plaintext handshake messages (RFC 6347 §4.2): put together from fragments, in order, each once.
//!
//! Done here although rtc-dtls can: it keeps 2 MB of fragments per association, recurses once per fragment, and answers a
//! first fragment that is not whole with a fatal alert. It is handed whole messages only.

/// A chain of RSA-4096 certificates is under 8 KiB; nothing else comes near.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// Messages awaited at once: the longest flight, a server's, has five. With the above: 128 KiB at most, while the handshake lasts.
const AHEAD_MAX: u16 = 8;
/// Separate pieces of one message. 16 KiB in fragments of 256 B, the smallest sensible MTU, are 64.
const PIECES_MAX: usize = 64;
const HEADER_BYTES: usize = 12;

/// RFC 5246 §7.4: the types that mean something here.
pub(super) mod kind {
    pub(in crate::dtls) const CLIENT_HELLO: u8 = 1;
    pub(in crate::dtls) const CERTIFICATE: u8 = 11;
    pub(in crate::dtls) const SERVER_HELLO_DONE: u8 = 14;
    pub(in crate::dtls) const CERTIFICATE_VERIFY: u8 = 15;
    pub(in crate::dtls) const CLIENT_KEY_EXCHANGE: u8 = 16;
    pub(in crate::dtls) const FINISHED: u8 = 20;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: u8,
    sequence: u16,
    pub(super) body: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Reassembly {
    /// The sequence number of the message to hand out next.
    next: u16,
    partial: Vec<Partial>,
}

#[derive(Debug)]
struct Partial {
    message: Message,
    /// Bytes that are there: sorted, apart from each other.
    pieces: Vec<(usize, usize)>,
}

struct Fragment<'a> {
    kind: u8,
    length: usize,
    sequence: u16,
    offset: usize,
    data: &'a [u8],
}

impl Message {
    /// The header of the message as one fragment.
    pub(super) fn header(&self) -> [u8; HEADER_BYTES] {
        let [_, a, b, c] = u32::try_from(self.body.len()).unwrap_or(u32::MAX).to_be_bytes();
        let [high, low] = self.sequence.to_be_bytes();
        [self.kind, a, b, c, high, low, 0, 0, 0, a, b, c]
    }
}

impl Reassembly {
    /// Takes the fragments of one record. True if there was one of a message handed out before: the peer repeats itself.
    pub(super) fn push(&mut self, record_body: &[u8]) -> bool {
        let mut repeated = false;
        let mut rest = record_body;
        while let Some((fragment, after)) = Fragment::split(rest) {
            rest = after;
            match fragment.sequence.checked_sub(self.next) {
                None => repeated = true,
                Some(ahead) if ahead < AHEAD_MAX => self.insert(&fragment),
                Some(_) => {}
            }
        }
        repeated
    }

    /// The next message, when it is whole.
    pub(super) fn pop(&mut self) -> Option<Message> {
        let index = self
            .partial
            .iter()
            .position(|one| one.message.sequence == self.next && one.is_whole())?;
        self.next = self.next.checked_add(1)?;
        Some(self.partial.swap_remove(index).message)
    }

    fn insert(&mut self, fragment: &Fragment<'_>) {
        // Finished is never plaintext: a forged one must not take the place of the real one.
        if fragment.length > MESSAGE_BYTES_MAX || fragment.kind == kind::FINISHED {
            return;
        }
        let known = self
            .partial
            .iter()
            .position(|one| one.message.sequence == fragment.sequence);
        let index = known.unwrap_or_else(|| {
            let body = vec![0; fragment.length];
            let message = Message {
                kind: fragment.kind,
                sequence: fragment.sequence,
                body,
            };
            self.partial.push(Partial {
                message,
                pieces: Vec::new(),
            });
            self.partial.len() - 1
        });
        self.partial[index].insert(fragment);
    }
}

impl Partial {
    fn is_whole(&self) -> bool {
        self.message.body.is_empty() || self.pieces == [(0, self.message.body.len())]
    }

    fn insert(&mut self, fragment: &Fragment<'_>) {
        let consistent = fragment.kind == self.message.kind && fragment.length == self.message.body.len();
        if !consistent {
            // One of the two is forged. The peer repeats itself, a forger may not: so the newer one counts.
            self.message.kind = fragment.kind;
            self.message.body = vec![0; fragment.length];
            self.pieces.clear();
        }
        if self.pieces.len() >= PIECES_MAX {
            return;
        }
        let (mut from, mut to) = (fragment.offset, fragment.offset + fragment.data.len());
        self.message.body[from..to].copy_from_slice(fragment.data);
        self.pieces.retain(|&(start, end)| {
            let touches = start <= to && from <= end;
            if touches {
                (from, to) = (from.min(start), to.max(end));
            }
            !touches
        });
        let place = self.pieces.partition_point(|&(start, _)| start < from);
        self.pieces.insert(place, (from, to));
    }
}

impl<'a> Fragment<'a> {
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let number =
            |at: usize| usize::from(header[at]) << 16 | usize::from(header[at + 1]) << 8 | usize::from(header[at + 2]);
        let (length, offset) = (number(1), number(6));
        let (data, after) = rest.split_at_checked(number(9))?;
        let sequence = u16::from_be_bytes([header[4], header[5]]);
        (offset + data.len() <= length).then_some((
            Self {
                kind: header[0],
                length,
                sequence,
                offset,
                data,
            },
            after,
        ))
    }
}
