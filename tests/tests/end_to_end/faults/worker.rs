//! Workers that die, stop or leave, and who takes a stream from them.

use std::time::{Duration, Instant};

use whipcord_tests::{cluster::Cluster, eventually, http};

use super::{delete, post};
use crate::cluster::{finish, live, publisher};

#[test]
fn a_dead_worker_is_noticed_and_streams_go_elsewhere() {
    let mut cluster = Cluster::start(1, 2);
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
    assert!(again.elapsed() < Duration::from_secs(3), "{:?}", again.elapsed());
    // A successor at the same address and of the same name is not asked for the dead one's.
    cluster.start_worker(0, &[]);
    cluster.wait_until_known(0);
    let found = paths.iter().filter(|path| delete(&cluster, 0, path) == 200).count();
    assert!(found <= left, "{found} of {left}");
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
