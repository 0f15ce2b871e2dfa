//! The process as a shell sees it: exit codes, stdout, stderr, signals.

#![allow(clippy::unwrap_used, reason = "all of this is tests")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::Duration,
};

use serde_json::Value;

const WHIPCORD: &str = env!("CARGO_BIN_EXE_whipcord");
/// A start takes well under a second; a loaded machine gets this long.
const PATIENCE: Duration = Duration::from_secs(30);

fn whipcord(arguments: &[&str]) -> Command {
    let mut command = Command::new(WHIPCORD);
    for inherited in ["RUST_LOG", "WHIPCORD_TOKEN", "WHIPCORD_RECORDINGS"] {
        command.env_remove(inherited);
    }
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// `standalone` on free ports of 127.0.0.1, killed when dropped.
struct Standalone {
    child: Child,
    ready: Value,
}

impl Standalone {
    fn start(folder: &Path) -> Self {
        let mut command = whipcord(&["standalone", "--http", "127.0.0.1:0", "--media", "127.0.0.1:0"]);
        command
            .args(["--admin", "127.0.0.1:0", "--json"])
            .current_dir(folder)
            .stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let line = first_line(child.stdout.take().unwrap());
        Self {
            child,
            ready: serde_json::from_str(&line).unwrap(),
        }
    }

    fn text(&self, field: &str) -> &str {
        self.ready[field].as_str().unwrap()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Standalone {
    fn drop(&mut self) {
        // It may have ended already, as most tests want it to.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn first_line(output: impl Read + Send + 'static) -> String {
    let (sender, line) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(output).lines();
        let first = lines.next().map(Result::unwrap);
        sender.send(first.unwrap_or_default()).unwrap();
        assert_eq!(lines.count(), 0, "one line is all there is on stdout");
    });
    line.recv_timeout(PATIENCE).unwrap()
}

fn sentence(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{text}");
    errors[0].to_owned()
}

fn get(url: &str) -> String {
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn standalone_says_in_one_line_of_json_what_a_script_needs() {
    let folder = tempfile::tempdir().unwrap();
    let standalone = Standalone::start(folder.path());
    let fields: Vec<&String> = standalone.ready.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["admin_url", "media", "recordings", "token", "whip_url"]);
    let url = standalone.text("whip_url");
    assert!(
        url.starts_with("http://127.0.0.1:") && url.ends_with("/whip/live") && !url.contains(":0/"),
        "{url}"
    );
    assert_eq!(standalone.text("token").split('.').count(), 3, "the token is a JWT");
    let media = standalone.ready["media"].as_array().unwrap();
    let is_bound = |address: &str| address.starts_with("127.0.0.1:") && !address.ends_with(":0");
    assert!(
        media.len() == 1 && media.iter().all(|address| is_bound(address.as_str().unwrap())),
        "{media:?}"
    );
    assert_eq!(
        Path::new(standalone.text("recordings")),
        folder.path().join("recordings")
    );
    assert!(get(&format!("{}/healthz", standalone.text("admin_url"))).starts_with("HTTP/1.1 200 "));
    assert!(get(&format!("{}/readyz", standalone.text("admin_url"))).ends_with("\r\n\r\nready\n"));
}

#[test]
fn sigterm_and_sigint_end_it_with_0() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let mut standalone = Standalone::start(folder.path());
        standalone.signal(signal);
        assert_eq!(standalone.child.wait().unwrap().code(), Some(0), "SIG{signal}");
    }
}

#[test]
fn a_test_picture_is_published_recorded_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut standalone = Standalone::start(folder.path());
    let token = folder.path().join("token");
    std::fs::write(&token, format!("{}\n", standalone.text("token"))).unwrap();
    let mut publish = whipcord(&[
        "publish",
        standalone.text("whip_url"),
        "test",
        "--duration",
        "2s",
        "--json",
    ]);
    let output = publish.arg("--token-file").arg(&token).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&summary["frames_sent"], &summary["audio_frames_sent"]),
        (&60.into(), &100.into())
    );

    standalone.signal("TERM");
    assert!(standalone.child.wait().unwrap().success());
    let recordings: Vec<_> = std::fs::read_dir(folder.path().join("recordings/live"))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(recordings.len(), 1);
    assert!(
        recordings[0]
            .path()
            .extension()
            .is_some_and(|extension| extension == "mp4")
    );
    // Nearly all that was sent is noise, which no container makes smaller.
    let recorded = recordings[0].metadata().unwrap().len();
    let sent = summary["bytes_sent"].as_u64().unwrap();
    assert!(recorded > sent * 95 / 100, "{recorded} bytes recorded of {sent}");
}

#[test]
fn an_interrupted_publish_ends_its_session_and_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let standalone = Standalone::start(folder.path());
    let mut publish = whipcord(&["publish", standalone.text("whip_url"), "test", "--json"]);
    let mut child = publish.env("WHIPCORD_TOKEN", standalone.text("token")).spawn().unwrap();
    let authorization = standalone.text("token");
    let origin = standalone.text("whip_url").strip_suffix("/whip/live").unwrap();
    let connected = || {
        stats(origin, authorization)
            .values()
            .any(|session| session["has_video"] == true)
    };
    let deadline = std::time::Instant::now() + PATIENCE;
    while !connected() {
        assert!(std::time::Instant::now() < deadline, "never connected");
        std::thread::yield_now();
    }
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-s", "INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

fn stats(origin: &str, token: &str) -> serde_json::Map<String, Value> {
    let address = origin.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("host: {address}\r\nauthorization: Bearer {token}\r\nconnection: close");
    write!(stream, "GET /whip-stats HTTP/1.1\r\n{head}\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (_, body) = response.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

#[test]
fn an_address_in_use_ends_it_with_2_and_a_sentence_that_names_the_flag() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = [
        ("--http", tcp.local_addr().unwrap()),
        ("--admin", tcp.local_addr().unwrap()),
        ("--media", udp.local_addr().unwrap()),
    ];
    for (flag, address) in taken {
        let address = address.to_string();
        let mut arguments = vec!["standalone", flag, &address];
        for other in ["--http", "--admin", "--media"]
            .into_iter()
            .filter(|other| *other != flag)
        {
            arguments.extend([other, "127.0.0.1:0"]);
        }
        let folder = tempfile::tempdir().unwrap();
        let output = whipcord(&arguments).current_dir(folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{flag}");
        let sentence = sentence(&output);
        assert!(sentence.contains(&address) && sentence.contains(flag), "{sentence}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [&[&str]; 6] = [
        &["standalone", "--http", "nonsense"],
        &["standalone", "--no-such-flag"],
        &["standalone", "--log", "=,="],
        &["standalone", "--token-secret-file", "absent"],
        &["publish", "http://127.0.0.1:1/whip/live"],
        &["publish", "http://127.0.0.1:1/whip/live", "test", "--duration", "soon"],
    ];
    for arguments in cases {
        let output = whipcord(arguments).current_dir(folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        sentence(&output);
    }
}

#[test]
fn a_publish_that_fails_ends_with_1_and_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let standalone = Standalone::start(folder.path());
    let url = standalone.text("whip_url");
    let cases = [
        (url, "refused with 401 Unauthorized"),
        ("http://127.0.0.1:1/whip/live", "cannot reach 127.0.0.1:1"),
        ("live", "the URL must name a WHIP endpoint"),
    ];
    for (url, expected) in cases {
        let output = whipcord(&["publish", url, "test", "--token", "not-this-one"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{url}");
        let sentence = sentence(&output);
        assert!(
            sentence.contains(expected) && !sentence.contains("not-this-one"),
            "{sentence}"
        );
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn health_says_in_its_exit_code_whether_a_process_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let standalone = Standalone::start(folder.path());
    let health = |url: &str| {
        let mut command = whipcord(&["health", "--admin", url]);
        // Where nobody answers: a proxy for the way out of a container is none to its own loopback.
        command.env("http_proxy", "http://127.0.0.1:1").output().unwrap()
    };
    let ready = health(standalone.text("admin_url"));
    assert_eq!(
        (ready.status.code(), ready.stdout.as_slice()),
        (Some(0), &b"ready\n"[..])
    );
    let (draining, end) = answering("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9\r\n\r\ndraining\n");
    let (whip, _) = standalone.text("whip_url").split_once("/whip").unwrap();
    let cases = [
        (draining.as_str(), "error: not ready: draining"),
        ("http://127.0.0.1:1", "does not answer: Connection refused"),
        (whip, "as no --admin address does"),
    ];
    for (url, expected) in cases {
        let output = health(url);
        assert_eq!(output.status.code(), Some(1), "{url}");
        let sentence = sentence(&output);
        assert!(sentence.contains(expected), "{sentence}");
        assert!(output.stdout.is_empty());
    }
    end.join().unwrap();
}

/// A server on a free port that gives one request this answer.
fn answering(answer: &'static str) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let head = BufReader::new(stream.try_clone().unwrap());
        let head = head.lines().map_while(Result::ok).take_while(|line| !line.is_empty());
        assert!(head.count() > 0);
        stream.write_all(answer.as_bytes()).unwrap();
    });
    (url, serve)
}

#[test]
fn the_help_of_standalone_fits_one_screen() {
    let output = whipcord(&["standalone", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(
        (20..=40).contains(&help.lines().count()),
        "{} lines:\n{help}",
        help.lines().count()
    );
}
