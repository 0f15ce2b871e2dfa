//! Which streams a token or key is for.

use std::{fmt, str::FromStr};

use whipcord_identity::{StreamName, stream};

/// A set of streams: `live/cam` is that one, `live/*` all below `live/`, `*` all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    One(StreamName),
    Below(StreamName),
    All,
}

impl Pattern {
    pub fn matches(&self, stream: &StreamName) -> bool {
        match self {
            Self::One(one) => one == stream,
            Self::Below(above) => stream
                .as_str()
                .strip_prefix(above.as_str())
                .is_some_and(|rest| rest.starts_with('/')),
            Self::All => true,
        }
    }
}

impl FromStr for Pattern {
    type Err = stream::Error;

    fn from_str(text: &str) -> Result<Self, stream::Error> {
        match text.strip_suffix("/*") {
            _ if text == "*" => Ok(Self::All),
            Some(above) => Ok(Self::Below(above.parse()?)),
            None => Ok(Self::One(text.parse()?)),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(stream) => write!(f, "{stream}"),
            Self::Below(above) => write!(f, "{above}/*"),
            Self::All => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_its_streams_and_no_other() {
        let table = [
            ("live/cam", "live/cam", true),
            ("live/cam", "live/cam2", false),
            ("live/cam", "live", false),
            ("live/*", "live/cam", true),
            ("live/*", "live/a/b", true),
            ("live/*", "live", false),
            ("live/*", "lively/cam", false),
            ("*", "anything/at/all", true),
        ];
        for (pattern, stream, expected) in table {
            let pattern: Pattern = pattern.parse().unwrap();
            assert_eq!(
                pattern.matches(&stream.parse().unwrap()),
                expected,
                "{pattern} {stream}"
            );
        }
    }

    #[test]
    fn a_star_stands_only_at_the_end_and_alone() {
        for text in ["", "/*", "live/*/cam", "live*", "**", "live/**", "*/cam"] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }
}
