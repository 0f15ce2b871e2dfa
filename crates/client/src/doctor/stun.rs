//! An ICE connectivity check (RFC 8445 §7), as text ⇄ values: the request, and what a datagram says to it. It sends nothing.
//!
//! The encoding is the `rtc` crate's, so that it does not share our server's mistakes.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use rtc::{
    crypto::RTCCryptoProvider,
    stun::{
        attributes::{ATTR_ERROR_CODE, ATTR_MESSAGE_INTEGRITY, ATTR_PRIORITY, ATTR_USERNAME, AttrType},
        error_code::ErrorCodeAttribute,
        fingerprint::FINGERPRINT,
        integrity::MessageIntegrity,
        message::{BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, Getter as _, Message, Setter as _, TransactionId},
        xoraddr::XorMappedAddress,
    },
};

/// RFC 8445 §16.1; the `rtc` crate has its neighbour only.
const ATTR_ICE_CONTROLLING: AttrType = AttrType(0x802a);
/// A host candidate's that the server has not heard of, so a peer-reflexive one's (RFC 8445 §7.1.1): 110 << 24 | 65535 << 8 | 255.
const PRIORITY: u32 = 110 << 24 | 0xffff << 8 | 0xff;
/// An HMAC-SHA1.
const INTEGRITY_BYTES: usize = 20;
/// What is shown of an error's words.
const REASON_CHARS_MAX: usize = 100;

/// One side of the pair of credentials; the other is in the answer.
pub struct Check {
    username: String,
    pwd: String,
    tie_breaker: [u8; 8],
    provider: Arc<dyn RTCCryptoProvider>,
}

impl fmt::Debug for Check {
    /// The password is shown nowhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

pub type Transaction = [u8; 12];

/// What a datagram from a candidate's address says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Signed by who made the answer. `n` is the transaction's place among those asked.
    Success {
        n: usize,
        mapped: Option<SocketAddr>,
    },
    Error {
        code: u16,
        reason: String,
    },
    /// A STUN response, but not to our request, or not signed with the session's password.
    Forged,
    /// No STUN response: a server's own check, DTLS, or another protocol.
    Foreign,
}

/// The program was built without cryptography.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("an ICE check cannot be made: no cryptography for it is built in")]
pub struct NoCheck;

impl Check {
    /// `local_ufrag`: of our offer. `remote_ufrag`, `pwd`: of the answer. The username has the receiver's first (RFC 8445 §7.2.2).
    pub fn new(local_ufrag: &str, remote_ufrag: &str, pwd: &str, tie_breaker: [u8; 8]) -> Result<Self, NoCheck> {
        Ok(Self {
            username: format!("{remote_ufrag}:{local_ufrag}"),
            pwd: pwd.to_owned(),
            tie_breaker,
            provider: rtc::crypto::default_provider().map_err(|_| NoCheck)?,
        })
    }

    /// No USE-CANDIDATE: it would nominate the pair, and the server would wait for DTLS on it.
    pub fn request(&self, transaction: Transaction) -> Result<Vec<u8>, NoCheck> {
        let mut message = Message::new();
        message.set_type(BINDING_REQUEST);
        message.transaction_id = TransactionId(transaction);
        message.write_header();
        message.add(ATTR_USERNAME, self.username.as_bytes());
        message.add(ATTR_PRIORITY, &PRIORITY.to_be_bytes());
        message.add(ATTR_ICE_CONTROLLING, &self.tie_breaker);
        let key = self.pwd.as_bytes();
        let integrity = MessageIntegrity::new_raw_integrity_with_provider(key, self.provider.crypto());
        integrity.add_to(&mut message).map_err(|_| NoCheck)?;
        FINGERPRINT.add_to(&mut message).map_err(|_| NoCheck)?;
        Ok(message.raw)
    }

    /// `asked`: the transactions of the requests that went to where this came from.
    pub fn read(&self, datagram: &[u8], asked: &[Transaction]) -> Reply {
        let mut message = Message::new();
        if message.write(datagram).is_err() || !(message.typ == BINDING_SUCCESS || message.typ == BINDING_ERROR) {
            return Reply::Foreign;
        }
        let Some(n) = asked.iter().position(|asked| *asked == message.transaction_id.0) else {
            return Reply::Forged;
        };
        if message.typ == BINDING_ERROR {
            // An error need not be signed: a server that does not know the username has no key (RFC 8489 §9.1.3).
            return error(&message);
        }
        if !self.authenticates(&mut message) {
            return Reply::Forged;
        }
        let mut mapped = XorMappedAddress::default();
        let mapped = mapped
            .get_from(&message)
            .is_ok()
            .then(|| SocketAddr::new(mapped.ip, mapped.port));
        Reply::Success { n, mapped }
    }

    /// Checks the signature, and leaves only what is signed: what follows it is anybody's (RFC 8489 §14.5).
    fn authenticates(&self, message: &mut Message) -> bool {
        let attributes = &message.attributes.0;
        let Some(at) = attributes.iter().position(|a| a.typ == ATTR_MESSAGE_INTEGRITY) else {
            return false;
        };
        let is_whole = attributes[at].value.len() == INTEGRITY_BYTES;
        let is_signed =
            is_whole && MessageIntegrity::check(message, self.pwd.as_bytes(), self.provider.crypto()).is_ok();
        message.attributes.0.truncate(at);
        is_signed
    }
}

fn error(message: &Message) -> Reply {
    let mut attribute = ErrorCodeAttribute::default();
    if !message.contains(ATTR_ERROR_CODE) || attribute.get_from(message).is_err() {
        return Reply::Forged;
    }
    let reason = String::from_utf8_lossy(&attribute.reason);
    let reason = reason.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX);
    Reply::Error {
        code: attribute.code.0,
        reason: reason.collect(),
    }
}

/// Whether a NAT lies between, as far as the two addresses tell.
pub(super) fn is_translated(local: SocketAddr, mapped: SocketAddr) -> bool {
    let canonical = |address: SocketAddr| (IpAddr::to_canonical(&address.ip()), address.port());
    canonical(local) != canonical(mapped)
}

#[cfg(test)]
mod tests;
