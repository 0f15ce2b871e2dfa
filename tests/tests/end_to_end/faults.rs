//! What a cluster's parts do while others are away. Each test holds that its fault took effect.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use whipcord_tests::{cluster::Cluster, eventually, http, recording::Recording};

use crate::cluster::{finish, live, publisher};

/// A small offer, as an encoder's; nothing is sent to the answer.
pub(crate) const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\na=setup:actpass\r\n\
    a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n\
    a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r\n\
    a=rtpmap:96 VP8/90000\r\n";

/// A POST by the nth gateway: the status, and the path of the session's URL.
pub(crate) fn post(cluster: &Cluster, gateway: usize, stream: &str) -> (u16, String) {
    let authorization = format!("Bearer {}", cluster.token());
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/sdp"),
    ];
    let response = http::request("POST", &cluster.whip_url(gateway, stream), &headers, OFFER);
    let location = response.header("location").unwrap_or_default();
    let path = location
        .find("/whip/")
        .map_or_else(String::new, |at| location[at..].to_owned());
    (response.status, path)
}

/// DELETE by the nth gateway, without a token: the URL is what gives leave.
fn delete(cluster: &Cluster, gateway: usize, path: &str) -> u16 {
    http::request("DELETE", &format!("{}{path}", cluster.origin(gateway)), &[], "").status
}

#[test]
fn any_gateway_routes_to_any_session() {
    let cluster = Cluster::start(2, 2);
    for n in 0..6 {
        let (status, path) = post(&cluster, n % 2, &format!("cam/{n}"));
        assert_eq!(status, 201);
        // Read your writes: by the other one, at once.
        assert_eq!(delete(&cluster, (n + 1) % 2, &path), 200, "cam/{n}");
    }
    assert_eq!(cluster.sessions(0).len(), 0);
}

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
