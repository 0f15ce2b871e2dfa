//! `If-Match` headers: each line of the input is the value of one.

use whipcord_whip::etag::{EntityTag, IfMatch, Verdict};

pub fn run(data: &[u8]) {
    let values: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let tags = values.iter().filter_map(|value| std::str::from_utf8(value).ok());
    let current = tags.filter_map(|value| EntityTag::new(value).ok()).next_back();
    let current = current.unwrap_or_else(|| EntityTag::new("current").expect("a plain name"));

    let parsed = IfMatch::parse(values.iter().copied());
    assert_ne!(parsed.verdict(&current), Verdict::Required);
    let own = current.to_string();
    let with_own = IfMatch::parse([own.as_bytes()].into_iter().chain(values.iter().copied()));
    assert_eq!(with_own.verdict(&current), Verdict::Matches);
}
