//! ICE restarts while media flows.

use std::{net::SocketAddr, time::Duration};

use whipcord_tests::{
    encoder::Encoder,
    eventually, matrix,
    network::{Impairment, Network},
    recording::Recording,
    whipcord::{Session, Whipcord},
};

const SECONDS: u32 = 12;
const CONNECTED: Duration = Duration::from_secs(20);
/// What it was told to send, and its start and end.
const ENDED: Duration = Duration::from_secs(60);
/// No picture may be missed for longer, in seconds.
const GAP: f64 = 0.5;

/// After 3 s: a restart with half of its credentials, one whose answer is lost, and one that replaces it.
#[test]
fn chromium_restarts_ice() {
    restarts(Encoder::ChromiumRestart);
}

/// It then keeps to the old ufrag of the server, and so never checks with the new one.
#[test]
fn chromium_restarts_ice_and_is_answered_late() {
    restarts(Encoder::ChromiumRestartSlow);
}

fn restarts(encoder: Encoder) {
    let mut whipcord = Whipcord::standalone();
    let mut publishing = encoder.publish(&whipcord, "live", SECONDS);
    eventually("connected", CONNECTED, || whipcord.connected("live"));
    let mut remotes = Vec::new();
    eventually("the encoder has ended", ENDED, || {
        look(&whipcord, &mut remotes);
        (!publishing.is_running()).then_some(())
    });
    publishing.sent();
    let words = went_on(&mut whipcord, &remotes, 2);
    matrix::note(encoder, &words);
}

/// The same, and once the new credentials carry media from a new port the encoder's address changes without a word.
#[test]
fn chromium_restarts_ice_and_then_moves() {
    let mut whipcord = Whipcord::standalone();
    let network = Network::to(&whipcord, Impairment::NONE);
    let mut publishing = Encoder::ChromiumRestart.publish_to(&network.whip_url("live"), &whipcord, SECONDS, &[]);
    eventually("connected", CONNECTED, || whipcord.connected("live"));
    let mut remotes = Vec::new();
    eventually("restarted", CONNECTED, || {
        look(&whipcord, &mut remotes);
        (remotes.len() == 2 && whipcord.log().contains("ICE restarted")).then_some(())
    });
    network.move_encoders();
    eventually("the encoder has ended", ENDED, || {
        look(&whipcord, &mut remotes);
        (!publishing.is_running()).then_some(())
    });
    publishing.sent();
    went_on(&mut whipcord, &remotes, 3);
}

/// The session, while it is there, is connected; notes where the encoder is.
fn look(whipcord: &Whipcord, remotes: &mut Vec<SocketAddr>) {
    let sessions: Vec<Session> = whipcord.sessions().into_values().collect();
    for session in sessions {
        assert_eq!(session.connection_state, "connected");
        remotes.extend(session.remote.filter(|remote| remotes.last() != Some(remote)));
    }
}

/// One session with one handshake, from so many addresses, and a recording without a gap. What was seen, for the matrix.
fn went_on(whipcord: &mut Whipcord, remotes: &[SocketAddr], addresses: usize) -> String {
    assert_eq!(whipcord.terminate().code(), Some(0));
    let log = whipcord.log();
    let lines = |text| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(lines("connection state: connected"), 1, "DTLS was done once");
    assert_eq!((lines("ICE restarted"), lines("track received")), (1, 2));
    assert_eq!(remotes.len(), addresses, "{remotes:?}");
    let recording = Recording::read(&whipcord.recording("live"));
    let gap = recording.longest_gap();
    println!(
        "{remotes:?}; {} s recorded, longest gap {gap:.3} s",
        recording.duration()
    );
    assert_eq!(recording.complaints, "");
    assert!(gap <= GAP, "{gap} s");
    assert!(
        recording.duration() >= f64::from(SECONDS) - 1.5,
        "{} s",
        recording.duration()
    );
    let words = matrix::words(&recording);
    format!("{words}, one handshake, {gap:.2} s without a picture at most")
}
