//! The RTP header (RFC 3550 §5.1) and its extensions (RFC 8285).

/// A fixed header, bytes.
const FIXED_LEN: usize = 12;
/// The extension's own header, bytes.
const EXTENSION_HEADER_LEN: usize = 4;

/// Not an RTP packet, or cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a well-formed RTP packet")]
pub struct Malformed;

/// A header, as offsets into its datagram: it borrows nothing, so that the datagram can be decrypted in place meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub payload_type: u8,
    pub marker: bool,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    padded: bool,
    extension_at: usize,
    len: usize,
}

impl Header {
    /// Parses the clear part; the datagram may still be encrypted.
    pub fn parse(datagram: &[u8]) -> Result<Self, Malformed> {
        let fixed: &[u8; FIXED_LEN] = datagram.first_chunk().ok_or(Malformed)?;
        if fixed[0] >> 6 != 2 {
            return Err(Malformed);
        }
        let csrcs = usize::from(fixed[0] & 0x0f);
        let extension_at = FIXED_LEN + 4 * csrcs;
        let mut len = extension_at;
        if fixed[0] & 0x10 != 0 {
            let extension: &[u8; EXTENSION_HEADER_LEN] = datagram
                .get(extension_at..)
                .and_then(|rest| rest.first_chunk())
                .ok_or(Malformed)?;
            len += EXTENSION_HEADER_LEN + 4 * usize::from(u16::from_be_bytes([extension[2], extension[3]]));
        }
        if len > datagram.len() {
            return Err(Malformed);
        }
        Ok(Self {
            payload_type: fixed[1] & 0x7f,
            marker: fixed[1] & 0x80 != 0,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            padded: fixed[0] & 0x20 != 0,
            extension_at,
            len,
        })
    }

    /// Bytes of the header with its CSRCs and extension: where the payload begins.
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The header extension's elements. `datagram` is the one that was parsed; of another there are none, or others.
    pub fn extensions<'a>(&self, datagram: &'a [u8]) -> Extensions<'a> {
        let extension = datagram
            .get(self.extension_at..self.len)
            .and_then(|extension| extension.split_first_chunk::<EXTENSION_HEADER_LEN>());
        let Some((&[high, low, ..], rest)) = extension else {
            return Extensions {
                form: Form::OneByte,
                rest: &[],
            };
        };
        match u16::from_be_bytes([high, low]) {
            0xbede => Extensions {
                form: Form::OneByte,
                rest,
            },
            // The low 4 bits are for applications (RFC 8285 §4.3).
            profile if profile & 0xfff0 == 0x1000 => Extensions {
                form: Form::TwoByte,
                rest,
            },
            _ => Extensions {
                form: Form::OneByte,
                rest: &[],
            },
        }
    }

    /// The first element with this id.
    pub fn extension<'a>(&self, datagram: &'a [u8], id: u8) -> Option<&'a [u8]> {
        self.extensions(datagram)
            .find(|element| element.0 == id)
            .map(|element| element.1)
    }
}

/// What `header` precedes in the decrypted `datagram`, up to `end`, without padding. A packet of padding alone has an empty payload.
pub fn payload<'a>(datagram: &'a [u8], end: usize, header: &Header) -> Result<&'a [u8], Malformed> {
    let payload = datagram.get(header.len..end).ok_or(Malformed)?;
    if !header.padded {
        return Ok(payload);
    }
    // The last byte counts the padding, itself included (RFC 3550 §5.1).
    let padding = usize::from(*payload.last().ok_or(Malformed)?);
    if padding == 0 {
        return Err(Malformed);
    }
    payload
        .len()
        .checked_sub(padding)
        .map(|len| &payload[..len])
        .ok_or(Malformed)
}

#[derive(Clone, Copy, Debug)]
enum Form {
    /// RFC 8285 §4.2.
    OneByte,
    /// RFC 8285 §4.3.
    TwoByte,
}

/// Elements (id 1-255, data) in their order. Ends at the first that is cut short.
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    form: Form,
    rest: &'a [u8],
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // A zero byte between elements is padding.
        while let [0, rest @ ..] = self.rest {
            self.rest = rest;
        }
        let (id, len, rest) = match (self.form, self.rest) {
            (Form::OneByte, [byte, rest @ ..]) => (byte >> 4, usize::from(byte & 0x0f) + 1, rest),
            (Form::TwoByte, [id, len, rest @ ..]) => (*id, usize::from(*len), rest),
            _ => return None,
        };
        // With one-byte headers, id 0 with a length and id 15 end the extension (RFC 8285 §4.2).
        if matches!(self.form, Form::OneByte) && (id == 0 || id == 15) {
            self.rest = &[];
            return None;
        }
        let Some((data, rest)) = rest.split_at_checked(len) else {
            self.rest = &[];
            return None;
        };
        self.rest = rest;
        Some((id, data))
    }
}
