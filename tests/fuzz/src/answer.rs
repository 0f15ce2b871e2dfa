//! The answer of a WHIP server, as a client reads it.

use whipcord_client::doctor::answer::{Answer, CANDIDATES_MAX, Candidate};

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(answer) = Answer::parse(&text) else { return };
    assert!((4..=256).contains(&answer.ufrag.len()) && (22..=256).contains(&answer.pwd.len()));
    assert!(!answer.ufrag.contains(':'), "it would end a username early");
    assert!(answer.candidates.len() <= CANDIDATES_MAX && !answer.media.is_empty());
    // What is shown on a terminal.
    let words = answer
        .media
        .iter()
        .flat_map(|media| media.codec.iter().chain([&media.kind]));
    let names = answer.candidates.iter().filter_map(|candidate| match candidate {
        Candidate::Named(name) => Some(name),
        Candidate::Udp(_) | Candidate::Tcp(_) => None,
    });
    for word in words.chain(names) {
        assert!(word.len() <= 64 && word.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}
