//! A worker that stands still for longer than its lease (SIGSTOP), and then goes on where it was.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Child,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use whipcord_tests::{
    cluster::Cluster,
    eventually,
    fault::{Cost, Extent},
    network::{Impairment, Network},
    recording::Recording,
};

use crate::cluster::{finish, live, publisher_to, wait_until_live};

/// A lease is 3 s.
fn stand_still() -> Duration {
    Duration::from_secs(Extent::of_this_run().choose(5, 10))
}

/// A worker with one live stream, and between the two a network that counts.
fn stage(duration: &str) -> (Cluster, Network, Child, PathBuf) {
    let cluster = Cluster::start(1, 1);
    let network = Network::between(&cluster.origin(0), cluster.media(0), Impairment::NONE);
    let child = publisher_to(&network.whip_url("studio"), cluster.token(), &["--duration", duration]);
    wait_until_live(&cluster, 0, "studio");
    let file = eventually("the recording has bytes", Duration::from_secs(20), || {
        cluster.recordings("studio").pop().filter(|file| bytes(file) > 0)
    });
    eventually("media is acknowledged", Duration::from_secs(20), || {
        (network.acknowledgements() > 0).then_some(())
    });
    (cluster, network, child, file)
}

fn bytes(file: &Path) -> u64 {
    fs::metadata(file).unwrap().len()
}

/// Waits until it has been stopped for as long as it shall.
fn wait_out(stopped: Instant) {
    let limit = stand_still() + Duration::from_secs(20);
    eventually("the time is over", limit, || {
        (stopped.elapsed() >= stand_still()).then_some(())
    });
}

#[test]
fn a_stream_that_was_taken_meanwhile_is_neither_acknowledged_nor_written() {
    let (mut cluster, network, mut first, file) = stage("60s");
    cluster.start_worker(1, &[]);
    cluster.wait_until_known(1);
    cluster.stop_worker(0);
    let stopped = Instant::now();
    let written = bytes(&file);
    eventually("nothing is placed there", Duration::from_secs(10), || {
        (cluster.health(0, 0).as_deref() != Some("alive")).then_some(())
    });
    let noticed = stopped.elapsed();
    let second = live(&cluster, 0, "studio", "20s");
    wait_out(stopped);
    assert!(
        first.try_wait().unwrap().is_none(),
        "nobody sends what could be acknowledged"
    );
    let acknowledgements = network.acknowledgements();
    assert_eq!(bytes(&file), written, "it was not stopped");

    cluster.signal_worker(0, Signal::CONT);
    let resumed = Instant::now();
    eventually("its session ends", Duration::from_secs(20), || {
        cluster.worker_log(0).contains("reason=\"replaced\"").then_some(())
    });
    let recovered = resumed.elapsed();
    // That it was told so shows that it speaks again.
    let (code, _, stderr) = finish(first);
    assert_eq!(code, Some(1), "{stderr}");
    let (code, summary, stderr) = finish(second);
    assert_eq!((code, &summary["frames_sent"]), (Some(0), &600.into()), "{stderr}");
    assert_eq!(network.acknowledgements(), acknowledgements, "SRTCP was sent");
    assert_eq!(bytes(&file), written, "the recording went on");
    assert_eq!(cluster.terminate_worker(1).code(), Some(0));
    let taken = cluster.recordings("studio").into_iter().find(|other| *other != file);
    let recording = Recording::read(&taken.unwrap());
    assert_eq!((recording.readable(), recording.numbers()), (600, Some((0, 599))));
    Cost {
        noticed: Some(noticed),
        recovered: Some(recovered),
        sessions_lost: Some(0),
        media_gap: Some(recording.media_gap()),
    }
    .note("a worker is stopped, and its stream taken meanwhile");
}

#[test]
fn a_stream_that_nobody_took_goes_on() {
    let (mut cluster, network, child, file) = stage("30s");
    cluster.stop_worker(0);
    let stopped = Instant::now();
    let written = bytes(&file);
    let acknowledgements = network.acknowledgements();
    wait_out(stopped);
    let noticed = cluster.health(0, 0);
    assert_ne!(noticed.as_deref(), Some("alive"), "nobody noticed");
    assert_eq!(
        (bytes(&file), network.acknowledgements()),
        (written, acknowledgements),
        "it was not stopped"
    );
    cluster.signal_worker(0, Signal::CONT);
    let resumed = Instant::now();
    eventually("media is acknowledged again", Duration::from_secs(20), || {
        (network.acknowledgements() > acknowledgements).then_some(())
    });
    let recovered = resumed.elapsed();
    let (code, summary, stderr) = finish(child);
    assert_eq!((code, &summary["frames_sent"]), (Some(0), &900.into()), "{stderr}");
    let log = cluster.worker_log(0);
    assert!(log.contains("reason=\"deleted\""), "{log}");
    assert_eq!(cluster.terminate_worker(0).code(), Some(0));
    let recording = Recording::read(&file);
    // What waited in the kernel has arrived.
    assert_eq!((recording.readable(), recording.numbers()), (900, Some((0, 899))));
    Cost {
        noticed: None,
        recovered: Some(recovered),
        sessions_lost: Some(0),
        media_gap: Some(recording.media_gap()),
    }
    .note("a worker is stopped, and nobody takes its stream");
}
