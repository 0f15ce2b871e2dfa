//! The process: what it says when it is ready, how it stops, how it refuses to start.

use std::{
    net::TcpListener,
    process::{Command, Output},
};

use whipcord_tests::{
    http,
    whipcord::{Whipcord, binary},
};

#[test]
fn it_says_where_it_is_and_stops_when_told() {
    let mut whipcord = Whipcord::standalone();
    assert!(
        whipcord.announced_url().starts_with("http://127.0.0.1:"),
        "{}",
        whipcord.announced_url()
    );
    assert!(
        whipcord.media().ip().is_loopback() && whipcord.media().port() != 0,
        "{}",
        whipcord.media()
    );
    for probe in ["healthz", "readyz"] {
        let response = http::request("GET", &format!("{}/{probe}", whipcord.admin_url()), &[], "");
        assert_eq!(response.status, 200, "{probe}: {response:?}");
    }
    assert!(whipcord.sessions().is_empty());
    assert_eq!(whipcord.terminate().code(), Some(0), "{}", whipcord.log());
}

#[test]
fn two_run_side_by_side() {
    let pair = [Whipcord::standalone(), Whipcord::standalone()];
    assert_ne!(pair[0].media(), pair[1].media());
    // A token is only good where it was made.
    let authorization = format!("Bearer {}", pair[0].token());
    let url = format!("{}/whip-stats", pair[1].origin());
    assert_eq!(
        http::request("GET", &url, &[("Authorization", &authorization)], "").status,
        401
    );
}

#[test]
fn a_wrong_flag_and_a_taken_port_end_it_with_a_sentence() {
    let wrong = refused(&["standalone", "--https", "127.0.0.1:0"]);
    assert!(wrong.contains("--https"), "{wrong}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let bound = refused(&[
        "standalone",
        "--http",
        &address,
        "--media",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ]);
    assert!(bound.contains(&address), "{bound}");
    assert_eq!(bound.trim().lines().count(), 1, "{bound}");
}

/// What it writes to stderr before it ends with 2.
fn refused(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = Command::new(binary()).args(arguments).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(stdout.is_empty(), "{arguments:?}: wrote to stdout");
    stderr
}
