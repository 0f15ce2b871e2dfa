//! Recordings of a process that stood still for longer than its lease.

use super::*;
use crate::voice::LEASE;

/// Mute, with one recording, whose media waits.
fn mute(folder: &Path) -> (Recorder, Writers, Voice, Feeder) {
    let voice = Voice::new();
    let (recorder, writers) = Recorder::start(folder.to_owned(), &voice).unwrap();
    let mut feeder = Feeder::new(&recorder, "cam", 1, &[]);
    voice.stand_still(LEASE * 2);
    let stopped = voice.stops();
    assert!(!voice.may_speak(), "{stopped:?}");
    feeder.feed(Duration::from_secs(2));
    // Its writer has had turns.
    let before = voice.looked_ms();
    eventually("the writer looks", || {
        voice.looked_ms() > before + 3 * TICK.as_millis() as u64
    });
    (recorder, writers, voice, feeder)
}

#[test]
fn nothing_is_written_until_it_may_speak_again() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, writers, voice, feeder) = mute(folder.path());
    let path = folder.path().join(feeder.progress.path());
    assert!(!path.exists());
    voice.confirm(voice.stops());
    eventually("what waited is written", || size(&path) > 4000);
    drop(feeder);
    join(&recorder, writers);
}

#[test]
fn what_ends_while_it_may_not_speak_is_not_finished() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, writers, _voice, feeder) = mute(folder.path());
    let path = folder.path().join(feeder.progress.path());
    drop(feeder);
    join(&recorder, writers);
    assert!(!path.exists());
}

#[test]
fn of_a_session_that_was_taken_nothing_is_written_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, writers, voice, feeder) = mute(folder.path());
    let path = folder.path().join(feeder.progress.path());
    feeder.tap.discard();
    voice.confirm(voice.stops());
    join(&recorder, writers);
    assert!(!path.exists());
}
