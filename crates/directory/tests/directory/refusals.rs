//! What gateways tell each other of refused requests: rules as functions over any directory.

use std::collections::BTreeSet;

use whipcord_directory::{Directory, REFUSALS_MAX, Refusal};

use crate::server::{Server, is_installed};

rules![
    a_refusal_is_known_by_its_stream_alone_and_once: LONG,
    there_is_a_most_and_strangers_flush_nobody_with_a_token: LONG,
];

fn refusal(stream: &str, what: &str, proven: bool) -> Refusal {
    Refusal {
        stream: stream.parse().unwrap(),
        what: what.to_owned(),
        proven,
    }
}

async fn known(d: &Directory, stream: &str) -> BTreeSet<(String, bool)> {
    let known = d.refusals(&stream.parse().unwrap()).await.unwrap();
    let all: Vec<_> = known.into_iter().map(|(refusal, _)| refusal).collect();
    assert!(all.iter().all(|refusal| refusal.stream.as_str() == stream));
    let count = all.len();
    let set: BTreeSet<_> = all.into_iter().map(|refusal| (refusal.what, refusal.proven)).collect();
    assert_eq!(set.len(), count, "each once");
    set
}

async fn a_refusal_is_known_by_its_stream_alone_and_once(d: &Directory) {
    let all = [
        refusal("live/cam", "POST/a", true),
        refusal("live/cam", "POST/a", false),
        refusal("live/cam", "POST/b", false),
        refusal("cam", "POST/c", false),
        refusal("ve/cam", "POST/d", false),
    ];
    for _ in 0..2 {
        d.refused(&all).await.unwrap();
    }
    let of = |names: &[(&str, bool)]| -> BTreeSet<(String, bool)> {
        names
            .iter()
            .map(|(what, proven)| ((*what).to_owned(), *proven))
            .collect()
    };
    let expected = of(&[("POST/a", true), ("POST/a", false), ("POST/b", false)]);
    assert_eq!(known(d, "live/cam").await, expected);
    assert_eq!(known(d, "cam").await, of(&[("POST/c", false)]));
    assert_eq!(known(d, "nothing").await, of(&[]));
}

async fn there_is_a_most_and_strangers_flush_nobody_with_a_token(d: &Directory) {
    d.refused(&[refusal("mine", "POST/a", true), refusal("first", "POST/a", false)])
        .await
        .unwrap();
    let strangers: Vec<Refusal> = (0..REFUSALS_MAX)
        .map(|n| refusal(&format!("cam/{n}"), "POST/a", false))
        .collect();
    for some in strangers.chunks(64) {
        d.refused(some).await.unwrap();
    }
    assert_eq!(known(d, "mine").await.len(), 1);
    let mut kept = 0;
    for stream in ["first".to_owned()]
        .into_iter()
        .chain((0..REFUSALS_MAX).map(|n| format!("cam/{n}")))
    {
        kept += known(d, &stream).await.len();
    }
    assert_eq!(kept, REFUSALS_MAX);
    let last = format!("cam/{}", REFUSALS_MAX - 1);
    assert_eq!(known(d, &last).await.len(), 1);
}
