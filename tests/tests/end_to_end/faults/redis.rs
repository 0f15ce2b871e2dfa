//! Redis: an index that is away, comes back empty or is lost.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use whipcord_tests::{cluster::Cluster, eventually, http, recording::Recording};

use super::{delete, post};
use crate::cluster::{finish, live};

#[test]
fn while_redis_is_away_sessions_are_routed_also_by_a_gateway_started_then() {
    let mut cluster = Cluster::start(1, 1);
    let child = live(&cluster, 0, "studio", "12s");
    let paths: Vec<String> = (0..20).map(|n| post(&cluster, 0, &format!("cam/{n}")).1).collect();
    cluster.kill_redis();
    cluster.start_gateway(1, &[]);
    let begun = Instant::now();
    for path in &paths {
        assert_eq!(delete(&cluster, 1, path), 200, "{path}");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?} for 20",
        begun.elapsed()
    );
    // By the gateway that the worker reports to, on the worker last known to live.
    assert_eq!(post(&cluster, 0, "other").0, 201);
    let (code, summary, stderr) = finish(child);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(summary["frames_sent"], 360, "{summary}");
    cluster.terminate_worker(0);
    let recording = Recording::read(&cluster.recordings("studio")[0]);
    assert_eq!((recording.readable(), recording.numbers()), (360, Some((0, 359))));
}

#[test]
fn redis_that_comes_back_empty_is_told_all_again() {
    let mut cluster = Cluster::start(2, 2);
    let child = live(&cluster, 0, "studio", "14s");
    let idle = post(&cluster, 1, "idle").1;
    cluster.kill_redis();
    let (sid, _) = cluster
        .sessions(0)
        .into_iter()
        .find(|(_, session)| session.stream == "studio")
        .unwrap();
    let url = format!("{}/whip/studio/{sid}", cluster.origin(0));
    let authorization = format!("Bearer {}", cluster.token());
    let by_id = || http::request("GET", &url, &[("Authorization", &authorization)], "").status;
    eventually("a look-up by the id alone is put off", Duration::from_secs(5), || {
        (by_id() == 503).then_some(())
    });
    cluster.start_redis();
    let mut wrong = Vec::new();
    eventually("the index is whole again", Duration::from_secs(15), || {
        let status = by_id();
        wrong.extend((status == 404).then_some(status));
        (status == 200 || status == 204).then_some(())
    });
    assert!(wrong.is_empty(), "wrongly said to be gone: {} times", wrong.len());
    assert_eq!(delete(&cluster, 0, &idle), 200);
    let (code, _, stderr) = finish(child);
    assert_eq!(code, Some(0), "{stderr}");
    cluster.terminate_worker(0);
    cluster.terminate_worker(1);
    assert_eq!(Recording::read(&cluster.recordings("studio")[0]).readable(), 420);
}

#[test]
fn a_stream_that_rejects_lets_no_duplicate_in_while_the_index_is_lost() {
    let mut cluster = Cluster::new();
    cluster.start_redis();
    cluster.start_gateway(0, &["--takeover", "*=reject", "--request-rate", "100000"]);
    cluster.start_worker(0, &[]);
    cluster.wait_until_known(0);
    eventually(
        "a young directory knows that nobody has the stream",
        Duration::from_secs(20),
        || (post(&cluster, 0, "free").0 == 201).then_some(()),
    );
    let child = live(&cluster, 0, "studio", "10s");
    assert_eq!(post(&cluster, 0, "studio").0, 409);
    cluster.tell_redis("FLUSHALL");
    let until = Instant::now() + Duration::from_secs(7);
    let (mut last, mut statuses) = (0, BTreeSet::new());
    while Instant::now() < until {
        last = post(&cluster, 0, "studio").0;
        statuses.insert(last);
    }
    // First nobody knows, then the worker has told.
    assert_eq!((statuses, last), (BTreeSet::from([409, 503]), 409));
    let (code, _, stderr) = finish(child);
    assert_eq!(code, Some(0), "{stderr}");
}
