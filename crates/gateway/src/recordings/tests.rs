//! The range of a GET.

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::range::{Part, Range};

fn parse(value: &str) -> Option<Range> {
    Range::parse([value.as_bytes()])
}

#[test]
fn one_range_of_bytes_is_read_and_all_else_is_none() {
    for (value, expected) in [
        ("bytes=0-", Some(Range::From(0))),
        ("bytes=500-999", Some(Range::Within(500, 999))),
        ("bytes=7-7", Some(Range::Within(7, 7))),
        ("bytes=-500", Some(Range::Last(500))),
        ("bytes=-0", Some(Range::Last(0))),
        ("Bytes=00-01", Some(Range::Within(0, 1))),
        ("bytes= 1-2 ", Some(Range::Within(1, 2))),
        ("bytes=99999999999999999999-", Some(Range::From(u64::MAX))),
        ("bytes=0-99999999999999999999", Some(Range::Within(0, u64::MAX))),
        ("bytes=2-1", None),
        ("bytes=0-1,5-6", None),
        ("bytes=0-1,", None),
        ("bytes=-", None),
        ("bytes=", None),
        ("bytes", None),
        ("bytes=1", None),
        ("bytes=a-b", None),
        ("bytes=+1-2", None),
        ("bytes=1--2", None),
        ("bytes=1 - 2", None),
        ("bytes =1-2", None),
        ("seconds=1-2", None),
        ("", None),
    ] {
        assert_eq!(parse(value), expected, "{value:?}");
    }
    assert_eq!(Range::parse([]), None);
    assert_eq!(Range::parse([&b"bytes=0-"[..], b"bytes=0-"]), None, "twice");
}

#[test]
fn a_range_is_cut_to_the_file() {
    let part = |first, last| Some(Part { first, last });
    for (range, size, expected) in [
        (Range::From(0), 10, part(0, 9)),
        (Range::From(9), 10, part(9, 9)),
        (Range::From(10), 10, None),
        (Range::Within(2, 3), 10, part(2, 3)),
        (Range::Within(2, u64::MAX), 10, part(2, 9)),
        (Range::Within(10, 11), 10, None),
        (Range::Last(3), 10, part(7, 9)),
        (Range::Last(u64::MAX), 10, part(0, 9)),
        (Range::Last(0), 10, None),
        (Range::From(0), 0, None),
        (Range::Last(1), 0, None),
        (Range::Within(0, u64::MAX), u64::MAX, part(0, u64::MAX - 1)),
    ] {
        assert_eq!(range.of(size), expected, "{range:?} of {size}");
    }
}

proptest! {
    #[test]
    fn a_part_lies_within_its_file(value in prop::collection::vec(any::<u8>(), 0..40), size: u64) {
        if let Some(part) = Range::parse([&value[..]]).and_then(|range| range.of(size)) {
            prop_assert!(part.first <= part.last && part.last < size);
        }
    }

    #[test]
    fn what_is_written_is_read(first: u64, last: u64) {
        let expected = (first <= last).then_some(Range::Within(first, last));
        prop_assert_eq!(parse(&format!("bytes={first}-{last}")), expected);
        prop_assert_eq!(parse(&format!("bytes={first}-")), Some(Range::From(first)));
        prop_assert_eq!(parse(&format!("bytes=-{last}")), Some(Range::Last(last)));
    }
}
