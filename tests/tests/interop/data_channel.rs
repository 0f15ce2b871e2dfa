//! A data channel beside media.

use std::time::Duration;

use whipcord_tests::{encoder::Encoder, eventually, matrix, recording::Recording, whipcord::Whipcord};

const SECONDS: u32 = 6;
const SOON: Duration = Duration::from_secs(20);

/// Chromium's messages come back while its video is recorded, and the session is shown as one that cannot move.
#[test]
fn chromium_opens_a_data_channel() {
    let mut whipcord = Whipcord::standalone_with(&["--data-channel", "echo"]);
    let publishing = Encoder::ChromiumDataChannel.publish(&whipcord, "live", SECONDS);
    let session = eventually("the messages were counted", SOON + SOON, || {
        let session = whipcord.connected("live")?;
        let channels = session.data_channels.as_ref()?;
        (channels.messages_received == 10).then_some(session)
    });
    let channels = session.data_channels.unwrap();
    assert!(session.pinned);
    assert_eq!(channels.open, 1);
    let sent = publishing.sent();
    assert_eq!(sent.echoes, 10);
    assert_eq!(whipcord.terminate().code(), Some(0));
    assert!(whipcord.log().contains("data channel opened"));
    let recording = Recording::read(&whipcord.recording("live"));
    println!(
        "{} messages of {} bytes, {} echoes; {:.3} s recorded, {} pictures of {:?}",
        channels.messages_received,
        channels.bytes_received,
        sent.echoes,
        recording.duration(),
        recording.readable(),
        sent.frames
    );
    assert_eq!(recording.complaints, "");
    assert!(recording.readable() as f64 >= 0.95 * f64::from(sent.frames.unwrap()));
    let words = matrix::words(&recording);
    matrix::note(
        Encoder::ChromiumDataChannel,
        &format!("{words}, {} messages echoed", sent.echoes),
    );
}
