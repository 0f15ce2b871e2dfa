//! SDP's lines (RFC 8866 §5), as offers and fragments share them. Must not know what any attribute means.

use std::str::FromStr;

use crate::Refusal;

/// Lines of one body. Chromium with every codec and four simulcast layers stays below 400.
pub(crate) const LINES_MAX: usize = 2000;

/// `<letter>=<value>`; the value has no control character but the tab.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) letter: char,
    pub(crate) value: &'a str,
}

/// `a=<name>` or `a=<name>:<value>`; a missing value is empty.
#[derive(Clone, Copy)]
pub(crate) struct Attribute<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
}

/// Splits a body into lines, ended by CRLF or by LF alone (RFC 8866 §5 wants receivers to take both). Empty lines
/// carry nothing and are skipped: several clients end a body with one.
pub(crate) fn lines(body: &[u8], bytes_max: usize) -> Result<Vec<Line<'_>>, Refusal> {
    if body.len() > bytes_max {
        return Err(Refusal::TooLarge { most: bytes_max });
    }
    let text = std::str::from_utf8(body).map_err(|_| Refusal::NotText)?;
    let mut lines = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        if lines.len() == LINES_MAX {
            return Err(Refusal::TooMany {
                what: "lines",
                most: LINES_MAX,
            });
        }
        lines.push(Line::parse(line).ok_or(Refusal::Line { number: index + 1 })?);
    }
    if lines.is_empty() {
        Err(Refusal::Empty)
    } else {
        Ok(lines)
    }
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (letter, value) = line.split_once('=')?;
        let [letter @ b'a'..=b'z'] = *letter.as_bytes() else {
            return None;
        };
        let clean = !value.chars().any(|c| c.is_control() && c != '\t');
        clean.then_some(Self {
            letter: letter.into(),
            value,
        })
    }

    pub(crate) fn attribute(&self) -> Option<Attribute<'a>> {
        if self.letter != 'a' {
            return None;
        }
        let (name, value) = self.value.split_once(':').unwrap_or((self.value, ""));
        Some(Attribute {
            name,
            value: value.trim(),
        })
    }
}

/// The lines up to the first `m=`, or one `m=` line with those that belong to it.
#[derive(Default)]
pub(crate) struct Block<'a> {
    /// The value of the `m=` line; empty for the session's block.
    pub(crate) media: &'a str,
    attributes: Vec<Attribute<'a>>,
}

impl<'a> Block<'a> {
    /// The session's block and the media sections'.
    pub(crate) fn split(lines: &[Line<'a>]) -> (Self, Vec<Self>) {
        let mut session = Self::default();
        let mut sections: Vec<Self> = Vec::new();
        for line in lines {
            if line.letter == 'm' {
                sections.push(Self {
                    media: line.value,
                    attributes: Vec::new(),
                });
            } else if let Some(attribute) = line.attribute() {
                sections.last_mut().unwrap_or(&mut session).attributes.push(attribute);
            }
        }
        (session, sections)
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.attributes.iter().filter(move |a| a.name == name).map(|a| a.value)
    }

    pub(crate) fn first(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// Names of all attributes, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.attributes.iter().map(|a| a.name)
    }
}

/// A decimal number as SDP writes it: no sign, no leading zero (RFC 8866 §9 `integer`).
pub(crate) fn number<T: FromStr>(text: &str) -> Option<T> {
    let is_canonical = text == "0" || !text.starts_with(['0', '+', '-']);
    if is_canonical { text.parse().ok() } else { None }
}

/// RFC 8866 §9 `token`, at most `bytes_max` long: what may be repeated in an answer without quoting.
pub(crate) fn is_token(text: &str, bytes_max: usize) -> bool {
    let allowed = |b: u8| b.is_ascii_graphic() && !br#""(),/:;<=>?@[\]"#.contains(&b);
    !text.is_empty() && text.len() <= bytes_max && text.bytes().all(allowed)
}
