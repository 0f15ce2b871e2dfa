//! ICE credentials, candidates and options as SDP carries them (RFC 8839). Must not know connectivity checks.

use std::fmt;

use crate::Refusal;

/// One ICE session's user fragment and password (RFC 8839 §5.4).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub ufrag: String,
    pub pwd: String,
}

impl fmt::Debug for Credentials {
    /// The password is a secret: it signs connectivity checks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("ufrag", &self.ufrag)
            .finish_non_exhaustive()
    }
}

/// `a=ice-options` (RFC 8839 §5.6), those that mean something to us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IceOptions {
    /// Candidates may follow one by one (RFC 8838).
    pub trickle: bool,
    /// RFC 8445 §10: the peer follows RFC 8445, not RFC 5245.
    pub ice2: bool,
}

impl Credentials {
    /// Ufrag 4 to 256, password 22 to 256 `ice-char`s (RFC 8839 §5.4).
    pub(crate) fn parse(ufrag: &str, pwd: &str) -> Result<Self, Refusal> {
        let malformed = |attribute| Refusal::Attribute {
            attribute,
            clause: "RFC 8839 section 5.4",
        };
        if !is_ice_chars(ufrag, 4) {
            return Err(malformed("ice-ufrag"));
        }
        if !is_ice_chars(pwd, 22) {
            return Err(malformed("ice-pwd"));
        }
        Ok(Self {
            ufrag: ufrag.to_owned(),
            pwd: pwd.to_owned(),
        })
    }
}

fn is_ice_chars(text: &str, least: usize) -> bool {
    (least..=256).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

/// Whether this is the value of an `a=candidate` line: `<foundation> <component> <transport> <priority> <address> <port> typ
/// <type> ...` (RFC 8839 §5.1), of whatever transport, address and type. What it says is not read: a lite agent sends no checks
/// (RFC 8445 §2.5).
pub(crate) fn is_candidate(value: &str) -> bool {
    let fields: Vec<&str> = value.split_ascii_whitespace().take(8).collect();
    let [_foundation, component, _transport, priority, _address, port, typ, _type] = fields[..] else {
        return false;
    };
    component.parse::<u16>().is_ok()
        && priority.parse::<u32>().is_ok()
        && port.parse::<u16>().is_ok()
        && typ.eq_ignore_ascii_case("typ")
}

impl IceOptions {
    /// Tags are separated by spaces; older libdatachannel (OBS up to 30.1) writes commas.
    pub(crate) fn parse(value: &str) -> Self {
        let has = |tag| value.split([' ', ',']).any(|option| option == tag);
        Self {
            trickle: has("trickle"),
            ice2: has("ice2"),
        }
    }
}

impl fmt::Display for IceOptions {
    /// The attribute's value; empty without options.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.trickle, self.ice2) {
            (true, true) => "trickle ice2",
            (true, false) => "trickle",
            (false, true) => "ice2",
            (false, false) => "",
        })
    }
}
