//! The crate through its public API: recorded and hand-written offers, their answers, fragments, headers.

#![allow(clippy::unwrap_used, reason = "a test's unwrap is its assertion")]

mod data;
mod etag;
mod fragments;
mod link;
mod media;
mod mutations;
mod recorded;
mod refusals;
mod transport;
mod within;

use std::net::SocketAddr;

use whipcord_whip::{
    Answer, Credentials, Negotiated, Offer, Preferences, Refusal,
    answer::Local,
    negotiate::negotiate,
    offer::{Fingerprint, HashAlgorithm},
};

/// What a server without a choice of its own negotiates.
fn accept(offer: &[u8]) -> Result<Negotiated, Refusal> {
    negotiate(&Offer::parse(offer)?, &Preferences::default())
}

/// The offer with all of `from` replaced, which it must have.
fn edit(offer: &str, from: &str, to: &str) -> String {
    assert!(offer.contains(from), "{from}");
    offer.replace(from, to)
}

fn negotiated(offer: &str) -> Negotiated {
    accept(offer.as_bytes()).unwrap_or_else(|refusal| panic!("{refusal}: {offer}"))
}

/// The answer's text, checked.
fn answered(offer: &str) -> String {
    let text = answer(&negotiated(offer)).as_str().to_owned();
    within::assert_answer_is_within(offer, &text);
    text
}

/// An answer from 203.0.113.5 and 2001:db8::5, the latter configured first.
fn answer(negotiated: &Negotiated) -> Answer {
    with_local(|local| Answer::new(negotiated, local))
}

fn with_local<T>(write: impl FnOnce(&Local<'_>) -> T) -> T {
    let credentials = Credentials {
        ufrag: "AQAAASabcdefghijklmnopqr".to_owned(),
        pwd: "ZYXWVUTSRQPONMLKJIHGFEDC".to_owned(),
    };
    let fingerprint = Fingerprint {
        algorithm: HashAlgorithm::Sha256,
        digest: (0..32).collect(),
    };
    let candidates: [SocketAddr; 3] =
        ["[2001:db8::5]:8189", "203.0.113.5:8189", "203.0.113.6:8190"].map(|address| address.parse().unwrap());
    write(&Local {
        credentials: &credentials,
        fingerprint: &fingerprint,
        candidates: &candidates,
        origin: u64::MAX,
    })
}
