//! What must stay secret, in the most talkative log there is.

use std::process::Command;

use whipcord_tests::{
    http,
    whipcord::{Whipcord, binary},
};

const OFFER: &str = include_str!("../../../crates/whip/tests/offers/chromium-156.offer.sdp");

#[test]
fn no_token_password_or_url_hint_is_in_a_trace_log() {
    let mut whipcord = Whipcord::standalone_with(&["--log", "trace"]);
    let authorization = format!("Bearer {}", whipcord.token());
    let headers = [
        ("Content-Type", "application/sdp"),
        ("Authorization", authorization.as_str()),
    ];
    let created = http::request("POST", &whipcord.whip_url("cam"), &headers, OFFER);
    assert_eq!(created.status, 201, "{created:?}");
    let session = created.header("location").unwrap().to_owned();
    let recording = session.replacen("/whip/", "/recordings/", 1);
    let recording = http::request("GET", &recording, &[("Range", "bytes=0-0")], "");
    assert_eq!(recording.status, 404, "no media came: {recording:?}");
    let deleted = http::request("DELETE", &session, &headers[1..], "");
    assert_eq!(deleted.status, 200, "{deleted:?}");
    let published = Command::new(binary())
        .args(["publish", &whipcord.whip_url("studio"), "--duration", "1s"])
        .args(["--token", whipcord.token(), "test"])
        .output()
        .unwrap();
    assert!(published.status.success(), "{published:?}");
    assert_eq!(whipcord.terminate().code(), Some(0));

    let passwords = OFFER.lines().chain(created.body.lines());
    let passwords = passwords.filter_map(|line| line.trim().strip_prefix("a=ice-pwd:"));
    let mut secrets: Vec<&str> = passwords.collect();
    assert!(secrets.len() >= 2, "the offer's and the answer's");
    secrets.push(session.rsplit('.').next().unwrap());
    secrets.push(whipcord.token());
    let log = whipcord.log();
    assert!(log.contains("DEBUG"), "the log has only what it always has");
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
