//! The gateway's page in a browser whose network is taken away.

use std::time::Duration;

use whipcord_tests::{eventually, lan::Host, page::Visit, recording::Recording, whipcord::Whipcord};

/// What a scene is given; this one has waits of its own.
const SECONDS: u32 = 8;
/// A browser's start, and connecting.
const LIVE: Duration = Duration::from_secs(60);
/// Those two seconds, the two that the scene waits for in the end, and what a loaded machine adds, in seconds.
const SAID: f64 = 15.0;
/// A second or two of the picture.
const RECORDED_BYTES: u64 = 100_000;

/// Its cable is pulled, and found again with another address: nothing of the old path is left, not even the browser's own end.
#[test]
fn a_browser_whose_address_changes_says_so_and_its_session_goes_on() {
    let mut whipcord = Whipcord::standalone_on_lan();
    let host = Host::of(&whipcord);
    let visit = Visit::start_on(&host, &whipcord.origin(), whipcord.token(), "moved-host", SECONDS);
    let recorded = || {
        let files = whipcord.recordings("live").into_iter();
        let bytes = files.filter_map(|file| Some(file.metadata().ok()?.len())).sum::<u64>();
        (bytes > RECORDED_BYTES).then_some(())
    };
    eventually("pictures come", LIVE, recorded);
    host.leave();
    let logged = |text| whipcord.log().contains(text).then_some(());
    eventually("the server misses it", LIVE, || {
        logged("connection state: disconnected")
    });
    host.come_back_elsewhere();
    eventually("it is back on another path", LIVE, || logged("ICE restarted"));
    let said = visit.said();
    let interrupted = said.interrupted.unwrap();
    assert!(
        interrupted.what.contains("the network path changed or broke"),
        "{}",
        interrupted.what
    );
    assert_eq!((said.state.as_str(), said.what.as_str()), ("Live", ""));
    assert_eq!(said.connections, Some(1), "media goes on in the same connection");
    assert!(said.restarts >= Some(1));
    assert_eq!(whipcord.terminate().code(), Some(0));
    assert_eq!(whipcord.log().matches("profile=").count(), 1, "DTLS was done once");
    let recording = Recording::read(&whipcord.recording("live"));
    let (numbers, gap) = (recording.numbers(), recording.longest_gap());
    println!(
        "{} restarts; pictures {numbers:?} in {:.1} s, of which {gap:.1} s are missing",
        said.restarts.unwrap(),
        recording.duration()
    );
    assert_eq!(recording.complaints, "");
    // Pictures of before and after are in the one file, and between them the 7 s after which a server misses an encoder.
    assert!(recording.readable() > 60, "{} pictures", recording.readable());
    assert!((6.0..20.0).contains(&gap), "{gap} s");
    // The page says that it is live when it is, and not when its next try would be due, 20 s later.
    assert!(
        recording.duration() - gap < SAID,
        "{} s with pictures",
        recording.duration() - gap
    );
}
