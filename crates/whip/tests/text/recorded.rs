//! Every offer and fragment in `tests/offers`, with what it is answered. `UPDATE_EXPECT=1 cargo test` rewrites.

use std::{fmt::Write as _, fs, path::PathBuf};

use expect_test::expect_file;
use whipcord_whip::{fragment::Fragment, negotiate::Negotiated};

use crate::{accept, answer, within::assert_answer_is_within};

/// Names and contents of the files that end so, sorted.
#[expect(clippy::disallowed_methods, reason = "the tests' own files")]
pub(crate) fn files(suffix: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/offers");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.strip_suffix(suffix)?.to_owned();
            Some((name, fs::read(path).unwrap()))
        })
        .collect();
    files.sort();
    files
}

#[test]
fn every_offer_is_answered_as_expected() {
    let offers = files(".offer.sdp");
    assert_eq!(offers.len(), 19);
    for (name, offer) in offers {
        let negotiated = accept(&offer).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        let answer = answer(&negotiated);
        assert_answer_is_within(std::str::from_utf8(&offer).unwrap(), answer.as_str());
        let path = |kind: &str| format!("{}/tests/offers/{name}.{kind}", env!("CARGO_MANIFEST_DIR"));
        expect_file![path("answer.sdp")].assert_eq(&answer.as_str().replace("\r\n", "\n"));
        expect_file![path("negotiated.txt")].assert_eq(&summary(&negotiated));
    }
}

#[test]
fn line_ends_do_not_matter() {
    for (name, offer) in files(".offer.sdp") {
        let crlf = String::from_utf8(offer).unwrap();
        let expected = answer(&accept(crlf.as_bytes()).unwrap());
        for variant in [
            crlf.replace("\r\n", "\n"),
            crlf.trim_end().to_owned(),
            crlf.clone() + "\r\n",
        ] {
            assert_eq!(answer(&accept(variant.as_bytes()).unwrap()), expected, "{name}");
        }
    }
}

#[test]
fn every_fragment_is_read_as_expected() {
    let mut all = String::new();
    let fragments = files(".sdp").into_iter().filter(|(name, _)| name.contains(".patch"));
    for (name, body) in fragments {
        let Fragment {
            credentials,
            end_of_candidates,
        } = Fragment::parse(&body).unwrap();
        let ufrag = credentials.as_ref().map(|credentials| credentials.ufrag.as_str());
        writeln!(all, "{name}: {ufrag:?} end={end_of_candidates}").unwrap();
    }
    expect_file!["../offers/fragments.txt"].assert_eq(&all);
}

/// What the answer does not show.
fn summary(negotiated: &Negotiated) -> String {
    let Negotiated {
        role,
        encoder,
        remote,
        fingerprints,
        sections,
        data,
        ..
    } = negotiated;
    let mut text = format!("{role:?} {encoder:?} remote {}\n", remote.ufrag);
    for fingerprint in fingerprints {
        writeln!(text, "fingerprint {}", &fingerprint.to_string()[..16]).unwrap();
    }
    for section in sections {
        writeln!(text, "{section:?}").unwrap();
    }
    if let Some(data) = data {
        writeln!(text, "{data:?}").unwrap();
    }
    text
}
