//! A key set as a file holds it: the purpose in the first line, then a line per key, `ID SECRET FROM`, the oldest first.
//!
//! SECRET is 32 bytes in base64, FROM the second since 1970 from which the key mints. A new key is written with a FROM to come, so
//! that everybody has read it before anybody mints with it, in whichever order they read. Further lines that are empty or begin with
//! `#` are left out.

use std::{fmt, fmt::Write as _, marker::PhantomData, num::NonZeroUsize};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{Error, IceKeys, KeyId, SessionKeys, aes_256_gcm, hmac_sha256};

/// The keys of one purpose: those of another are not read.
pub struct KeyFile<P> {
    lines: Vec<Line>,
    purpose: PhantomData<P>,
}

/// What the keys of a file are for: [`SessionKeys`] or [`IceKeys`].
pub trait Purpose: Clone + Send + Sized + 'static {
    /// As the first line says it, and people do.
    const NAME: &'static str;

    /// The keys, of which the one at `mints` makes what is new.
    fn from_secrets<'a>(secrets: impl Iterator<Item = (KeyId, &'a [u8; 32])>, mints: usize) -> Self;

    /// Another set in place of this one, for all clones. What keys of both made stays valid.
    fn replace(&self, with: &Self);
}

struct Line {
    id: KeyId,
    secret: Zeroizing<[u8; 32]>,
    from: u64,
}

/// What a rotation keeps: the key that mints, and those of sessions that began before the last rotations. With one rotation a
/// month, a session's URL holds for two months at least.
pub const KEPT: NonZeroUsize = NonZeroUsize::new(4).expect("not zero");

/// What the first line of every key file begins with.
const HEAD: &str = "# whipcord ";

impl<P: Purpose> KeyFile<P> {
    /// One key, which mints at once.
    pub fn generate(secret: [u8; 32]) -> Self {
        let secret = Zeroizing::new(secret);
        Self::of(vec![Line {
            id: KeyId(0),
            secret,
            from: 0,
        }])
    }

    /// # Errors
    /// That it is for another purpose, the number of the first line that is no key's, or what the keys together are not.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        let head = text.lines().next().unwrap_or_default().trim_end();
        match head.strip_prefix(HEAD) {
            Some(purpose) if purpose == P::NAME => {}
            Some(purpose) if purpose == SessionKeys::NAME => return Err(other::<SessionKeys, P>()),
            Some(purpose) if purpose == IceKeys::NAME => return Err(other::<IceKeys, P>()),
            _ => return Err(FileError::Head { expected: P::NAME }),
        }
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
        Ok(Self::of(lines))
    }

    /// With a further key that mints from this second on, and without the oldest beyond [`KEPT`]. The key that mints at `now` is the
    /// newest then, and so never among those that are dropped.
    ///
    /// # Errors
    /// While a key is there whose time to mint is to come: rotated again and again before it, a file would keep such keys alone.
    pub fn rotate(mut self, secret: [u8; 32], now: u64, from: u64) -> Result<Self, Early> {
        if let Some(until) = self.lines.iter().map(|line| line.from).filter(|from| *from > now).max() {
            return Err(Early { until });
        }
        let newest = self.lines.last().map_or(0, |line| line.id.0);
        let id = KeyId((newest + 1) & KeyId::MAX);
        self.lines.retain(|line| line.id != id);
        let secret = Zeroizing::new(secret);
        self.lines.push(Line { id, secret, from });
        self.lines.drain(..self.lines.len().saturating_sub(KEPT.get()));
        Ok(self)
    }

    /// The keys, with the one that mints at `now` in seconds since 1970.
    pub fn keys(&self, now: u64) -> P {
        P::from_secrets(self.lines.iter().map(|line| (line.id, &*line.secret)), self.mints(now))
    }

    /// The key written last.
    pub fn newest(&self) -> KeyId {
        self.lines.last().map_or(KeyId(0), |line| line.id)
    }

    /// The file's text: secret.
    pub fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(format!(
            "{HEAD}{}\n# ID SECRET FROM: keep it secret; see whipcord keygen --help\n",
            P::NAME
        ));
        for Line { id, secret, from } in &self.lines {
            let secret = Zeroizing::new(STANDARD.encode(secret));
            // A String takes whatever is written.
            let _ = writeln!(text, "{id} {} {from}", *secret);
        }
        text
    }

    fn of(lines: Vec<Line>) -> Self {
        Self {
            lines,
            purpose: PhantomData,
        }
    }

    fn mints(&self, now: u64) -> usize {
        self.lines.iter().rposition(|line| line.from <= now).unwrap_or(0)
    }
}

impl Purpose for SessionKeys {
    const NAME: &'static str = "session keys";

    fn from_secrets<'a>(secrets: impl Iterator<Item = (KeyId, &'a [u8; 32])>, mints: usize) -> Self {
        Self::from_set(secrets.map(|(id, secret)| (id, aes_256_gcm(secret))), mints)
    }

    fn replace(&self, with: &Self) {
        self.0.replace(with.set());
    }
}

impl Purpose for IceKeys {
    const NAME: &'static str = "ICE keys";

    fn from_secrets<'a>(secrets: impl Iterator<Item = (KeyId, &'a [u8; 32])>, mints: usize) -> Self {
        Self::from_set(secrets.map(|(id, secret)| (id, hmac_sha256(secret))), mints)
    }

    fn replace(&self, with: &Self) {
        self.0.replace(with.set());
    }
}

fn other<Found: Purpose, Expected: Purpose>() -> FileError {
    FileError::Purpose {
        found: Found::NAME,
        expected: Expected::NAME,
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

impl<P> fmt::Debug for KeyFile<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyFile(***)")
    }
}

/// Why a text is no key file. It quotes nothing: it may be near a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    #[error("it holds {found}, and {expected} are needed here: name the other file")]
    Purpose {
        found: &'static str,
        expected: &'static str,
    },
    #[error("its first line must be `# whipcord {expected}`: whipcord keygen makes such files")]
    Head { expected: &'static str },
    #[error("line {0} is not `ID SECRET FROM`: 0 to 15, 32 bytes in base64, a second since 1970")]
    Line(usize),
    #[error(transparent)]
    Set(#[from] Error),
}

/// Why a file is not rotated now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has a key whose time to mint is to come")]
pub struct Early {
    /// The second since 1970 at which that comes.
    pub until: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn mints(file: &KeyFile<IceKeys>, now: u64) -> u8 {
        file.keys(now).set().newest().0.0
    }

    #[test]
    fn a_file_survives_its_text() {
        let file = KeyFile::<IceKeys>::generate([1; 32])
            .rotate([2; 32], 5, 1_900_000_000)
            .unwrap();
        let text = file.text();
        assert!(text.starts_with("# whipcord ICE keys\n"), "{}", *text);
        assert!(text.contains(&format!("\n0 {SECRET} 0\n")), "{}", *text);
        let read = KeyFile::parse(&text).unwrap();
        assert_eq!((mints(&read, 1_899_999_999), mints(&read, 1_900_000_000)), (0, 1));
        assert_eq!(*read.text(), *text);
    }

    #[test]
    fn rotations_keep_the_last_keys_and_come_round() {
        let mut file = KeyFile::<IceKeys>::generate([0; 32]);
        for n in 1..=40 {
            file = file.rotate([n; 32], u64::from(n) - 1, n.into()).unwrap();
            assert_eq!(file.lines.len(), usize::from(n + 1).min(KEPT.get()));
            assert_eq!((mints(&file, n.into()), file.newest()), (n % 16, KeyId(n % 16)));
            assert_eq!(
                mints(&file, u64::from(n) - 1),
                (n - 1) % 16,
                "the former mints until then"
            );
        }
    }

    proptest! {
        /// However often and whenever it is rotated: until the time of the new key has come, the key that minted does.
        #[test]
        fn no_rotation_takes_the_key_that_mints(steps in proptest::collection::vec((0_u64..1200, 0_u64..900), 1..60)) {
            let mut text = KeyFile::<IceKeys>::generate([0; 32]).text();
            let mut now = 1_000_000;
            let mut next = 0;
            for (n, (passed, notice)) in (1_u8..).zip(steps) {
                now += passed;
                let before = KeyFile::<IceKeys>::parse(&text).unwrap();
                let minting = before.keys(now).set().newest().0;
                match before.rotate([n; 32], now, now + notice) {
                    Ok(after) => {
                        prop_assert!(next <= now, "rotated while a key is to come");
                        next = now + notice;
                        prop_assert!(after.lines.len() <= KEPT.get());
                        prop_assert!(after.keys(now).set().by_id(minting).is_some());
                        if notice > 0 {
                            prop_assert_eq!(after.keys(next - 1).set().newest().0, minting);
                        }
                        prop_assert_eq!(after.keys(next).set().newest().0, after.newest());
                        text = after.text();
                    }
                    Err(early) => prop_assert_eq!((early.until, next > now), (next, true)),
                }
            }
        }
    }

    #[test]
    fn what_is_no_key_file_is_refused_with_its_line() {
        let head = "# whipcord ICE keys\n";
        let table = [
            (String::new(), FileError::Head { expected: "ICE keys" }),
            (format!("0 {SECRET} 0\n"), FileError::Head { expected: "ICE keys" }),
            ("# whipcord\n".to_owned(), FileError::Head { expected: "ICE keys" }),
            (
                format!("# whipcord session keys\n0 {SECRET} 0\n"),
                FileError::Purpose {
                    found: "session keys",
                    expected: "ICE keys",
                },
            ),
            (format!("{head}\n# nothing\n\n"), Error::Empty.into()),
            (format!("{head}0 {SECRET} 0\n0 {SECRET} 5\n"), Error::Twice.into()),
            (format!("{head}16 {SECRET} 0\n"), FileError::Line(2)),
            (format!("{head}0 {SECRET}\n"), FileError::Line(2)),
            (format!("{head}0 {SECRET} 0 0\n"), FileError::Line(2)),
            (format!("{head}0 {} 0\n", &SECRET[4..]), FileError::Line(2)),
            (format!("{head}\n0 geheim 0"), FileError::Line(3)),
        ];
        for (text, error) in table {
            assert_eq!(
                KeyFile::<IceKeys>::parse(&text).map(|_| ()).unwrap_err(),
                error,
                "{text}"
            );
        }
        let session = KeyFile::<SessionKeys>::generate([1; 32]).text();
        assert!(KeyFile::<SessionKeys>::parse(&session.replace('\n', "\r\n")).is_ok());
    }
}
