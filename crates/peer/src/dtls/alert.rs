//! Alerts (RFC 5246 §7.2).

use super::record::{self, Content};

const WARNING: u8 = 1;
const FATAL: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alert {
    level: u8,
    pub(super) description: u8,
}

impl Alert {
    pub(super) const CLOSE_NOTIFY: Self = Self {
        level: WARNING,
        description: 0,
    };
    pub(super) const UNEXPECTED_MESSAGE: Self = Self {
        level: FATAL,
        description: 10,
    };
    pub(super) const HANDSHAKE_FAILURE: Self = Self {
        level: FATAL,
        description: 40,
    };
    pub(super) const BAD_CERTIFICATE: Self = Self {
        level: FATAL,
        description: 42,
    };
    pub(super) const INSUFFICIENT_SECURITY: Self = Self {
        level: FATAL,
        description: 71,
    };

    /// A datagram that carries it, its record not numbered yet.
    pub(super) fn to_plaintext(self) -> Vec<u8> {
        let mut datagram = Vec::new();
        record::write(Content::Alert, 0, &[&[self.level, self.description]], &mut datagram);
        datagram
    }
}

/// An alert that ends the handshake: close_notify, whatever its level says, or a fatal one. Warnings mean nothing.
pub(super) fn received(body: &[u8]) -> Option<Alert> {
    match *body {
        [_, 0] => Some(Alert::CLOSE_NOTIFY),
        [FATAL, description] => Some(Alert {
            level: FATAL,
            description,
        }),
        _ => None,
    }
}
