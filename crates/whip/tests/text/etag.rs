//! The precondition of a PATCH.

use whipcord_whip::etag::{EntityTag, IfMatch, InvalidName, Verdict};

fn verdict(values: &[&str]) -> Verdict {
    let current = EntityTag::new("now").unwrap();
    IfMatch::parse(values.iter().map(|value| value.as_bytes())).verdict(&current)
}

#[test]
fn the_tag_is_strong_and_quoted() {
    assert_eq!(EntityTag::new("38sdf4fdsf54").unwrap().to_string(), "\"38sdf4fdsf54\"");
    assert_eq!(EntityTag::new("a.b_c~d-e").unwrap().ice_session(), "a.b_c~d-e");
    let long = "x".repeat(65);
    for name in ["", "*", "a b", "a\"b", "a,b", "W/x", "ü", &long] {
        assert_eq!(EntityTag::new(name), Err(InvalidName), "{name}");
    }
}

#[test]
fn preconditions() {
    for (values, expected) in [
        (&[][..], Verdict::Required),
        (&["\"now\""], Verdict::Matches),
        (&["*"], Verdict::Matches),
        (&["\"*\""], Verdict::Matches),
        (&["  \"now\"  "], Verdict::Matches),
        (&["\"x\", \"now\""], Verdict::Matches),
        (&["\"x\",\"now\""], Verdict::Matches),
        (&[",, \"now\" ,"], Verdict::Matches),
        (&["\"x\"", "\"now\""], Verdict::Matches),
        (&["W/\"x\", \"now\""], Verdict::Matches),
        (&["\"a,b\", \"now\""], Verdict::Matches),
        (&["\"then\""], Verdict::Stale),
        (&["W/\"now\""], Verdict::Stale),
        (&["w/\"now\""], Verdict::Stale),
        (&["W/\"*\""], Verdict::Stale),
        (&["now"], Verdict::Stale),
        (&["\"now"], Verdict::Stale),
        (&["now\""], Verdict::Stale),
        (&["\"a,\"now\",b\""], Verdict::Stale),
        (&["\"NOW\""], Verdict::Stale),
        (&["\"now \""], Verdict::Stale),
        (&["\""], Verdict::Stale),
        (&[""], Verdict::Stale),
    ] {
        assert_eq!(verdict(values), expected, "{values:?}");
    }
}

#[test]
fn the_names_are_readable_for_whoever_passes_them_on() {
    let parse = |value: &str| IfMatch::parse([value.as_bytes()]);
    assert_eq!(
        parse("\"a\", W/\"b\", \"c\""),
        IfMatch::Sessions(vec!["a".to_owned(), "c".to_owned()])
    );
    assert_eq!(parse("\"a\"b\""), IfMatch::Sessions(vec![]), "a quote ends a tag");
    assert_eq!(parse("*"), IfMatch::Any);
    assert_eq!(IfMatch::parse([]), IfMatch::Missing);
    let many = vec!["\"x\""; 1000].join(",");
    assert!(matches!(parse(&many), IfMatch::Sessions(sessions) if sessions.len() == 16));
}
