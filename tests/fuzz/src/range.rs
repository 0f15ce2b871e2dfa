//! `Range` headers: the first eight bytes of the input are the file's size, each line of the rest is the value of one header.
//!
//! The parser is private to the gateway, whose dependencies would all be built for fuzzing: so its file alone is compiled here.

#[path = "../../../crates/gateway/src/recordings/range.rs"]
mod header;

use header::Range;

pub fn run(data: &[u8]) {
    let (size, values) = data.split_first_chunk().unwrap_or((&[0; 8], data));
    let size = u64::from_be_bytes(*size);
    let Some(range) = Range::parse(values.split(|byte| *byte == b'\n')) else {
        return;
    };
    if let Some(part) = range.of(size) {
        assert!(part.first <= part.last && part.last < size && part.len() <= size);
        // What an answer says of the part asks for the same part.
        let again = format!("bytes={}-{}", part.first, part.last);
        assert_eq!(
            Range::parse([again.as_bytes()]).map(|range| range.of(size)),
            Some(Some(part))
        );
    }
}
