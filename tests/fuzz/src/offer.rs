//! An offer, and the answer to it: a refusal that says why, or an answer within the offer.

use std::net::SocketAddr;

use whipcord_whip::{
    Answer, Credentials, Offer, Preferences,
    answer::Local,
    fragment::{Fragment, restart_answer},
    negotiate::negotiate,
    offer::{Fingerprint, HashAlgorithm},
};

/// FFmpeg reads no longer answer.
const ANSWER_BYTES_MAX: usize = 8192;

pub fn run(data: &[u8]) {
    let offer = Offer::parse(data).and_then(|offer| negotiate(&offer, &Preferences::default()));
    let negotiated = match offer {
        Ok(negotiated) => negotiated,
        Err(refusal) => return assert!(!refusal.to_string().is_empty() && !refusal.reason().is_empty()),
    };
    let credentials = Credentials {
        ufrag: "serverufrag".to_owned(),
        pwd: "serverpasswordserverpassword".to_owned(),
    };
    let fingerprint = Fingerprint {
        algorithm: HashAlgorithm::Sha256,
        digest: vec![0xab; 32],
    };
    let candidates = ["[2001:db8::5]:8189", "203.0.113.5:8189"]
        .map(|address| address.parse::<SocketAddr>().expect("a literal address"));
    let local = Local {
        credentials: &credentials,
        fingerprint: &fingerprint,
        candidates: &candidates,
        origin: u64::MAX,
    };
    let offer = std::str::from_utf8(data).expect("what is not text is refused");
    let answer = Answer::new(&negotiated, &local);
    assert!(answer.as_str().len() < ANSWER_BYTES_MAX);
    assert_within(&Sdp::read(offer), &Sdp::read(answer.as_str()));

    let restart = restart_answer(&negotiated.transport, &local);
    assert!(restart.len() < ANSWER_BYTES_MAX);
    let fragment = Fragment::parse(restart.as_bytes()).expect("we read what we write");
    assert_eq!(fragment.credentials.as_ref(), Some(&credentials));
    assert!(fragment.end_of_candidates);
}

/// The words and attributes that are compared; everything else is the business of the crate's own tests.
struct Sdp<'a> {
    session: Vec<&'a str>,
    sections: Vec<Section<'a>>,
}

struct Section<'a> {
    /// Of the `m=` line.
    words: Vec<&'a str>,
    attributes: Vec<&'a str>,
}

impl<'a> Sdp<'a> {
    fn read(text: &'a str) -> Self {
        let mut sdp = Self {
            session: vec![],
            sections: vec![],
        };
        for line in text.split('\n') {
            if let Some(media) = line.strip_prefix("m=") {
                sdp.sections.push(Section {
                    words: media.split_ascii_whitespace().collect(),
                    attributes: vec![],
                });
            } else if let Some(attribute) = line.strip_prefix("a=") {
                let section = sdp.sections.last_mut().map(|section| &mut section.attributes);
                section.unwrap_or(&mut sdp.session).push(attribute.trim_end());
            }
        }
        sdp
    }
}

fn values<'a>(attributes: &[&'a str], name: &str) -> Vec<&'a str> {
    let named = attributes.iter().filter_map(|attribute| attribute.split_once(':'));
    named
        .filter(|(other, _)| *other == name)
        .map(|(_, value)| value.trim())
        .collect()
}

fn assert_within(offer: &Sdp<'_>, answer: &Sdp<'_>) {
    assert_eq!(answer.sections.len(), offer.sections.len());
    for (theirs, ours) in offer.sections.iter().zip(&answer.sections) {
        assert_eq!((ours.words[0], ours.words[2]), (theirs.words[0], theirs.words[2]));
        assert!(ours.words[3..].iter().all(|pt| theirs.words[3..].contains(pt)));
        assert!((4..=5).contains(&ours.words.len()), "a codec, and its retransmissions");

        let mids = values(&theirs.attributes, "mid");
        assert_eq!(values(&ours.attributes, "mid").first(), mids.first());
        let groups = values(&offer.session, "group").join(" ");
        for mid in values(&answer.session, "group")
            .iter()
            .flat_map(|group| group.split(' ').skip(1))
        {
            assert!(groups.split_ascii_whitespace().any(|offered| offered == mid));
        }

        let rids = values(&theirs.attributes, "rid");
        for rid in values(&ours.attributes, "rid") {
            assert!(rids.iter().any(|offered| word(offered, 0) == word(rid, 0)), "rid {rid}");
        }
        let extensions = [values(&theirs.attributes, "extmap"), values(&offer.session, "extmap")].concat();
        for extension in values(&ours.attributes, "extmap") {
            let parts = |value| (number(word(value, 0)), word(value, 1));
            assert!(
                extensions.iter().any(|offered| parts(offered) == parts(extension)),
                "extmap {extension}"
            );
        }
    }
}

fn word(value: &str, index: usize) -> &str {
    value.split_ascii_whitespace().nth(index).unwrap_or_default()
}

/// A header extension's id, without its direction.
fn number(id: &str) -> &str {
    id.split('/').next().unwrap_or_default()
}
