//! What gateways tell each other of refused requests: rules as functions over any directory.

use std::{collections::BTreeSet, time::Duration};

use whipcord_directory::{Directory, REFUSALS_MAX, RefusedRequest, Timing};

use crate::{
    bed::{LONG, eventually},
    server::{Server, is_installed},
};

rules![
    a_refusal_is_known_by_its_stream_alone_and_once: LONG,
    what_is_told_again_later_is_no_younger: LONG,
    there_is_a_most_and_strangers_flush_nobody_with_a_token: LONG,
];

fn refusal(stream: &str, what: &str, proven: bool) -> RefusedRequest {
    RefusedRequest {
        stream: stream.parse().unwrap(),
        what: what.to_owned(),
        proven,
    }
}

fn just_now(refusal: RefusedRequest) -> (RefusedRequest, Duration) {
    (refusal, Duration::ZERO)
}

async fn known(d: &Directory, stream: &str) -> BTreeSet<(String, bool)> {
    let told = d.refusals(&stream.parse().unwrap()).await.unwrap();
    let all: Vec<_> = told.refusals.into_iter().map(|(refusal, _)| refusal).collect();
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
        d.refused(&all.clone().map(just_now)).await.unwrap();
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

async fn what_is_told_again_later_is_no_younger(d: &Directory) {
    let (old, older) = (Duration::from_secs(600), Duration::from_secs(1200));
    for age in [old, older] {
        d.refused(&[(refusal("cam", "POST/a", true), age)]).await.unwrap();
    }
    let told = d.refusals(&"cam".parse().unwrap()).await.unwrap();
    assert!(told.is_complete && told.refusals.len() == 1, "{told:?}");
    let age = told.refusals[0].1;
    assert!(age >= old && age < older, "{age:?}");
}

/// What a server lost that came back empty only gateways can tell again: they see that it began anew, and whoever asks, that some may
/// be missing.
#[tokio::test]
async fn a_server_that_came_back_empty_says_so() {
    let server = Server::start().await;
    let d = server.directory(LONG);
    d.refused(&[just_now(refusal("cam", "POST/a", true))]).await.unwrap();
    eventually(async || d.began().is_some()).await;
    let before = d.began();
    let _: () = server.ask("FLUSHALL").await;
    eventually(async || d.began() != before).await;
    let rebuilding = Timing {
        rebuild: Duration::from_secs(3600),
        ..LONG
    };
    let told = server.directory(rebuilding).refusals(&"cam".parse().unwrap()).await;
    assert_eq!(
        told.map(|told| (told.refusals, told.is_complete)),
        Ok((Vec::new(), false))
    );
}

async fn there_is_a_most_and_strangers_flush_nobody_with_a_token(d: &Directory) {
    d.refused(&[refusal("mine", "POST/a", true), refusal("first", "POST/a", false)].map(just_now))
        .await
        .unwrap();
    let strangers: Vec<_> = (0..REFUSALS_MAX)
        .map(|n| just_now(refusal(&format!("cam/{n}"), "POST/a", false)))
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
