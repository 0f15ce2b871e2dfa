//! What the command line says to people who gave it something wrong: what is expected, and where to give it.

#![allow(clippy::unwrap_used, reason = "all of this is tests")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read, Write as _},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

const WHIPCORD: &str = env!("CARGO_BIN_EXE_whipcord");
/// A start takes well under a second; a loaded machine gets this long.
const PATIENCE: Duration = Duration::from_secs(30);

fn whipcord(arguments: &[&str]) -> Command {
    let mut command = Command::new(WHIPCORD);
    for inherited in ["RUST_LOG", "WHIPCORD_TOKEN", "WHIPCORD_ADMIN_URL"] {
        command.env_remove(inherited);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Its one sentence, and the exit code.
#[track_caller]
fn failed(output: &Output) -> (i32, String) {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let sentence = text.lines().find(|line| line.starts_with("error: "));
    (output.status.code().unwrap(), sentence.unwrap_or(&text).to_owned())
}

#[test]
fn a_value_of_the_wrong_form_is_answered_with_the_right_one() {
    let gateway = ["gateway", "--session-keys", "absent", "--insecure-internal"];
    let worker = ["worker", "--ice-keys", "absent", "--insecure-internal"];
    let table: [(&[&str], &[&str], &str); 11] = [
        (
            &["standalone"],
            &["--http", "8080"],
            "it is IP:PORT, as in 0.0.0.0:8080",
        ),
        (
            &["standalone"],
            &["--admin", "localhost:9090"],
            "it is IP:PORT, as in 0.0.0.0:8080",
        ),
        (
            &["standalone"],
            &["--media", "8189"],
            "it is IP:PORT, as in 0.0.0.0:8189",
        ),
        (
            &["standalone"],
            &["--trusted-proxy", "10.0.0.1/33"],
            "a network is IP/BITS, as in 10.0.0.0/8",
        ),
        (&gateway, &["--grpc", "7000"], "it is IP:PORT"),
        (&gateway, &["--cluster-id", "Prod EU"], "a cluster's name has 1 to 63"),
        (
            &worker,
            &["--gateway", "http://10.0.0.5:7000"],
            "an address is HOST:PORT, as in 10.0.0.5:7000",
        ),
        (
            &worker,
            &["--gateway", "10.0.0.5"],
            "an address is HOST:PORT, as in 10.0.0.5:7000",
        ),
        (
            &worker,
            &["--gateway", "a:1", "--grpc-advertise", "http://w:1"],
            "an address is HOST:PORT",
        ),
        (
            &["workers"],
            &["--admin", "127.0.0.1:9090"],
            "begin with http://, as in http://127.0.0.1:9090",
        ),
        (
            &["sessions"],
            &["--admin", "localhost:9090"],
            "begin with http://, as in http://127.0.0.1:9090",
        ),
    ];
    for (command, wrong, expected) in table {
        let (code, sentence) = failed(&whipcord(command).args(wrong).output().unwrap());
        assert!(code == 2 && sentence.contains(expected), "{wrong:?}: {code} {sentence}");
    }
}

#[test]
fn an_empty_token_is_said_to_be_empty() {
    for command in [
        &["workers"][..],
        &["drain", "--all"],
        &["publish", "http://127.0.0.1:1/whip/live", "test"],
        &["doctor", "http://127.0.0.1:1/whip/live"],
    ] {
        let output = whipcord(command).env("WHIPCORD_TOKEN", "").output().unwrap();
        let (code, sentence) = failed(&output);
        assert!(
            code == 1 && sentence.contains("WHIPCORD_TOKEN (or --token) is empty"),
            "{command:?}: {sentence}"
        );
    }
}

#[test]
fn an_address_of_another_machine_is_not_to_be_freed() {
    // 192.0.2.0/24 is for documentation: no machine has such an address.
    for flag in ["--http", "--media", "--admin"] {
        let mut command = whipcord(&["standalone", flag, "192.0.2.1:8080"]);
        for other in ["--http", "--media", "--admin"].iter().filter(|other| **other != flag) {
            command.args([other, "127.0.0.1:0"]);
        }
        let folder = tempfile::tempdir().unwrap();
        let (code, sentence) = failed(&command.current_dir(folder.path()).output().unwrap());
        let expected = format!("this machine has no such address: choose another with {flag}");
        assert!(code == 2 && sentence.ends_with(&expected), "{sentence}");
    }
}

#[test]
fn a_token_that_is_not_good_fails_its_inspection() {
    let folder = tempfile::tempdir().unwrap();
    let secret = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).to_str().unwrap().to_owned()
    };
    let (one, other) = (secret("one", &"a".repeat(40)), secret("other", &"b".repeat(40)));
    let made = whipcord(&["token", "make", "--stream", "*", "--token-secret-file", &one])
        .output()
        .unwrap();
    let inspect = |arguments: &[&str]| {
        let mut command = whipcord(&["token", "inspect"]);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&made.stdout).unwrap();
        child.wait_with_output().unwrap()
    };
    let good = inspect(&["--token-secret-file", &one]);
    assert!(good.status.success() && good.stdout.ends_with(b"good\n"), "{good:?}");
    assert!(inspect(&[]).status.success(), "nobody asked whether it is good");
    let bad = inspect(&["--token-secret-file", &other]);
    assert!(bad.stdout.starts_with(b"{"), "the claims all the same");
    assert_eq!(
        failed(&bad),
        (
            1,
            "error: the token is not good: the token is not valid here".to_owned()
        )
    );
}

/// Killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server, and returns its line of JSON and the lines of its log.
fn start(command: &mut Command) -> (Running, serde_json::Value, mpsc::Receiver<String>) {
    let mut child = command
        .arg("--json")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = lines(child.stdout.take().unwrap());
    let log = lines(child.stderr.take().unwrap());
    let ready = stdout.recv_timeout(PATIENCE).unwrap();
    (Running(child), serde_json::from_str(&ready).unwrap(), log)
}

fn lines(output: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // A test that has seen enough has gone.
            let _ = sender.send(line);
        }
    });
    lines
}

#[test]
fn an_address_without_the_api_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut standalone = whipcord(&["standalone", "--http", "127.0.0.1:0", "--media", "127.0.0.1:0"]);
    standalone.args(["--admin", "127.0.0.1:0"]).current_dir(folder.path());
    let (_standalone, ready, _log) = start(&mut standalone);
    let encoders = ready["whip_url"].as_str().unwrap().trim_end_matches("/whip/live");

    fs::write(folder.path().join("ice.keys"), ice_keys(folder.path())).unwrap();
    let mut worker = whipcord(&[
        "worker",
        "--insecure-internal",
        "--gateway",
        "127.0.0.1:1",
        "--grpc",
        "127.0.0.1:0",
    ]);
    worker.args([
        "--media",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--ice-keys",
        "ice.keys",
    ]);
    let (_worker, ready, log) = start(worker.current_dir(folder.path()));
    let deadline = Instant::now() + PATIENCE;
    let complaint = std::iter::from_fn(|| {
        log.recv_timeout(deadline.saturating_duration_since(Instant::now()))
            .ok()
    })
    .find(|line| line.contains("no report to the directory"))
    .unwrap();
    assert!(
        complaint.contains(r#"gateway="127.0.0.1:1""#) && complaint.contains("is that its --grpc address"),
        "{complaint}"
    );

    for admin in [encoders, ready["admin_url"].as_str().unwrap()] {
        let output = whipcord(&["workers", "--admin", admin, "--token", "a-token"])
            .output()
            .unwrap();
        let (code, sentence) = failed(&output);
        assert!(
            code == 1 && sentence.contains(&format!("{admin}/ is not a gateway's --admin address")),
            "{sentence}"
        );
    }
}

#[test]
fn a_gateway_that_is_none_is_told_of_once_of_each_reason() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ice.keys"), ice_keys(folder.path())).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = listener.local_addr().unwrap().to_string();
    let mut worker = whipcord(&[
        "worker",
        "--insecure-internal",
        "--gateway",
        &gateway,
        "--grpc",
        "127.0.0.1:0",
    ]);
    worker.args([
        "--media",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--ice-keys",
        "ice.keys",
    ]);
    let (worker, _, log) = start(worker.current_dir(folder.path()));
    // Each is closed at once, as by something that speaks no HTTP/2.
    for attempt in 0..6 {
        assert!(listener.accept().is_ok(), "attempt {attempt}");
    }
    drop(worker);
    let complaints: Vec<String> = log
        .iter()
        .filter(|line| line.contains("no report to the directory"))
        .collect();
    // A connection that is closed at once is now and then reset.
    assert!((1..=3).contains(&complaints.len()), "{complaints:#?}");
    assert!(
        complaints[0].contains(&format!(r#"gateway="{gateway}""#)),
        "{complaints:#?}"
    );
}

fn ice_keys(folder: &Path) -> Vec<u8> {
    let keys = folder.join("keys");
    assert!(whipcord(&["keygen"]).arg(&keys).status().unwrap().success());
    fs::read(keys.join("ice.keys")).unwrap()
}

/// A server that answers nothing but that it wants a password. It counts its connections.
fn redis_with_a_password() -> (u16, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, connections) = mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = sender.send(());
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut buffer) {
                    // `*`, and the number of its words, begins each command (RESP).
                    for _ in buffer[..read].iter().filter(|byte| **byte == b'*') {
                        let _ = stream.write_all(b"-NOAUTH Authentication required.\r\n");
                    }
                }
            });
        }
    });
    (port, connections)
}

#[test]
fn a_redis_that_wants_a_password_is_told_of_once() {
    let folder = tempfile::tempdir().unwrap();
    assert!(whipcord(&["keygen"]).arg(folder.path()).status().unwrap().success());
    let (port, connections) = redis_with_a_password();
    let mut gateway = whipcord(&[
        "gateway",
        "--insecure-internal",
        "--http",
        "127.0.0.1:0",
        "--grpc",
        "127.0.0.1:0",
    ]);
    gateway
        .args([
            "--admin",
            "127.0.0.1:0",
            "--session-keys",
            "session.keys",
            "--token-secret-file",
            "token.secret",
        ])
        .args(["--redis", &format!("redis://127.0.0.1:{port}")])
        .current_dir(folder.path());
    let (gateway, _, log) = start(&mut gateway);
    for attempt in 0..8 {
        assert!(connections.recv_timeout(PATIENCE).is_ok(), "attempt {attempt}");
    }
    drop(gateway);
    let log: Vec<String> = log
        .iter()
        .filter(|line| line.to_lowercase().contains("redis"))
        .collect();
    let expected =
        format!("Redis at redis://127.0.0.1:{port}/0 wants a password: give --redis-password-file (and --redis-user)");
    assert!(log.len() == 1 && log[0].contains(&expected), "{log:#?}");
}
