//! A key set as a file holds it: a line per key, `ID SECRET FROM`, the oldest first.
//!
//! SECRET is 32 bytes in base64, FROM the second since 1970 from which the key mints. A new key is written with a FROM to come, so
//! that everybody has read it before anybody mints with it, in whichever order they read. Empty lines and those that begin with
//! `#` are left out.

use std::{fmt, fmt::Write as _, num::NonZeroUsize};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{Error, IceKeys, KeyId, SessionKeys, aes_256_gcm, hmac_sha256};

/// The keys of one purpose, as yet for none.
pub struct KeyFile(Vec<Line>);

struct Line {
    id: KeyId,
    secret: Zeroizing<[u8; 32]>,
    from: u64,
}

/// What a rotation keeps: the key that mints, and those of sessions that began before the last rotations. With one rotation a
/// month, a session's URL holds for two months at least.
pub const KEPT: NonZeroUsize = NonZeroUsize::new(4).expect("not zero");

impl KeyFile {
    /// One key, which mints at once.
    pub fn generate(secret: [u8; 32]) -> Self {
        let secret = Zeroizing::new(secret);
        Self(vec![Line {
            id: KeyId(0),
            secret,
            from: 0,
        }])
    }

    /// # Errors
    /// The number of the first line that is no key's, or what the keys together are not.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        let mut lines: Vec<Line> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            let line = Line::parse(line).ok_or(FileError::Line(number))?;
            if lines.iter().any(|known| known.id == line.id) {
                return Err(Error::Twice.into());
            }
            lines.push(line);
        }
        if lines.is_empty() {
            return Err(Error::Empty.into());
        }
        Ok(Self(lines))
    }

    /// With a further key that mints from this second on, and without the oldest beyond [`KEPT`].
    pub fn rotate(mut self, secret: [u8; 32], from: u64) -> Self {
        let newest = self.0.last().map_or(0, |line| line.id.0);
        let id = KeyId((newest + 1) & KeyId::MAX);
        self.0.retain(|line| line.id != id);
        let secret = Zeroizing::new(secret);
        self.0.push(Line { id, secret, from });
        self.0.drain(..self.0.len().saturating_sub(KEPT.get()));
        self
    }

    /// The keys as session keys, the one that mints at `now` in seconds since 1970.
    pub fn session_keys(&self, now: u64) -> SessionKeys {
        SessionKeys::from_set(
            self.0.iter().map(|line| (line.id, aes_256_gcm(&line.secret))),
            self.mints(now),
        )
    }

    /// The keys as ICE keys, the one that mints at `now` in seconds since 1970.
    pub fn ice_keys(&self, now: u64) -> IceKeys {
        IceKeys::from_set(
            self.0.iter().map(|line| (line.id, hmac_sha256(&line.secret))),
            self.mints(now),
        )
    }

    /// The file's text: secret.
    pub fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::from(
            "# ID SECRET FROM: keep it secret; see whipcord keygen --help\n",
        ));
        for Line { id, secret, from } in &self.0 {
            let secret = Zeroizing::new(STANDARD.encode(secret));
            // A String takes whatever is written.
            let _ = writeln!(text, "{} {} {from}", id.0, *secret);
        }
        text
    }

    fn mints(&self, now: u64) -> usize {
        self.0.iter().rposition(|line| line.from <= now).unwrap_or(0)
    }
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let id = words.next()?.parse::<u8>().ok()?.try_into().ok()?;
        let secret = Zeroizing::new(STANDARD.decode(words.next()?).ok()?);
        let secret = Zeroizing::new(<[u8; 32]>::try_from(secret.as_slice()).ok()?);
        let from = words.next()?.parse().ok()?;
        words.next().is_none().then_some(Self { id, secret, from })
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyFile(***)")
    }
}

/// Why a text is no key file. It quotes nothing: it may be near a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    #[error("line {0} is not `ID SECRET FROM`: 0 to 15, 32 bytes in base64, a second since 1970")]
    Line(usize),
    #[error(transparent)]
    Set(#[from] Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn mints(file: &KeyFile, now: u64) -> u8 {
        file.ice_keys(now).set().newest().0.0
    }

    #[test]
    fn a_file_survives_its_text() {
        let file = KeyFile::generate([1; 32]).rotate([2; 32], 1_900_000_000);
        let text = file.text();
        assert!(text.contains(&format!("\n0 {SECRET} 0\n")), "{}", *text);
        let read = KeyFile::parse(&text).unwrap();
        assert_eq!((mints(&read, 1_899_999_999), mints(&read, 1_900_000_000)), (0, 1));
        assert_eq!(*read.text(), *text);
    }

    #[test]
    fn rotations_keep_the_last_keys_and_come_round() {
        let mut file = KeyFile::generate([0; 32]);
        for n in 1..=40 {
            file = file.rotate([n; 32], n.into());
            assert_eq!(file.0.len(), usize::from(n + 1).min(KEPT.get()));
            assert_eq!(mints(&file, n.into()), n % 16);
            assert_eq!(
                mints(&file, u64::from(n) - 1),
                (n - 1) % 16,
                "the former mints until then"
            );
        }
    }

    #[test]
    fn what_is_no_key_file_is_refused_with_its_line() {
        let table = [
            (String::new(), Error::Empty.into()),
            ("# nothing\n\n".to_owned(), Error::Empty.into()),
            (format!("0 {SECRET} 0\n0 {SECRET} 5\n"), Error::Twice.into()),
            (format!("# one\n16 {SECRET} 0\n"), FileError::Line(2)),
            (format!("0 {SECRET}\n"), FileError::Line(1)),
            (format!("0 {SECRET} 0 0\n"), FileError::Line(1)),
            (format!("0 {} 0\n", &SECRET[4..]), FileError::Line(1)),
            ("0 geheim 0".to_owned(), FileError::Line(1)),
        ];
        for (text, error) in table {
            assert_eq!(KeyFile::parse(&text).map(|_| ()).unwrap_err(), error, "{text}");
        }
    }
}
