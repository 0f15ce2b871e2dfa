//! A worker whose addresses a controller tells.

use std::net::SocketAddr;

use tonic::Code;

use crate::{
    bed::{Bed, eventually, within},
    encoder::Encoder,
};

/// Its candidates, as `IP PORT`.
fn candidates(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("a=candidate:"));
    let addresses = lines.map(|line| line.split(' ').skip(4).take(2).collect::<Vec<_>>().join(" "));
    let mut addresses: Vec<String> = addresses.collect();
    addresses.dedup();
    addresses
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_takes_nothing_before_it_is_told_its_addresses_and_names_what_it_was_told() {
    let bed = Bed::with(|config| config.advertise = vec!["controller".parse().unwrap()]).await;
    let features = bed.directory.read(|state| state.hellos[0].features.clone());
    assert_eq!(features, ["addresses"]);
    eventually("it says that it waits", async || {
        bed.directory.read(|state| state.unaddressed)
    })
    .await;
    let refused = bed.create(1, &Encoder::new().offer()).await.unwrap_err();
    assert_eq!(
        refused.code(),
        Code::ResourceExhausted,
        "another worker may do: {refused}"
    );
    assert!(bed.worker.media_addresses().is_empty());

    bed.directory.tell(&[("203.0.113.1", 31_000)]);
    within(bed.worker.addressed()).await;
    eventually("it says so", async || bed.directory.read(|state| !state.unaddressed)).await;
    let created = bed.create(1, &Encoder::new().offer()).await.unwrap();
    assert_eq!(candidates(&created.answer), ["203.0.113.1 31000"]);

    bed.directory.tell(&[("203.0.113.2", 31_000)]);
    eventually("it names the other", async || {
        bed.worker.media_addresses() == [SocketAddr::from(([203, 0, 113, 2], 31_000))]
    })
    .await;
    let created = bed.create(2, &Encoder::new().offer()).await.unwrap();
    assert_eq!(candidates(&created.answer), ["203.0.113.2 31000"]);

    bed.directory.tell(&[]);
    eventually("it waits again", async || bed.directory.read(|state| state.unaddressed)).await;
    let refused = bed.create(3, &Encoder::new().offer()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let restart = "a=ice-ufrag:next\r\na=ice-pwd:nextnextnextnextnextnext\r\n";
    let (fragment, _) = bed.patch(2, restart, &[]).await.unwrap().expect("a restart");
    assert_eq!(
        candidates(&fragment),
        ["203.0.113.2 31000"],
        "whoever is there has no other"
    );
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_addresses_of_its_own_is_not_told_others() {
    let bed = Bed::start().await;
    assert!(bed.directory.read(|state| state.hellos[0].features.is_empty()));
    bed.directory.tell(&[("203.0.113.1", 0)]);
    let created = bed.create(1, &Encoder::new().offer()).await.unwrap();
    let own = bed.worker.media_addresses()[0];
    assert_eq!(candidates(&created.answer), [format!("{} {}", own.ip(), own.port())]);
    bed.stop().await;
}
