//! Gateways and workers as processes of their own, with certificates for each other.

use std::{
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use whipcord_tests::{cluster::Cluster, eventually, http, pattern, recording::Recording, whipcord::binary};

/// A session is connected within a second; a loaded machine gets this long.
const CONNECTED: Duration = Duration::from_secs(20);

/// Publishes the numbered pattern by the nth gateway.
pub(crate) fn publisher(cluster: &Cluster, gateway: usize, stream: &str, duration: &str) -> Child {
    publisher_to(&cluster.whip_url(gateway, stream), cluster.token(), duration)
}

pub(crate) fn publisher_to(url: &str, token: &str, duration: &str) -> Child {
    let mut command = Command::new(binary());
    command
        .args(["publish", url, "--json"])
        .arg(pattern::file())
        .args(["--duration", duration, "--token", token])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// The same, once its media arrives.
pub(crate) fn live(cluster: &Cluster, gateway: usize, stream: &str, duration: &str) -> Child {
    let child = publisher(cluster, gateway, stream, duration);
    wait_until_live(cluster, gateway, stream);
    child
}

pub(crate) fn wait_until_live(cluster: &Cluster, gateway: usize, stream: &str) {
    eventually("the session is live", CONNECTED, || {
        let mut sessions = cluster.sessions(gateway).into_values();
        sessions.find(|session| session.stream == stream && session.packets_received > 50)
    });
}

/// Exit code, summary and stderr of a publisher that ends by itself.
pub(crate) fn finish(child: Child) -> (Option<i32>, Value, String) {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    let summary = serde_json::from_slice(&stdout).unwrap_or_else(|error| panic!("no summary: {error}; {stderr}"));
    (status.code(), summary, stderr)
}

#[test]
fn a_stream_goes_through_a_gateway_to_a_worker() {
    let mut cluster = Cluster::start(1, 1);
    let (code, summary, stderr) = finish(publisher(&cluster, 0, "studio", "4s"));
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(summary["frames_sent"], 120, "{summary}");
    assert_eq!(cluster.terminate_worker(0).code(), Some(0));
    assert_eq!(cluster.terminate_gateway(0).code(), Some(0));
    let files = cluster.recordings("studio");
    assert_eq!(files.len(), 1, "{files:?}");
    let recording = Recording::read(&files[0]);
    assert_eq!((recording.complaints.as_str(), recording.readable()), ("", 120));
}

#[test]
fn media_does_not_notice_that_its_gateway_dies_and_the_worker_reports_to_the_next() {
    let mut cluster = Cluster::start(1, 1);
    let child = live(&cluster, 0, "studio", "6s");
    cluster.start_gateway(1, &[]);
    cluster.kill_gateway(0);
    let killed = Instant::now();
    eventually(
        "the worker reports to the other gateway",
        Duration::from_secs(10),
        || {
            let found = cluster
                .sessions(1)
                .into_values()
                .find(|session| session.stream == "studio");
            found.filter(|session| session.connection_state == "connected")
        },
    );
    let took = killed.elapsed();
    assert!(took < Duration::from_secs(3), "the worker was away for {took:?}");
    // Its DELETE goes to the gateway that is gone; every picture has arrived all the same.
    let (code, _, stderr) = refused(child).unwrap();
    assert_eq!(code, Some(1), "{stderr}");
    cluster.terminate_worker(0);
    let recording = Recording::read(&cluster.recordings("studio")[0]);
    assert_eq!((recording.readable(), recording.numbers()), (180, Some((0, 179))));
}

#[test]
fn a_worker_told_to_stop_serves_what_lives_and_takes_nothing_new() {
    let mut cluster = Cluster::start(1, 1);
    let child = live(&cluster, 0, "studio", "5s");
    cluster.signal_worker(0, rustix::process::Signal::TERM);
    let answer = eventually("new sessions are refused", Duration::from_secs(5), || {
        let (_, _, stderr) = refused(publisher(&cluster, 0, "other", "1s"))?;
        Some(stderr)
    });
    assert!(answer.contains("503"), "{answer}");
    let (code, summary, stderr) = finish(child);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(summary["frames_sent"], 150, "{summary}");
    let code = eventually("the worker ended with its last session", Duration::from_secs(5), || {
        cluster.worker_ended(0)
    });
    assert_eq!(code.code(), Some(0));
    assert_eq!(Recording::read(&cluster.recordings("studio")[0]).readable(), 150);
}

/// What a publisher said that could not publish.
fn refused(child: Child) -> Option<(Option<i32>, String, String)> {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
    (!status.success()).then_some((status.code(), stdout, stderr))
}

#[test]
fn a_drain_ends_at_its_deadline_and_ends_well() {
    let mut cluster = Cluster::new();
    cluster.start_redis();
    cluster.start_gateway(0, &[]);
    cluster.start_worker(0, &["--drain-deadline", "1"]);
    cluster.wait_until_known(0);
    let child = live(&cluster, 0, "studio", "12s");
    assert_eq!(cluster.terminate_worker(0).code(), Some(0));
    let log = cluster.worker_log(0);
    assert!(log.contains("reason=\"drained\""), "{log}");
    let (code, summary, stderr) = finish(child);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(summary["duration_ms"].as_u64().unwrap() < 10_000, "{summary}");
    assert_eq!(Recording::read(&cluster.recordings("studio")[0]).complaints, "");
}

#[test]
fn who_has_no_certificate_of_the_role_is_refused() {
    let mut cluster = Cluster::new();
    cluster.start_redis();
    cluster.start_gateway(0, &[]);
    // A gateway's certificate in a worker's place.
    let folder = cluster.folder().to_owned();
    for part in ["pem", "key"] {
        std::fs::copy(
            folder.join(format!("gateway.{part}")),
            folder.join(format!("worker.{part}")),
        )
        .unwrap();
    }
    cluster.start_worker(0, &[]);
    eventually("the gateway says whom it refused", CONNECTED, || {
        let log = cluster.gateway_log(0);
        log.contains("its certificate is not of worker.whipcord.whipcord.internal")
            .then_some(())
    });
    let headers = [("Authorization", &*format!("Bearer {}", cluster.token()))];
    let stats = http::request("GET", &format!("{}/whip-stats", cluster.origin(0)), &headers, "");
    assert_eq!((stats.status, stats.body.as_str()), (200, "{}"));
    assert!(!cluster.gateway_log(0).contains("a worker reports"));
}
