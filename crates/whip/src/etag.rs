//! Entity-tags and `If-Match` (RFC 9110 §8.8.3, §13.1.1). The entity is the ICE session (RFC 9725 §4.3.1).
//!
//! Must not know statuses: whoever renders a [`Verdict`] does.

use std::fmt;

/// Entity-tags read from one request. A client has one ICE session; the rest is ignored.
const TAGS_MAX: usize = 16;

/// The strong entity-tag of an ICE session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityTag(String);

/// An ICE session's name that cannot be an entity-tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an ICE session's name is 1 to 64 characters of A-Z a-z 0-9 . _ ~ -")]
pub struct InvalidName;

/// The precondition of a PATCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// No such header.
    Missing,
    /// `*`, or `"*"` as the figures of RFC 9725 §4.3.3 print it. We issue no such tag, so nothing is lost.
    Any,
    /// The ICE sessions named by strong entity-tags; empty where all were weak or malformed.
    Sessions(Vec<String>),
}

/// Whether a PATCH may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Matches,
    /// The request needs an `If-Match` (RFC 6585 §3).
    Required,
    /// The request is for another ICE session.
    Stale,
}

impl EntityTag {
    /// # Errors
    /// [`InvalidName`] for what would need quoting, and for what a lenient reader might take for `*` or a list.
    pub fn new(ice_session: &str) -> Result<Self, InvalidName> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._~-".contains(&b);
        if (1..=64).contains(&ice_session.len()) && ice_session.bytes().all(is_plain) {
            Ok(Self(ice_session.to_owned()))
        } else {
            Err(InvalidName)
        }
    }

    /// The ICE session's name.
    pub fn ice_session(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntityTag {
    /// The header's value, quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

impl IfMatch {
    /// Takes the values of all `If-Match` header lines.
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut sessions = Vec::new();
        let mut is_missing = true;
        for value in values {
            is_missing = false;
            let mut rest = value;
            while let Some(member) = Member::next(&mut rest) {
                match member {
                    Member::Strong(b"*") | Member::Star => return Self::Any,
                    Member::Strong(tag) if sessions.len() < TAGS_MAX => {
                        sessions.extend(std::str::from_utf8(tag).ok().map(str::to_owned));
                    }
                    Member::Strong(_) | Member::Other => {}
                }
            }
        }
        if is_missing {
            Self::Missing
        } else {
            Self::Sessions(sessions)
        }
    }

    /// Strong comparison (RFC 9110 §8.8.3.2) with the current ICE session.
    pub fn verdict(&self, current: &EntityTag) -> Verdict {
        match self {
            Self::Missing => Verdict::Required,
            Self::Any => Verdict::Matches,
            Self::Sessions(sessions) if sessions.contains(&current.0) => Verdict::Matches,
            Self::Sessions(_) => Verdict::Stale,
        }
    }
}

/// One member of the list.
enum Member<'a> {
    Star,
    /// Without its quotes.
    Strong(&'a [u8]),
    /// A weak tag, which never matches, or no tag at all.
    Other,
}

impl<'a> Member<'a> {
    /// Takes the next member off the front. A comma within quotes belongs to the tag.
    fn next(rest: &mut &'a [u8]) -> Option<Self> {
        let start = rest.iter().position(|b| !b" \t,".contains(b))?;
        let text = &rest[start..];
        let mut is_quoted = false;
        let length = text.iter().position(|&b| {
            is_quoted ^= b == b'"';
            b == b',' && !is_quoted
        });
        let (member, after) = text.split_at(length.unwrap_or(text.len()));
        *rest = after;
        Some(match member.trim_ascii_end() {
            b"*" => Self::Star,
            [b'"', tag @ .., b'"'] if !tag.contains(&b'"') => Self::Strong(tag),
            _ => Self::Other,
        })
    }
}
