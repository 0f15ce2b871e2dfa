//! Gateways and workers as processes of their own, with certificates for each other.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use whipcord_tests::{cluster::Cluster, eventually, http, pattern, recording::Recording, whipcord::binary};

/// A session is connected within a second; a loaded machine gets this long.
const CONNECTED: Duration = Duration::from_secs(20);

/// Publishes the numbered pattern by the nth gateway.
pub(crate) fn publisher(cluster: &Cluster, gateway: usize, stream: &str, duration: &str) -> Child {
    publisher_with(cluster, gateway, stream, &["--duration", duration])
}

fn publisher_with(cluster: &Cluster, gateway: usize, stream: &str, arguments: &[&str]) -> Child {
    publisher_to(&cluster.whip_url(gateway, stream), cluster.token(), arguments)
}

pub(crate) fn publisher_to(url: &str, token: &str, arguments: &[&str]) -> Child {
    let mut command = Command::new(binary());
    command
        .args(["publish", url, "--json"])
        .arg(pattern::file())
        .args(["--token", token])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// The same, once its media arrives.
pub(crate) fn live(cluster: &Cluster, gateway: usize, stream: &str, duration: &str) -> Child {
    live_with(cluster, gateway, stream, &["--duration", duration])
}

/// The same with these arguments.
pub(crate) fn live_with(cluster: &Cluster, gateway: usize, stream: &str, arguments: &[&str]) -> Child {
    let child = publisher_with(cluster, gateway, stream, arguments);
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

/// Its shards read the sizes, which else a recording tells.
#[test]
fn sizes_are_listed_of_a_worker_that_records_nothing() {
    let mut cluster = Cluster::new();
    cluster.start_redis();
    cluster.start_gateway(0, &[]);
    cluster.start_worker_without_recordings(0);
    cluster.wait_until_known(0);
    let folder = tempfile::tempdir().unwrap();
    let h265 = folder.path().join("pattern.mkv");
    pattern::encode(&h265, 4, "libx265", "0");
    let publish = |stream: &str, arguments: &[&str]| {
        let mut command = Command::new(binary());
        command.args(["publish", &cluster.whip_url(0, stream), "--token", cluster.token()]);
        Ended(command.args(arguments).stdout(Stdio::null()).spawn().unwrap())
    };
    let _publishers = [
        publish("h264", &["--loop", pattern::file().to_str().unwrap()]),
        publish("h265", &["--loop", h265.to_str().unwrap()]),
        publish("layers", &["--simulcast", "test"]),
    ];
    let expected = [
        ("h264", vec![(640, 360)]),
        ("h265", vec![(640, 360)]),
        ("layers", vec![(320, 180), (640, 360), (1280, 720)]),
    ];
    for (stream, sizes) in expected {
        eventually(&format!("the sizes of {stream} are listed"), CONNECTED, || {
            (listed_sizes(&cluster, stream) == sizes).then_some(())
        });
    }
    assert!(cluster.recordings("h264").is_empty());
}

/// Of the pictures of a stream, as `whipcord sessions` lists them.
fn listed_sizes(cluster: &Cluster, stream: &str) -> Vec<(u64, u64)> {
    let mut command = Command::new(binary());
    command.args([
        "sessions",
        "--json",
        "--stream",
        stream,
        "--admin",
        &cluster.gateway_admin(0),
    ]);
    let output = command.args(["--token", cluster.token()]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let tracks = listed["sessions"][0]["tracks"].as_array().cloned().unwrap_or_default();
    let mut sizes: Vec<(u64, u64)> = tracks
        .iter()
        .filter_map(|track| Some((track["width"].as_u64()?, track["height"].as_u64()?)))
        .collect();
    sizes.sort_unstable();
    sizes
}

/// A publisher that goes on for as long as its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
fn a_worker_of_another_cluster_is_none_here() {
    let mut cluster = Cluster::new();
    cluster.start_redis();
    // A worker of another cluster, whose authority is believed here too.
    let (folder, other) = (cluster.folder().to_owned(), tempfile::tempdir().unwrap());
    let keygen = Command::new(binary())
        .args(["keygen", "--cluster-id", "other"])
        .arg(other.path())
        .status();
    assert!(keygen.unwrap().success());
    let both = [folder.as_path(), other.path()].map(|folder| std::fs::read_to_string(folder.join("ca.pem")).unwrap());
    std::fs::write(folder.join("ca.pem"), both.concat()).unwrap();
    for part in ["worker.pem", "worker.key"] {
        std::fs::copy(other.path().join(part), folder.join(part)).unwrap();
    }
    cluster.start_gateway(0, &[]);
    cluster.start_worker(0, &["--cluster-id", "other"]);
    eventually("both say why they do not speak to each other", CONNECTED, || {
        let (gateway, worker) = (cluster.gateway_log(0), cluster.worker_log(0));
        let said = gateway.contains("refused an internal connection")
            && worker.contains("certificate not valid for name \\\"gateway.other.whipcord.internal")
            && worker.contains("is that its --grpc address, and do both have the same --internal-ca");
        said.then_some(())
    });
    let headers = [("Authorization", &*format!("Bearer {}", cluster.token()))];
    let stats = http::request("GET", &format!("{}/whip-stats", cluster.origin(0)), &headers, "");
    assert_eq!((stats.status, stats.body.as_str()), (200, "{}"));
    assert!(!cluster.gateway_log(0).contains("a worker reports"));
}

#[test]
fn a_flood_of_strangers_is_no_flood_of_the_log() {
    const STRANGERS: usize = 200;
    let mut cluster = Cluster::new();
    cluster.start_redis();
    cluster.start_gateway(0, &[]);
    let begun = Instant::now();
    for _ in 0..STRANGERS {
        let mut stranger = TcpStream::connect(cluster.reports_address(0)).unwrap();
        stranger.set_read_timeout(Some(CONNECTED)).unwrap();
        stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        // An alert, and the end.
        let _ = stranger.read_to_end(&mut Vec::new());
    }
    let seconds = begun.elapsed().as_secs() as usize + 1;
    let log = cluster.gateway_log(0);
    let lines = log.matches("refused an internal connection").count();
    assert!(lines > 0, "{log}");
    // A burst of five, and five for each second.
    assert!(
        lines <= 5 + 5 * seconds && lines < STRANGERS,
        "{lines} lines in {seconds} s"
    );
}

/// All files of keys are read again: here those of tokens.
#[test]
fn a_replaced_secret_makes_other_tokens_good_without_a_restart() {
    let mut cluster = Cluster::new();
    cluster.start_redis();
    let stream_keys = cluster.folder().join("stream.keys");
    std::fs::write(&stream_keys, "first-key-of-a-camera *\n").unwrap();
    cluster.start_gateway(0, &["--stream-keys-file", stream_keys.to_str().unwrap()]);
    let url = format!("{}/whip-stats", cluster.origin(0));
    let status = |token: &str| {
        let headers = [("Authorization", &*format!("Bearer {token}"))];
        http::request("GET", &url, &headers, "").status
    };
    let former = cluster.token().to_owned();
    assert_eq!((status(&former), status("first-key-of-a-camera")), (200, 200));

    // Nothing of a secret that is half there counts, and nothing is lost by it.
    let secret = cluster.folder().join("token.secret");
    std::fs::write(&secret, "half a secret").unwrap();
    eventually("the gateway says that it cannot read its secret", REREAD, || {
        let log = cluster.gateway_log(0);
        log.contains("cannot be read again").then_some(())
    });
    assert_eq!(status(&former), 200);

    std::fs::write(&stream_keys, "second-key-of-a-camera *\n").unwrap();
    std::fs::write(&secret, "another secret, of which 32 bytes are the least").unwrap();
    let (token, _) = whipcord_tests::output(
        Command::new(binary())
            .args(["token", "make", "--stream", "*", "--token-secret-file"])
            .arg(&secret),
    );
    let token = String::from_utf8(token).unwrap();
    eventually("the new secret's token is good", REREAD, || {
        (status(token.trim()) == 200).then_some(())
    });
    assert_eq!((status(&former), status("first-key-of-a-camera")), (401, 401));
    assert_eq!(status("second-key-of-a-camera"), 200);
    let log = cluster.gateway_log(0);
    assert_eq!(log.matches("cannot be read again").count(), 1, "said once: {log}");
}

/// Files are read again each ten seconds; a loaded machine gets this long.
const REREAD: Duration = Duration::from_secs(40);
