//! The way to media: what keeps an encoder from being connected.

use whipcord_tests::{
    cluster::Cluster,
    load::{Broken, Fault, with_foreign_fingerprint},
    road::{Cut, Roads},
    space::apart,
};

use super::{diagnosed, events};
use crate::{cluster::publisher, faults::post};

#[test]
fn each_step_that_fails_has_its_diagnosis() {
    let cluster = Cluster::start(2, 1);
    let (origin, token) = (cluster.origin(0), cluster.token());
    // Its encoder has the answer, and never sends to it.
    assert_eq!(post(&cluster, 0, "live/unheard").0, 201);
    let broken = |stream: &str, fault| Broken::post(&origin, stream, token, fault).unwrap();
    let password = broken("live/password", Fault::WrongPassword);
    let stun = broken("live/stun", Fault::NoDtls);
    let alert = broken("live/alert", Fault::Alert(48));
    with_foreign_fingerprint(&origin, "live/fingerprint", token);

    let unheard = diagnosed(&cluster, 1, "live/unheard", "no_stun", || {});
    assert_eq!(events(&unheard)[0], "created");
    let told = diagnosed(&cluster, 1, password.sid(), "wrong_password", || password.try_again());
    assert_eq!(events(&told), ["created", "stun_wrong_password"], "{told}");
    let told = diagnosed(&cluster, 1, stun.sid(), "no_dtls", || stun.try_again());
    assert_eq!(events(&told), ["created", "stun_seen", "dtls_started"], "{told}");
    let told = diagnosed(&cluster, 1, alert.sid(), "dtls_alert", || alert.try_again());
    assert!(
        told["sentence"].as_str().unwrap().contains("alert 48 (unknown_ca)"),
        "{told}"
    );
    let told = diagnosed(&cluster, 1, "live/fingerprint", "fingerprint_mismatch", || {});
    assert!(told["session"]["ended_seconds_ago"].is_number(), "{told}");
    let text = told.to_string();
    assert!(!text.contains("5A:5A") && !text.contains("ufrag"), "{text}");
}

/// A firewall, as encoders meet most of all: HTTP gets through, and UDP does not.
#[test]
fn media_that_is_dropped_on_its_way_is_no_stun() {
    apart("explain::way::media_that_is_dropped_on_its_way_is_no_stun", || {
        let mut cluster = Cluster::across(Roads::new());
        cluster.start_redis();
        cluster.start_gateway(0, &[]);
        cluster.start_gateway(1, &[]);
        cluster.start_worker(0, &[]);
        cluster.wait_until_known(0);
        cluster.roads().media.cut(Cut::ToWorker);
        let dropped = cluster.roads().media.dropped();
        let mut encoder = publisher(&cluster, 0, "studio", "60s");
        let told = diagnosed(&cluster, 1, "studio", "no_stun", || {});
        assert!(told["action"].as_str().unwrap().contains("UDP"), "{told}");
        assert!(cluster.roads().media.dropped() > dropped, "nothing was dropped");
        encoder.kill().unwrap();
        encoder.wait().unwrap();
    });
}
