//! A cluster's name.

use std::{fmt, str::FromStr};

/// Which cluster a process belongs to: one DNS label (RFC 1035 §2.3.1), in lower case. It is part of the names in certificates, and of
/// every key in Redis.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterId(String);

impl ClusterId {
    /// A DNS label's length (RFC 1035 §2.3.4).
    pub const BYTES_MAX: usize = 63;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClusterId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let inner = text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let ends = !text.starts_with('-') && !text.ends_with('-');
        if inner && ends && (1..=Self::BYTES_MAX).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error)
        }
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text names no cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cluster's name has 1 to {max} lower-case letters, digits and '-', with no '-' at the ends", max = ClusterId::BYTES_MAX)]
pub struct Error;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_named_by_one_dns_label() {
        let long = "a".repeat(64);
        for text in ["whipcord", "prod-eu-1", "0", &long[..63]] {
            assert_eq!(text.parse::<ClusterId>().map(|id| id.to_string()), Ok(text.to_owned()));
        }
        for text in [
            "",
            "bad name!",
            "-a",
            "a-",
            "a.b",
            "a_b",
            "Prod",
            "a}b",
            "a\n",
            "\u{e9}",
            &long,
        ] {
            assert_eq!(text.parse::<ClusterId>(), Err(Error), "{text:?}");
        }
    }
}
