//! Stream names: what a user publishes, and a folder below the recordings.

use crate::SessionId;

/// A stream's name: 1 to 8 segments of `[A-Za-z0-9._~-]` joined by `/`, at most 255 bytes.
///
/// It names recording paths, so no segment is empty, `.` or `..`: joined to a folder, it stays below it. Its last segment never
/// has the shape of a session (`{sid}` or `{sid}.{anything}`), so `/whip/{stream}` and `/whip/{stream}/{sid}` cannot be confused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName(String);

/// Deep enough for `tenant/event/camera`, and few enough that a recording's path stays short.
pub const SEGMENTS_MAX: usize = 8;
/// `NAME_MAX` of the file systems recordings go to.
pub const BYTES_MAX: usize = 255;

impl StreamName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a path segment has the shape of a session: 22 characters of base64url, alone or before a dot.
    ///
    /// The shape, not the value: 22 characters that encode no 16 bytes count too, so that the rule can be seen by eye.
    pub fn segment_is_session(segment: &str) -> bool {
        let id = segment.split_once('.').map_or(segment, |(id, _)| id);
        id.len() == SessionId::TEXT_LEN && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    }
}

impl std::fmt::Display for StreamName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for StreamName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::Empty);
        }
        if text.len() > BYTES_MAX {
            return Err(Error::TooLong);
        }
        if text.split('/').count() > SEGMENTS_MAX {
            return Err(Error::TooDeep);
        }
        text.split('/').try_for_each(check_segment)?;
        match text.rsplit('/').next() {
            Some(last) if Self::segment_is_session(last) => Err(Error::LikeASession),
            _ => Ok(Self(text.to_owned())),
        }
    }
}

/// Why a text is no stream name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("a stream name must not be empty")]
    Empty,
    #[error("a stream name has at most {BYTES_MAX} bytes")]
    TooLong,
    #[error("a stream name has at most {SEGMENTS_MAX} segments")]
    TooDeep,
    #[error("a stream name has no empty segment: it must not begin or end with '/', nor contain '//'")]
    EmptySegment,
    #[error("a segment of a stream name must not be '.' or '..'")]
    Dots,
    #[error("a stream name consists of letters, digits, '.', '_', '~' and '-', in segments joined by '/'")]
    Character,
    #[error("the last segment of a stream name must not look like a session id (22 letters, digits, '-' or '_')")]
    LikeASession,
}

fn check_segment(segment: &str) -> Result<(), Error> {
    match segment {
        "" => Err(Error::EmptySegment),
        "." | ".." => Err(Error::Dots),
        _ if !segment
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(&b)) =>
        {
            Err(Error::Character)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn names_are_accepted_or_refused_for_the_reason_that_is_said() {
        let long = "a".repeat(256);
        let table: &[(&str, Result<(), Error>)] = &[
            ("live", Ok(())),
            ("live/cam-1_B.~", Ok(())),
            ("1/2/3/4/5/6/7/8", Ok(())),
            (".hidden", Ok(())),
            ("...", Ok(())),
            (&long[..255], Ok(())),
            ("AAAAAAAAAAAAAAAAAAAAAA/cam", Ok(())),
            ("", Err(Error::Empty)),
            (&long, Err(Error::TooLong)),
            ("1/2/3/4/5/6/7/8/9", Err(Error::TooDeep)),
            ("/live", Err(Error::EmptySegment)),
            ("live/", Err(Error::EmptySegment)),
            ("live//cam", Err(Error::EmptySegment)),
            ("live/../../etc", Err(Error::Dots)),
            (".", Err(Error::Dots)),
            ("live cam", Err(Error::Character)),
            ("live%2f..", Err(Error::Character)),
            ("live\\cam", Err(Error::Character)),
            ("caf\u{e9}", Err(Error::Character)),
            ("a\0b", Err(Error::Character)),
            ("live/AAAAAAAAAAAAAAAAAAAAAA", Err(Error::LikeASession)),
            ("AAAAAAAAAAAAAAAAAAAAAA.hint", Err(Error::LikeASession)),
            ("live/AAAAAAAAAAAAAAAAAAAA_-.", Err(Error::LikeASession)),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<StreamName>().map(|_| ()), *expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_stays_below_its_folder(text in "[A-Za-z0-9._~/\\\\-]{0,40}") {
            if let Ok(name) = text.parse::<StreamName>() {
                prop_assert!(Path::new(name.as_str()).components().all(|c| matches!(c, Component::Normal(_))));
                prop_assert_eq!(Path::new(name.as_str()).components().count(), name.as_str().split('/').count());
            }
        }

        #[test]
        fn any_text_is_judged_without_a_panic(text in any::<String>()) {
            if let Ok(name) = text.parse::<StreamName>() {
                prop_assert_eq!(name.to_string(), text);
            }
        }

        #[test]
        fn no_session_id_ends_a_stream_name(bytes in any::<[u8; 16]>()) {
            let id = SessionId::new(bytes).to_string();
            prop_assert_eq!(format!("live/{id}").parse::<StreamName>(), Err(Error::LikeASession));
            prop_assert_eq!(format!("{id}.x").parse::<StreamName>(), Err(Error::LikeASession));
        }
    }
}
