//! Static keys: for encoders into which somebody types a stream key.

use std::collections::HashMap;

use aws_lc_rs::digest;
use whipcord_identity::stream;

use super::Pattern;

/// Short keys are guessed: 16 characters of letters and digits are 95 bits.
const KEY_BYTES_MIN: usize = 16;

/// Keys by their SHA-256: what a look-up's timing tells is about a hash, of which no key can be made.
#[derive(Default)]
pub(super) struct StaticKeys(HashMap<[u8; 32], Vec<Pattern>>);

impl StaticKeys {
    /// `KEY PATTERN [PATTERN...]` per line; empty lines and lines from `#` on are skipped. A key is any bytes but white space.
    pub(super) fn parse(file: &[u8]) -> Result<Self, ParseError> {
        let mut keys = HashMap::new();
        for (index, line) in file.split(|b| *b == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let (key, streams) = entry(line).map_err(|reason| ParseError {
                line: index + 1,
                reason,
            })?;
            if keys.insert(key, streams).is_some() {
                return Err(ParseError {
                    line: index + 1,
                    reason: LineError::Twice,
                });
            }
        }
        Ok(Self(keys))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn streams(&self, key: &[u8]) -> Option<&[Pattern]> {
        self.0.get(&sha256(key)).map(Vec::as_slice)
    }
}

/// Which line is wrong, and why; it quotes no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ParseError {
    line: usize,
    reason: LineError,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LineError {
    #[error("a stream key has at least {KEY_BYTES_MIN} characters")]
    ShortKey,
    #[error("a key and a stream pattern are needed: `KEY PATTERN [PATTERN...]`")]
    NoPattern,
    #[error("{0}")]
    Pattern(stream::Error),
    #[error("this key was given before")]
    Twice,
}

fn entry(line: &[u8]) -> Result<([u8; 32], Vec<Pattern>), LineError> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let key = words.next().unwrap_or_default();
    if key.len() < KEY_BYTES_MIN {
        return Err(LineError::ShortKey);
    }
    let streams = words.map(|word| String::from_utf8_lossy(word).parse().map_err(LineError::Pattern));
    match streams.collect::<Result<Vec<_>, _>>()? {
        streams if streams.is_empty() => Err(LineError::NoPattern),
        streams => Ok((sha256(key), streams)),
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}
