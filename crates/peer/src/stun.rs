//! STUN binding requests and their answers (RFC 8489), as ICE uses them (RFC 8445 §7).
//!
//! Over borrowed bytes, without allocation: a check arrives for every consent of every session, and anyone can send one.
//! (rtc-stun copies each attribute into a `Vec` of its own and needs a mutable message to check its integrity; it is the
//! oracle in the tests.) Not here: which session a request belongs to, whether a nomination is followed.

mod attributes;
mod integrity;
mod response;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use attributes::{Attributes, kind};
use integrity::Integrity;

/// USERNAME is `local:remote`, each ufrag up to 256 characters (RFC 8839 §5.4). RFC 8489 §14.3 stops at 508 bytes, which two
/// longest ufrags would pass.
const USERNAME_BYTES_MAX: usize = 256 + 1 + 256;
/// Unknown comprehension-required attributes that a 420 names. A client that has more of them learns of the rest when it tries again.
const UNKNOWN_MAX: usize = 8;
const HEADER_BYTES: usize = 20;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const BINDING_REQUEST: u16 = 0x0001;

/// A well-formed binding request; its integrity is not checked yet.
///
/// PRIORITY and ICE-CONTROLLING are not read, and may be missing: some encoders send neither. Datagrams over 1 kB and unknown
/// comprehension-optional attributes are as good as any.
#[derive(Debug)]
pub struct Request<'a> {
    datagram: &'a [u8],
    local_ufrag: &'a str,
    remote_ufrag: &'a str,
    integrity: Integrity<'a>,
    nominates: bool,
    controlled: bool,
    unknown: [u16; UNKNOWN_MAX],
    unknown_count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An indication (a keep-alive), a response, or another method: nothing to answer.
    #[error("not a STUN binding request")]
    NotARequest,
    #[error("not a well-formed STUN message")]
    Malformed,
    #[error("an attribute that must be unique appears twice")]
    Doubled,
    #[error("USERNAME is missing, or is not two ufrags")]
    Username,
    #[error("FINGERPRINT does not match")]
    Fingerprint,
}

impl<'a> Request<'a> {
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Error> {
        check_header(datagram)?;
        let mut request = Self {
            datagram,
            local_ufrag: "",
            remote_ufrag: "",
            integrity: Integrity::None,
            nominates: false,
            controlled: false,
            unknown: [0; UNKNOWN_MAX],
            unknown_count: 0,
        };
        for attribute in Attributes::of(datagram) {
            let attribute = attribute?;
            // RFC 8489 §14.7: FINGERPRINT is the last attribute.
            if attribute.kind == kind::FINGERPRINT {
                integrity::check_fingerprint(datagram, &attribute)?;
            } else if request.integrity.admits(attribute.kind) {
                request.take(&attribute)?;
            }
        }
        if request.local_ufrag.is_empty() {
            return Err(Error::Username);
        }
        Ok(request)
    }

    /// USERNAME's part before the colon: the ufrag of the one asked.
    pub fn local_ufrag(&self) -> &'a str {
        self.local_ufrag
    }

    /// USERNAME's part after the colon: the ufrag of the one that asks.
    pub fn remote_ufrag(&self) -> &'a str {
        self.remote_ufrag
    }

    /// USE-CANDIDATE is present (RFC 8445 §7.1.2).
    pub fn nominates(&self) -> bool {
        self.nominates
    }

    /// ICE-CONTROLLED is present: the client takes itself for the controlled side. So are we, and a lite agent can be nothing
    /// else (RFC 8445 §6.1.1), so the conflict of §7.3.1.1 always ends the same way: as if our tie-breaker were the smaller
    /// one, with [`Request::error`] 487, upon which the client switches (§7.2.5.1).
    pub fn controlled(&self) -> bool {
        self.controlled
    }

    /// Comprehension-required attributes that we do not know: to be answered by [`Request::error`] 420 (RFC 8489 §6.3.1),
    /// once the request has authenticated.
    pub fn unknown(&self) -> &[u16] {
        &self.unknown[..self.unknown_count]
    }

    /// MESSAGE-INTEGRITY-SHA256 if it is there, else MESSAGE-INTEGRITY, under `pwd`; false without either. Constant time.
    pub fn authenticates(&self, pwd: &str) -> bool {
        self.integrity.verify(self.datagram, pwd)
    }

    /// Success with XOR-MAPPED-ADDRESS, integrity of the request's kind, FINGERPRINT, written into `out` (cleared first).
    pub fn success(&self, mapped: SocketAddr, pwd: &str, out: &mut Vec<u8>) {
        response::success(self, mapped, pwd, out);
    }

    /// An error response, with integrity where `pwd` is given. A 420 names [`Request::unknown`].
    pub fn error(&self, code: u16, reason: &str, pwd: Option<&str>, out: &mut Vec<u8>) {
        response::error(self, code, reason, pwd, out);
    }

    fn transaction(&self) -> &'a [u8] {
        &self.datagram[8..HEADER_BYTES]
    }

    fn take(&mut self, attribute: &attributes::Attribute<'a>) -> Result<(), Error> {
        match attribute.kind {
            kind::USERNAME => self.take_username(attribute.value),
            kind::MESSAGE_INTEGRITY | kind::MESSAGE_INTEGRITY_SHA256 => self.integrity.take(attribute),
            kind::USE_CANDIDATE => {
                self.nominates = true;
                Ok(())
            }
            kind::ICE_CONTROLLED => {
                self.controlled = true;
                Ok(())
            }
            unknown if kind::must_be_understood(unknown) => {
                if let Some(slot) = self.unknown.get_mut(self.unknown_count) {
                    *slot = unknown;
                    self.unknown_count += 1;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn take_username(&mut self, value: &'a [u8]) -> Result<(), Error> {
        if !self.local_ufrag.is_empty() {
            return Err(Error::Doubled);
        }
        if value.len() > USERNAME_BYTES_MAX {
            return Err(Error::Username);
        }
        let username = std::str::from_utf8(value).map_err(|_| Error::Username)?;
        let (local, remote) = username.split_once(':').ok_or(Error::Username)?;
        if !is_ufrag(local) || !is_ufrag(remote) {
            return Err(Error::Username);
        }
        (self.local_ufrag, self.remote_ufrag) = (local, remote);
        Ok(())
    }
}

fn check_header(datagram: &[u8]) -> Result<(), Error> {
    let Some((header, body)) = datagram.split_at_checked(HEADER_BYTES) else {
        return Err(Error::Malformed);
    };
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[4..8] != MAGIC_COOKIE || length != body.len() || !length.is_multiple_of(4) {
        return Err(Error::Malformed);
    }
    if u16::from_be_bytes([header[0], header[1]]) == BINDING_REQUEST {
        Ok(())
    } else {
        Err(Error::NotARequest)
    }
}

/// At most 256 characters (RFC 8839 §5.4). Which ones is not asked: ours are looked up, and the client's is compared with what it told.
fn is_ufrag(text: &str) -> bool {
    (1..=256).contains(&text.len())
}
