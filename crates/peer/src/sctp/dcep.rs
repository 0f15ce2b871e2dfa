//! The Data Channel Establishment Protocol (RFC 8832 §5): one message opens a channel, one confirms it.

/// RFC 8832 §8.2.1.
const OPEN: u8 = 0x03;
pub(super) const ACK: [u8; 1] = [0x02];

/// What of a label is kept, for logs. RFC 8832 lets one have 64 KiB; real ones are a word.
const LABEL_BYTES_MAX: usize = 128;

/// How messages arrive, in both directions (RFC 8832 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reliability {
    Reliable,
    Retransmits(u32),
    Milliseconds(u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) unordered: bool,
    pub(super) reliability: Reliability,
    /// At most [`LABEL_BYTES_MAX`] bytes of it.
    pub(super) label: String,
}

impl Open {
    /// None if it is another message, or none.
    pub(super) fn parse(message: &[u8]) -> Option<Self> {
        let (header, rest) = message.split_first_chunk::<12>()?;
        let [OPEN, kind, _, _, p0, p1, p2, p3, l0, l1, q0, q1] = *header else {
            return None;
        };
        let parameter = u32::from_be_bytes([p0, p1, p2, p3]);
        let reliability = match kind & 0x7F {
            0 => Reliability::Reliable,
            1 => Reliability::Retransmits(parameter),
            2 => Reliability::Milliseconds(parameter),
            _ => return None,
        };
        let label = rest.get(..usize::from(u16::from_be_bytes([l0, l1])))?;
        let protocol = usize::from(u16::from_be_bytes([q0, q1]));
        if rest.len() - label.len() < protocol {
            return None;
        }
        let mut label = String::from_utf8_lossy(label).into_owned();
        label.truncate(label.floor_char_boundary(LABEL_BYTES_MAX));
        Some(Self {
            unordered: kind & 0x80 != 0,
            reliability,
            label,
        })
    }
}
