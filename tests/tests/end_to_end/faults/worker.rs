//! Workers that die, stop or leave, and who takes a stream from them.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use whipcord_tests::{cluster::Cluster, eventually, fault::Cost, http, recording::Recording};

use super::{delete, post, wait_until_sure};
use crate::cluster::{finish, live, publisher};

#[test]
fn one_that_is_dead_is_noticed_and_its_streams_go_elsewhere() {
    let mut cluster = Cluster::start(1, 2);
    // Until then the hint in a URL is all there is, and leads to the address that it names.
    wait_until_sure(&cluster);
    let mut paths = Vec::new();
    eventually("the first worker has a session", Duration::from_secs(20), || {
        paths.push(post(&cluster, 0, &format!("cam/{}", paths.len())).1);
        cluster.worker_log(0).contains("session created").then_some(())
    });
    let listed = cluster.sessions(0).len();
    cluster.kill_worker(0);
    let killed = Instant::now();
    let left = eventually("the dead worker's sessions are gone", Duration::from_secs(10), || {
        let statuses: Vec<u16> = paths
            .iter()
            .map(|path| http::request("GET", &format!("{}{path}", cluster.origin(0)), &[], "").status)
            .collect();
        let gone = statuses.iter().filter(|status| **status == 404).count();
        (!statuses.contains(&503) && gone > 0).then_some(listed - gone)
    });
    let noticed = killed.elapsed();
    // Long before its lease is over, and a call to it: its address refuses.
    assert!(noticed < Duration::from_secs(3), "{noticed:?}");
    assert!(left < listed, "it had none of the sessions: nothing was tested");
    let again = Instant::now();
    assert_eq!(post(&cluster, 0, "cam/0").0, 201);
    let recovered = again.elapsed();
    assert!(recovered < Duration::from_secs(1), "{recovered:?}");
    // A successor at the same address and of the same name is not asked for the dead one's.
    cluster.start_worker(0, &[]);
    cluster.wait_until_known(0);
    let found = paths.iter().filter(|path| delete(&cluster, 0, path) == 200).count();
    assert!(found <= left, "{found} of {left}");
    let log = cluster.worker_log(0);
    assert!(!log.contains("another start of this worker"), "{log}");
    Cost {
        noticed: Some(noticed),
        recovered: Some(recovered),
        // Those that it had.
        sessions_lost: Some(listed - left),
        media_gap: None,
    }
    .note("a worker is killed");
}

#[test]
fn the_last_of_two_publishers_has_the_stream_and_the_first_is_told() {
    let mut cluster = Cluster::start(2, 2);
    let first = live(&cluster, 0, "studio", "20s");
    let second = publisher(&cluster, 1, "studio", "4s");
    let (code, _, stderr) = finish(first);
    assert_eq!(code, Some(1), "{stderr}");
    let (code, summary, stderr) = finish(second);
    assert_eq!((code, &summary["frames_sent"]), (Some(0), &120.into()), "{stderr}");
    let logs = cluster.worker_log(0) + &cluster.worker_log(1);
    assert!(logs.contains("reason=\"replaced\""), "{logs}");
}

#[test]
fn one_that_is_told_to_stop_serves_what_lives_and_takes_nothing_new() {
    let mut cluster = Cluster::start(1, 2);
    let child = live(&cluster, 0, "studio", "8s");
    let of = |cluster: &mut Cluster, n: usize| cluster.worker_log(n).matches("session created").count();
    let draining = usize::from(of(&mut cluster, 1) > 0);
    cluster.signal_worker(draining, Signal::TERM);
    let told = Instant::now();
    eventually("the gateway knows that it drains", Duration::from_secs(5), || {
        (cluster.health(0, draining).as_deref() == Some("draining")).then_some(())
    });
    let noticed = told.elapsed();
    for n in 0..10 {
        assert_eq!(post(&cluster, 0, &format!("cam/{n}")).0, 201);
    }
    assert_eq!((of(&mut cluster, draining), of(&mut cluster, 1 - draining)), (1, 10));
    let (code, summary, stderr) = finish(child);
    assert_eq!((code, &summary["frames_sent"]), (Some(0), &240.into()), "{stderr}");
    let ended = Instant::now();
    let status = eventually("it ended with its last session", Duration::from_secs(5), || {
        cluster.worker_ended(draining)
    });
    assert_eq!(status.code(), Some(0));
    let recording = Recording::read(&cluster.recordings("studio")[0]);
    assert_eq!((recording.readable(), recording.numbers()), (240, Some((0, 239))));
    Cost {
        noticed: Some(noticed),
        recovered: Some(ended.elapsed()),
        sessions_lost: Some(0),
        media_gap: Some(recording.media_gap()),
    }
    .note("a worker is told to stop");
}
