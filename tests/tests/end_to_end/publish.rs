//! `whipcord publish` against `whipcord standalone`.

use std::{
    process::{Command, Output, Stdio},
    time::Duration,
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

fn publish(whipcord: &Whipcord, stream: &str, token: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command(whipcord, stream, token, arguments).output().unwrap();
    (
        status.code(),
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

fn command(whipcord: &Whipcord, stream: &str, token: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(["publish", &whipcord.whip_url(stream), "--token", token, "--json"])
        .args(arguments);
    command
}
