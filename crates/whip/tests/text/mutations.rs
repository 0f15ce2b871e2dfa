//! Whatever is sent: a legal answer within the offer, or a refusal; never a panic.

use proptest::{collection::vec, prelude::*, sample};
use whipcord_whip::{
    Offer,
    etag::{EntityTag, IfMatch},
    fragment::Fragment,
};

use crate::{accept, answer, recorded::files, within::assert_answer_is_within};

/// True if the offer was accepted.
fn check(offer: &[u8]) -> bool {
    match accept(offer) {
        Ok(negotiated) => {
            let text = std::str::from_utf8(offer).expect("what is not text is refused");
            assert_answer_is_within(text, answer(&negotiated).as_str());
            true
        }
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty() && !refusal.reason().is_empty());
            false
        }
    }
}

#[test]
fn each_line_deleted_doubled_or_cut_short() {
    let (mut accepted, mut refused) = (0_u32, 0_u32);
    for (_, offer) in files(".offer.sdp") {
        let text = String::from_utf8(offer).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for index in 0..lines.len() {
            let (before, line, after) = (&lines[..index], lines[index], &lines[index + 1..]);
            let cuts = [1, 2, line.len() / 2, line.len().saturating_sub(2), line.len() - 1]
                .map(|at| &line[..at.min(line.len())]);
            let mut variants = vec![vec![], vec![line, line]];
            variants.extend(cuts.into_iter().map(|cut| vec![cut]));
            for replacement in variants {
                let mutant = [before, &replacement, after].concat().join("\r\n");
                if check(mutant.as_bytes()) {
                    accepted += 1
                } else {
                    refused += 1
                }
            }
            // The body itself cut short, after this line and within it.
            check(&text.as_bytes()[..text.find(line).unwrap() + line.len() / 2]);
            check([before, &[line]].concat().join("\n").as_bytes());
        }
    }
    // Both must happen, or the mutants are not what they should be.
    assert!(
        accepted > 5000 && refused > 500,
        "{accepted} accepted, {refused} refused"
    );
}

/// A line of some recorded offer.
fn recorded_line() -> impl Strategy<Value = String> {
    let lines: Vec<String> = files(".offer.sdp")
        .into_iter()
        .flat_map(|(_, offer)| {
            String::from_utf8(offer)
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    sample::select(lines)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn offers_with_foreign_lines(
        offer in sample::select(files(".offer.sdp")),
        foreign in vec((any::<sample::Index>(), recorded_line()), 1..8),
    ) {
        let mut lines: Vec<String> = String::from_utf8(offer.1).unwrap().lines().map(str::to_owned).collect();
        for (index, line) in foreign {
            lines.insert(index.index(lines.len()), line);
        }
        check(lines.join("\r\n").as_bytes());
    }

    #[test]
    fn offers_with_flipped_bytes(
        offer in sample::select(files(".offer.sdp")),
        flips in vec((any::<sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut offer = offer.1;
        for (index, byte) in flips {
            let index = index.index(offer.len());
            offer[index] = byte;
        }
        check(&offer);
    }

    #[test]
    fn offers_of_arbitrary_bytes(body in vec(any::<u8>(), 0..2000)) {
        prop_assert!(Offer::parse(&body).is_err());
        prop_assert!(Offer::parse(&[b"v=0\r\n".as_slice(), &body].concat()).is_err());
    }

    #[test]
    fn fragments_of_arbitrary_text(lines in vec("(a=)?(candidate:|ice-ufrag:|ice-pwd:|end-of-candidates|m=audio )?[ -~]{0,60}", 0..12)) {
        if let Ok(fragment) = Fragment::parse(lines.join("\n").as_bytes()) {
            prop_assert!(fragment.credentials.is_none_or(|c| c.ufrag.len() >= 4 && c.pwd.len() >= 22));
        }
    }

    #[test]
    fn fragments_of_arbitrary_bytes(body in vec(any::<u8>(), 0..500)) {
        let _ = Fragment::parse(&body);
    }

    #[test]
    fn if_match_of_arbitrary_bytes(values in vec(vec(any::<u8>(), 0..60), 0..4)) {
        let current = EntityTag::new("abc").unwrap();
        let parsed = IfMatch::parse(values.iter().map(Vec::as_slice));
        let _ = parsed.verdict(&current);
        prop_assert_eq!(parsed == IfMatch::Missing, values.is_empty());
        // Whatever stands in other header lines, the tag itself matches.
        let own = current.to_string();
        let with_own = IfMatch::parse([own.as_bytes()].into_iter().chain(values.iter().map(Vec::as_slice)));
        prop_assert_eq!(with_own.verdict(&current), whipcord_whip::etag::Verdict::Matches);
    }
}
