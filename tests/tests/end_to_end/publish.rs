//! `whipcord publish` against `whipcord standalone`.

use std::{
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use whipcord_tests::{
    pattern,
    recording::Recording,
    whipcord::{Whipcord, binary},
};

#[test]
fn a_file_arrives_whole() {
    let mut whipcord = Whipcord::standalone();
    let file = pattern::file().to_str().unwrap();
    let (code, stdout, stderr) = publish(&whipcord, "studio/one", whipcord.token(), &["--duration", "6s", file]);
    assert_eq!(code, Some(0), "{stderr}");
    let summary: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(summary["frames_sent"], 180, "{summary}");
    assert_eq!(whipcord.terminate().code(), Some(0));
    let recording = Recording::read(&whipcord.recording("studio/one"));
    assert_eq!(recording.complaints, "");
    assert_eq!((recording.readable(), recording.numbers()), (180, Some((0, 179))));
    assert!((recording.duration() - 6.0).abs() < 0.05, "{}", recording.duration());
    let late = recording.sound_late();
    assert!(
        late.len() >= 4 && late.iter().all(|late| late.abs() < 0.045),
        "{late:?}"
    );
}

#[test]
fn h265_arrives_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("h265.mp4");
    pattern::encode(&file, 4, "libx265", "0");
    let mut whipcord = Whipcord::standalone();
    let arguments = [file.to_str().unwrap()];
    let (code, stdout, stderr) = publish(&whipcord, "studio", whipcord.token(), &arguments);
    assert_eq!(code, Some(0), "{stderr}");
    let summary: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(summary["frames_sent"], 120, "{summary}");
    assert_eq!(whipcord.terminate().code(), Some(0));
    let recording = Recording::read(&whipcord.recording("studio"));
    assert_eq!(recording.complaints, "");
    assert_eq!((recording.readable(), recording.numbers()), (120, Some((0, 119))));
    assert!((recording.duration() - 4.0).abs() < 0.05, "{}", recording.duration());
    let late = recording.sound_late();
    assert!(
        late.len() >= 3 && late.iter().all(|late| late.abs() < 0.045),
        "{late:?}"
    );
}

#[test]
fn the_generated_picture_is_seen_live() {
    let whipcord = Whipcord::standalone();
    let mut command = command(&whipcord, "studio", whipcord.token(), &["--duration", "3s", "test"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let session = whipcord_tests::eventually("the session is live", Duration::from_secs(20), || {
        whipcord
            .connected("studio")
            .filter(|session| session.packets_received > 0)
    });
    assert!(session.has_video && session.has_audio, "{session:?}");
    assert!(child.wait().unwrap().success());
    assert!(whipcord.connected("studio").is_none());
}

#[test]
fn a_wrong_token_is_refused() {
    let whipcord = Whipcord::standalone();
    let (code, _, stderr) = publish(&whipcord, "studio", "not-a-token", &["--duration", "3s", "test"]);
    assert!(code.is_some_and(|code| code != 0), "{stderr}");
    assert!(stderr.contains("401"), "{stderr}");
    assert!(whipcord.sessions().is_empty());
}

/// From the server's end of a session to the publisher's, on a loaded machine.
const NOTICED: Duration = Duration::from_secs(4);
const ENDED: &str =
    "error: the server ended the session; another publisher may have taken the stream, or it was stopped";

#[test]
fn a_publisher_whose_stream_is_taken_ends_and_the_other_goes_on() {
    let whipcord = Whipcord::standalone();
    let first = live(&whipcord, "60s");
    let mut second = spawn(&whipcord, "60s");
    let noticed = Instant::now();
    let (code, summary, stderr) = finish(first);
    assert_eq!(code, Some(1), "{stderr}");
    assert_eq!(stderr.lines().last(), Some(ENDED), "{stderr}");
    assert!(noticed.elapsed() < NOTICED + CONNECTED, "after {:?}", noticed.elapsed());
    assert_counted_until_then(&summary);

    let received = || whipcord.connected("studio").map(|session| session.packets_received);
    let before = whipcord_tests::eventually("the second is live", CONNECTED, received);
    whipcord_tests::eventually("the second goes on", CONNECTED, || {
        received().filter(|&now| now > before + 50)
    });
    assert_eq!(second.try_wait().unwrap(), None);
    second.kill().unwrap();
    second.wait().unwrap();
}

#[test]
fn a_publisher_ends_when_the_server_is_stopped() {
    let mut whipcord = Whipcord::standalone();
    let publisher = live(&whipcord, "60s");
    assert_eq!(whipcord.terminate().code(), Some(0), "{}", whipcord.log());
    let stopped = Instant::now();
    let (code, summary, stderr) = finish(publisher);
    assert!(stopped.elapsed() < NOTICED, "after {:?}", stopped.elapsed());
    assert_eq!(code, Some(1), "{stderr}");
    assert_eq!(stderr.lines().last(), Some(ENDED), "{stderr}");
    assert_counted_until_then(&summary);
}

#[test]
fn a_refused_token_is_not_quoted() {
    let arguments: [&[&str]; 3] = [
        &["--token", "Bearer eyJsecret"],
        &["--token", "Bearer", "eyJsecret"],
        &["--token", "eyJsecret\u{e9}"],
    ];
    for arguments in arguments {
        let Output { status, stderr, .. } = Command::new(binary())
            .args(["publish", "http://127.0.0.1:9/whip/studio", "test"])
            .args(arguments)
            .output()
            .unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("eyJ"), "{arguments:?}: {stderr}");
        assert_eq!(
            stderr.contains("leave out `Bearer`"),
            arguments[1].starts_with("Bearer"),
            "{arguments:?}: {stderr}"
        );
    }
}

/// A session is live within this, on a loaded machine.
pub(crate) const CONNECTED: Duration = Duration::from_secs(20);

fn spawn(whipcord: &Whipcord, duration: &str) -> Child {
    let mut command = command(whipcord, "studio", whipcord.token(), &["--duration", duration, "test"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Publishes the test pattern as `studio`, and waits until it arrives.
fn live(whipcord: &Whipcord, duration: &str) -> Child {
    let child = spawn(whipcord, duration);
    whipcord_tests::eventually("the session is live", CONNECTED, || {
        whipcord
            .connected("studio")
            .filter(|session| session.packets_received > 50)
    });
    child
}

/// Exit code, summary and stderr of a publisher that ends by itself.
pub(crate) fn finish(child: Child) -> (Option<i32>, Value, String) {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    let summary = serde_json::from_slice(&stdout).unwrap_or_else(|error| panic!("no summary: {error}; {stderr}"));
    (status.code(), summary, stderr)
}

/// 30 pictures a second, and not those of the minute asked for.
fn assert_counted_until_then(summary: &Value) {
    let [frames, milliseconds] = ["frames_sent", "duration_ms"].map(|name| summary[name].as_u64().unwrap());
    assert!(milliseconds < 30_000, "{summary}");
    assert!(frames.abs_diff(milliseconds * 30 / 1000) <= 15, "{summary}");
}

pub(crate) fn publish(
    whipcord: &Whipcord,
    stream: &str,
    token: &str,
    arguments: &[&str],
) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command(whipcord, stream, token, arguments).output().unwrap();
    (
        status.code(),
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

pub(crate) fn command(whipcord: &Whipcord, stream: &str, token: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(["publish", &whipcord.whip_url(stream), "--token", token, "--json"])
        .args(arguments);
    command
}
