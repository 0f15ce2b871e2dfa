//! The gateway's own page in a real browser: what a person sees of a good day and of bad ones.

use std::time::Duration;

use whipcord_tests::{
    encoder::Encoder,
    eventually, matrix,
    network::{Impairment, Network},
    page::{Said, Visit},
    recording::{Recording, picture_sizes},
    whipcord::Whipcord,
};

/// How long streams are, in seconds.
const SECONDS: u32 = 8;
/// A browser's start, and connecting.
const LIVE: Duration = Duration::from_secs(60);
/// Less than after how long a session without packets ends by itself.
const LEFT: Duration = Duration::from_secs(10);
/// The part of the encoded pictures that must be in the recording.
const PICTURES: f64 = 0.98;
/// What is measured from the outside as live, and the recording, differ by the time it takes to press a button on a loaded machine.
const DURATION: f64 = 1.0;
/// As for other streams that a browser draws and plays.
const LIP_SYNC: f64 = 0.1;

#[test]
fn the_page_publishes_the_test_picture() {
    let mut whipcord = Whipcord::standalone();
    let said = visit(&whipcord, "publish");
    assert_eq!((said.state.as_str(), said.what.as_str()), ("Live", ""));
    assert_eq!(said.focus, "stop");
    let after = said.after.as_deref().unwrap();
    assert_eq!(
        (after.state.as_str(), after.focus.as_str()),
        ("Not publishing", "start")
    );
    assert!(
        whipcord.log().contains("reason=\"deleted\""),
        "the page ends its session"
    );
    let file = whipcord.recording("live");
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(said.recording.contains(&format!("live/{name} ")), "{}", said.recording);
    for (figure, unit) in [
        ("Video", "bit/s"),
        ("Sound", "bit/s"),
        ("Round trip", " ms"),
        ("Size", " × "),
    ] {
        let value = said.figure(figure).unwrap_or_default();
        assert!(value.contains(unit), "{figure}: {value:?}");
    }
    let rate: f64 = said.figure("Frames per second").unwrap().parse().unwrap();
    assert!((10.0..=35.0).contains(&rate), "{rate}");
    assert_eq!(whipcord.terminate().code(), Some(0));
    holds_what_was_encoded(&said, &Recording::read(&file));
}

#[test]
fn a_link_that_was_refused_at_first_plays_the_recording_while_it_grows_and_after() {
    let whipcord = Whipcord::standalone();
    let said = visit(&whipcord, "recording");
    let all = said.played.unwrap();
    println!("{all:?}");
    assert!(said.heads.unwrap() > 1, "asked again after a refusal");
    let [growing, listed, ended] = all.as_slice() else {
        panic!("{all:?}")
    };
    for played in &all {
        assert_eq!(played.error, "", "{played:?}");
        assert!(played.width > 0, "{played:?}");
        // What there was when the link was opened, to its end.
        assert!(
            played.time > f64::from(SECONDS) - 3.0 && played.pictures > 100,
            "{played:?}"
        );
        assert!((played.duration - played.time).abs() < 0.5, "{played:?}");
    }
    assert!(growing.time <= listed.time && listed.time <= ended.time, "it grows");
    assert_eq!(said.state, "Not publishing");
    assert_eq!(said.streams_said, "No stream that this token may see is live.");
}

#[test]
fn the_page_publishes_from_firefox() {
    let mut whipcord = Whipcord::standalone();
    let sent = Encoder::FirefoxPage.publish(&whipcord, "live", SECONDS).sent();
    let log = whipcord.log();
    assert!(log.contains("reason=\"deleted\""), "{log}");
    assert_eq!(whipcord.terminate().code(), Some(0));
    let recording = Recording::read(&whipcord.recording("live"));
    println!(
        "live for {:.1} s; recorded {:.1} s, {} pictures",
        sent.seconds,
        recording.duration(),
        recording.readable()
    );
    assert_eq!(recording.complaints, "", "the decoders complain");
    // Firefox sends its first packet 2 s after it has connected, and leaves out pictures on a busy machine.
    assert!(recording.duration() > sent.seconds - 4.0 && recording.readable() > 40);
    matrix::note(Encoder::FirefoxPage, &matrix::words(&recording));
}

#[test]
fn the_test_picture_goes_on_while_another_tab_is_looked_at() {
    let whipcord = Whipcord::standalone();
    let said = visit(&whipcord, "hidden");
    assert_eq!(
        (said.state.as_str(), said.visibility.as_deref()),
        ("Live", Some("hidden"))
    );
    let rate = f64::from(said.frames.unwrap()) / said.seconds.unwrap();
    let recording = Recording::read(&whipcord.recording("live"));
    println!(
        "{rate:.1} pictures a second in the background; at most {:.2} s from one to the next",
        recording.longest_gap()
    );
    assert!(rate > 15.0, "{rate} pictures a second");
    assert!(
        recording.longest_gap() < 1.0,
        "{} s without a picture",
        recording.longest_gap()
    );
}

#[test]
fn a_screen_is_published_until_it_is_no_longer_shared() {
    let whipcord = Whipcord::standalone();
    let said = visit(&whipcord, "screen");
    assert_eq!((said.state.split(',').next(), said.what.as_str()), (Some("Live"), ""));
    let after = said.after.unwrap();
    assert_eq!(after.what, "The screen is no longer shared.");
    assert!(after.todo.contains("choose what to share"), "{}", after.todo);
    assert!(whipcord.log().contains("reason=\"deleted\""));
    // A screen of X has no sound.
    let pictures = picture_sizes(&whipcord.recording("live"));
    let seconds = said.seconds.unwrap();
    println!(
        "{} pictures of a screen in {seconds:.1} s, the last of {:?}",
        pictures.len(),
        pictures.last()
    );
    assert!(pictures.len() as f64 > 10.0 * (seconds - 3.0), "{}", pictures.len());
}

#[test]
fn the_page_publishes_simulcast() {
    let whipcord = Whipcord::standalone();
    let said = visit(&whipcord, "simulcast");
    assert_eq!(said.state, "Live");
    let rids: Vec<&str> = said
        .layers
        .lines()
        .skip(1)
        .filter_map(|line| line.split('\t').next())
        .collect();
    assert_eq!(rids, ["f", "h", "q"], "{}", said.layers);
    let recording = Recording::read(&whipcord.recording("live"));
    assert_eq!(recording.complaints, "", "the decoders complain");
}

#[test]
fn without_a_secure_context_the_page_says_so_and_publishes_the_test_picture() {
    let whipcord = Whipcord::standalone();
    let said = visit(&whipcord, "insecure");
    assert!(
        said.insecure.contains("plain http from ingest.test"),
        "{}",
        said.insecure
    );
    assert_eq!(said.state, "Live");
    assert_eq!(Recording::read(&whipcord.recording("live")).complaints, "");
}

#[test]
fn a_camera_is_refused_and_then_allowed() {
    let whipcord = Whipcord::standalone();
    let said = visit(&whipcord, "camera");
    let refused = said.refused.as_deref().unwrap();
    assert_eq!(refused.state, "Not publishing");
    assert_eq!(refused.what, "The browser may not use the camera or the microphone.");
    assert!(
        refused.todo.contains("Allow them") && refused.todo.contains("test picture"),
        "{}",
        refused.todo
    );
    assert_eq!((said.state.as_str(), said.what.as_str()), ("Live", ""));
    assert!(!whipcord.recordings("live").is_empty());
}

#[test]
fn an_absent_camera_is_told() {
    let said = visit(&Whipcord::standalone(), "no-camera");
    assert_eq!(said.what, "No camera and no microphone was found.");
    assert!(said.todo.contains("Plug one in"), "{}", said.todo);
}

#[test]
fn a_wrong_token_is_told_in_the_servers_words() {
    let whipcord = Whipcord::standalone();
    let said = visit(&whipcord, "wrong-token");
    assert_eq!(said.state, "Not publishing");
    assert_eq!(said.what, "The server refuses the token: the token is not valid here.");
    assert!(
        said.todo.contains("Copy the token that the server printed"),
        "{}",
        said.todo
    );
    assert_eq!(said.focus, "start");
}

#[test]
fn a_server_that_is_gone_is_told_and_tried_again() {
    let mut whipcord = Whipcord::standalone();
    let visit = Visit::start(&whipcord.origin(), whipcord.token(), "killed", SECONDS);
    eventually("the page is live", LIVE, || whipcord.connected("live"));
    whipcord.kill();
    // It has seen the first try and the second.
    let said = visit.said();
    assert!(
        said.state.starts_with("Not live. Trying again in 2 s"),
        "{}",
        said.state
    );
    assert!(said.what.ends_with(" does not answer."), "{}", said.what);
    assert!(said.todo.contains("Look whether it runs"), "{}", said.todo);
    assert_eq!(said.after.unwrap().state, "Not publishing");
}

#[test]
fn a_changed_network_path_is_told_and_the_session_goes_on() {
    let mut whipcord = Whipcord::standalone();
    let network = Network::to(&whipcord, Impairment::NONE);
    let visit = Visit::start(&network.origin(), whipcord.token(), "moved", SECONDS);
    // Some seconds of media are 100 packets each.
    let received = || {
        whipcord
            .connected("live")
            .filter(|session| session.packets_received > 300)
    };
    eventually("the page is live", LIVE, received);
    let ids = || whipcord.sessions().into_keys().collect::<Vec<_>>();
    let before = ids();
    network.cut();
    eventually("the page is back on another path", LIVE, || {
        whipcord.log().contains("ICE restarted").then_some(())
    });
    assert_eq!(ids(), before);
    let said = visit.said();
    let interrupted = said.interrupted.unwrap();
    assert!(
        interrupted.what.contains("the network path changed or broke"),
        "{}",
        interrupted.what
    );
    assert_eq!((said.state.as_str(), said.what.as_str()), ("Live", ""));
    assert_eq!(said.connections, Some(1), "media goes on in the same connection");
    assert!(said.restarts.unwrap() >= 1);
    assert_eq!(whipcord.terminate().code(), Some(0));
    let recording = Recording::read(&whipcord.recording("live"));
    assert_eq!(recording.complaints, "");
    // The gap alone is longer than 3 s; pictures of before and after it are in the one file.
    let (first, last) = recording.numbers().unwrap();
    assert!(last - first > 150, "{first}..={last}");
    let ended = recording.pictures.last().unwrap().at;
    let jump = recording
        .pictures
        .windows(2)
        .map(|pair| pair[1].at - pair[0].at)
        .fold(0.0, f64::max);
    println!("pictures {first}..={last} in {ended:.1} s, of which {jump:.1} s are missing");
    assert!(jump < 20.0, "{jump} s without a picture");
}

#[test]
fn another_publisher_is_told_and_not_evicted_in_turn() {
    let whipcord = Whipcord::standalone();
    let first = Visit::start(&whipcord.origin(), whipcord.token(), "taken", SECONDS);
    eventually("the first page is live", LIVE, || whipcord.connected("live"));
    let second = visit(&whipcord, "publish");
    assert_eq!((second.state.as_str(), second.what.as_str()), ("Live", ""));
    assert_eq!(first.said().what, "Another publisher took the stream “live”.");
    assert_eq!(whipcord.recordings("live").len(), 2);
}

#[test]
fn media_that_does_not_get_through_is_told_with_its_address() {
    let whipcord = Whipcord::standalone();
    let nothing = Impairment {
        loss_up: 1.0,
        ..Impairment::NONE
    };
    let network = Network::to(&whipcord, nothing);
    let said = Visit::start(&network.origin(), whipcord.token(), "blocked", SECONDS).said();
    assert!(
        said.what.contains("no media gets through to 127.0.0.1 port "),
        "{}",
        said.what
    );
    assert!(
        said.todo.contains("firewalls") && said.todo.contains("--advertise"),
        "{}",
        said.todo
    );
}

#[test]
fn a_page_that_is_left_ends_its_session() {
    let whipcord = Whipcord::standalone();
    Visit::start(&whipcord.origin(), whipcord.token(), "left", SECONDS).said();
    eventually("the session has ended", LEFT, || {
        whipcord.sessions().is_empty().then_some(())
    });
    assert!(whipcord.log().contains("reason=\"deleted\""), "{}", whipcord.log());
}

#[test]
fn the_lines_for_other_encoders_have_the_address_and_the_token() {
    let whipcord = Whipcord::standalone();
    let said = visit(&whipcord, "lines");
    let (url, token) = (whipcord.whip_url("live/studio-1"), whipcord.token());
    let (hidden, shown) = (said.hidden.unwrap(), said.shown.unwrap());
    assert_eq!((shown[0].as_str(), shown[1].as_str()), (url.as_str(), token));
    for (line, program) in shown[2..]
        .iter()
        .zip(["ffmpeg ", "gst-launch-1.0 ", "whipcord publish "])
    {
        assert!(
            line.starts_with(program) && line.contains(&url) && line.contains(token),
            "{line}"
        );
    }
    assert!(
        hidden.len() == shown.len() && hidden.iter().all(|line| !line.contains(token)),
        "{hidden:?}"
    );
    assert_eq!(
        said.kept.unwrap(),
        (0, vec![token.to_owned()]),
        "the token is kept in the tab only"
    );
}

#[test]
fn the_page_can_be_used_without_a_mouse_and_on_a_phone() {
    let said = visit(&Whipcord::standalone(), "looks");
    assert_eq!(said.nameless.unwrap(), [""; 0], "without a name");
    assert_eq!(said.width, Some(360), "a phone does not scroll sideways");
    let order: Vec<&str> = said
        .order
        .iter()
        .flatten()
        .flatten()
        .map(String::as_str)
        .take(7)
        .collect();
    assert_eq!(
        order,
        ["source", "stream", "token", "show-token", "codec", "simulcast", "start"]
    );
}

fn visit(whipcord: &Whipcord, scene: &'static str) -> Said {
    Visit::start(&whipcord.origin(), whipcord.token(), scene, SECONDS).said()
}

fn holds_what_was_encoded(said: &Said, recording: &Recording) {
    let late = recording.sound_late();
    let (seconds, frames) = (said.seconds.unwrap(), said.frames.unwrap());
    println!(
        "live for {seconds:.3} s, {frames} pictures; recorded {:.3} s, {} pictures; sound late {late:.3?}",
        recording.duration(),
        recording.readable()
    );
    assert_eq!(recording.complaints, "", "the decoders complain");
    assert!(
        recording.readable() as f64 >= PICTURES * f64::from(frames),
        "{}",
        recording.readable()
    );
    assert!(
        (recording.duration() - seconds).abs() <= DURATION,
        "{} s",
        recording.duration()
    );
    assert!(late.len() >= 4, "few flashes with a beep: {late:.3?}");
    assert!(
        late.iter().all(|late| late.abs() <= LIP_SYNC),
        "sound is late by {late:.3?} s"
    );
}
