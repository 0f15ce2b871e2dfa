//! Gateways: nothing is with one that another would miss.

use std::{
    io::Read as _,
    process::Child,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use whipcord_tests::{
    cluster::Cluster,
    eventually,
    fault::{Cost, Extent},
    http, log,
    recording::Recording,
};

use super::{OFFER, delete, headers, post};
use crate::cluster::{finish, live, publisher, wait_until_live};

/// Between two report streams of a worker.
const AWAY_MAX: Duration = Duration::from_secs(2);

/// Of one load: a few minutes' worth.
const REQUESTS_MAX: usize = 20_000;

/// The load comes from one address.
const UNHURRIED: [&str; 2] = ["--request-rate", "100000"];

/// A session without STUN ends after 30 s.
const ORPHANED: Duration = Duration::from_secs(45);

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

/// The gateway, of two, that the only worker reports to.
fn home(cluster: &mut Cluster) -> usize {
    let reports = (0..2).map(|n| log::times(&cluster.gateway_log(n), &["a worker reports"]).len());
    let reports: Vec<usize> = reports.collect();
    assert!(reports == [1, 0] || reports == [0, 1], "one report stream: {reports:?}");
    reports[1]
}

/// How long ago the worker began to report to this gateway, to which it did not before.
fn wait_until_reported_to(cluster: &mut Cluster, gateway: usize) {
    eventually("the worker reports elsewhere", Duration::from_secs(10), || {
        let times = log::times(&cluster.gateway_log(gateway), &["a worker reports"]);
        (!times.is_empty()).then_some(())
    });
}

/// All pictures of a publisher that has ended are in its recording.
fn assert_whole(cluster: &Cluster, stream: &str, pictures: u32) -> Duration {
    let recording = Recording::read(&cluster.recordings(stream)[0]);
    let expected = (pictures as usize, Some((0, pictures - 1)));
    assert_eq!((recording.readable(), recording.numbers()), expected, "{stream}");
    recording.media_gap()
}

#[test]
fn one_that_is_killed_leaves_no_gap_and_its_workers_report_elsewhere() {
    let mut cluster = Cluster::start(2, 1);
    let home = home(&mut cluster);
    let other = 1 - home;
    let child = live(&cluster, other, "studio", "8s");
    cluster.kill_gateway(home);
    let killed = Instant::now();
    wait_until_reported_to(&mut cluster, other);
    let away = killed.elapsed();
    assert!(away < AWAY_MAX, "the worker was away for {away:?}");
    let (status, path) = post(&cluster, other, "more");
    assert_eq!(status, 201);
    let recovered = killed.elapsed();
    assert_eq!(delete(&cluster, other, &path), 200);
    let (code, summary, stderr) = finish(child);
    assert_eq!((code, &summary["frames_sent"]), (Some(0), &240.into()), "{stderr}");
    cluster.terminate_worker(0);
    Cost {
        noticed: Some(away),
        recovered: Some(recovered),
        sessions_lost: Some(0),
        media_gap: Some(assert_whole(&cluster, "studio", 240)),
    }
    .note("a gateway is killed, idle");
}

#[test]
fn one_that_is_killed_amid_a_post_leaves_a_session_that_goes() {
    let seconds = Extent::of_this_run().choose(16, 55);
    let mut cluster = Cluster::new();
    cluster.start_redis();
    cluster.start_gateway(0, &[]);
    cluster.start_gateway(1, &[]);
    cluster.start_worker(0, &["--sessions-max", "2"]);
    cluster.wait_until_known(0);
    let home = home(&mut cluster);
    let other = 1 - home;
    let child = live(&cluster, other, "studio", &format!("{seconds}s"));
    // So that it is connected to the worker.
    assert_eq!(delete(&cluster, home, &post(&cluster, home, "first").1), 200);

    // The worker stands still until the gateway has asked it, and the gateway before it can hear the answer.
    cluster.stop_worker(0);
    let authorization = format!("Bearer {}", cluster.token());
    let url = cluster.whip_url(home, "cut");
    let mut connection = http::send("POST", &url, &headers(&authorization), OFFER).unwrap();
    eventually("the worker is asked", Duration::from_secs(3), || {
        (cluster.unread_calls(0) > OFFER.len() as u64).then_some(())
    });
    cluster.stop_gateway(home);
    cluster.signal_worker(0, Signal::CONT);
    eventually("the session is there", Duration::from_secs(10), || {
        log::field(&cluster.worker_log(0), &["session created", "stream=cut"], "sid").map(drop)
    });
    cluster.kill_gateway(home);
    let killed = Instant::now();
    let mut answer = Vec::new();
    // A reset is no answer either.
    let _ = connection.read_to_end(&mut answer);
    assert_eq!(answer, b"", "it was answered");

    wait_until_reported_to(&mut cluster, other);
    let away = killed.elapsed();
    assert!(away < AWAY_MAX, "the worker was away for {away:?}");
    assert_eq!(post(&cluster, other, "more").0, 503, "the orphan has no place");
    cluster.start_worker(1, &["--sessions-max", "1"]);
    cluster.wait_until_known(1);
    let again = Instant::now();
    assert_eq!(post(&cluster, other, "cut").0, 201);
    let recovered = again.elapsed();
    assert!(
        recovered < Duration::from_secs(1),
        "{recovered:?} for what was tried again"
    );
    if Extent::of_this_run() == Extent::Full {
        let log = cluster.worker_log(0);
        let sid = log::field(&log, &["session created", "stream=cut"], "sid").unwrap();
        let ended = eventually("the orphan goes", ORPHANED, || {
            let log = cluster.worker_log(0);
            log::field(&log, &["session ended", sid], "reason").map(str::to_owned)
        });
        assert!(ended == "\"no_stun\"" || ended == "\"replaced\"", "{ended}");
        // The other worker is full, with what was tried again.
        assert_eq!(post(&cluster, other, "more").0, 201, "its place is free");
        assert!(cluster.worker_log(0).contains("stream=more"));
    }
    let (code, summary, stderr) = finish(child);
    let pictures = 30 * seconds;
    assert_eq!((code, &summary["frames_sent"]), (Some(0), &pictures.into()), "{stderr}");
    cluster.signal_worker(0, Signal::TERM);
    Cost {
        noticed: Some(away),
        recovered: Some(recovered),
        sessions_lost: Some(0),
        media_gap: Some(assert_whole(&cluster, "studio", pictures)),
    }
    .note("a gateway is killed amid a POST");
}

#[test]
fn all_are_rolled_under_load() {
    let (live_streams, rounds, seconds) = Extent::of_this_run().choose((3, 1, 20), (20, 2, 50));
    let mut cluster = Cluster::new();
    cluster.start_redis();
    (0..2).for_each(|n| cluster.start_gateway(n, &UNHURRIED));
    (0..2).for_each(|n| cluster.start_worker(n, &[]));
    (0..2).for_each(|n| cluster.wait_until_known(n));
    let stream = |n: usize| format!("live/{n}");
    let publishers: Vec<Child> = (0..live_streams)
        .map(|n| publisher(&cluster, n % 2, &stream(n), &format!("{seconds}s")))
        .collect();
    (0..live_streams).for_each(|n| wait_until_live(&cluster, n % 2, &stream(n)));
    let streams = |cluster: &mut Cluster| -> usize {
        let logs = (0..2).map(|n| cluster.worker_log(n));
        logs.map(|log| log::times(&log, &["the directory knows this worker"]).len())
            .sum()
    };
    let before = streams(&mut cluster);
    for n in (0..2).cycle().take(2 * rounds) {
        let asked = under_load(&mut cluster, 1 - n, |cluster| {
            assert_eq!(cluster.terminate_gateway(n).code(), Some(0));
            cluster.start_gateway(n, &UNHURRIED);
            eventually("both workers report", Duration::from_secs(20), || {
                (0..2).all(|worker| reports(&cluster.worker_log(worker))).then_some(())
            });
        });
        assert!(asked > 0, "nothing was asked meanwhile");
    }
    let moved = streams(&mut cluster) - before;
    // Whichever gateway a worker reported to, it has ended.
    assert!(moved >= 2 * rounds, "{moved} report streams were opened");
    let away = (0..2).flat_map(|n| gaps(&cluster.worker_log(n))).max().unwrap();
    assert!(away < AWAY_MAX, "a worker was away for {away:?}");
    for publisher in publishers {
        let (code, summary, stderr) = finish(publisher);
        assert_eq!(
            (code, &summary["frames_sent"]),
            (Some(0), &(30 * seconds).into()),
            "{stderr}"
        );
    }
    (0..2).for_each(|n| assert_eq!(cluster.terminate_worker(n).code(), Some(0)));
    let media_gap = (0..live_streams)
        .map(|n| assert_whole(&cluster, &stream(n), 30 * seconds))
        .max();
    Cost {
        noticed: None,
        recovered: Some(away),
        sessions_lost: Some(0),
        media_gap,
    }
    .note("all gateways are rolled under load");
}

/// Whether a worker's last word of its report stream is that it has one.
fn reports(log: &str) -> bool {
    let last = |text| log::times(log, &[text]).pop();
    last("the directory knows this worker") > last("no report to the directory")
}

/// POSTs and DELETEs by this gateway while `act` is at work; returns how many. All of them succeed.
fn under_load(cluster: &mut Cluster, gateway: usize, act: impl FnOnce(&mut Cluster)) -> usize {
    let (origin, token) = (cluster.origin(gateway), cluster.token().to_owned());
    let over = AtomicBool::new(false);
    let statuses = Mutex::new(Vec::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            let authorization = format!("Bearer {token}");
            for _ in 0..REQUESTS_MAX {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let url = format!("{origin}/whip/short");
                let posted = http::request("POST", &url, &headers(&authorization), OFFER);
                let path = posted.header("location").unwrap_or_default();
                let path = path.find("/whip/").map_or("/", |at| &path[at..]);
                let deleted = http::request("DELETE", &format!("{origin}{path}"), &[], "");
                let mut statuses = statuses.lock().unwrap_or_else(PoisonError::into_inner);
                statuses.push((posted.status, deleted.status));
            }
        });
        act(cluster);
        over.store(true, Ordering::Relaxed);
    });
    let statuses = statuses.into_inner().unwrap();
    let failed: Vec<_> = statuses.iter().filter(|status| **status != (201, 200)).collect();
    assert!(failed.is_empty(), "{failed:?} of {}", statuses.len());
    statuses.len()
}

/// From each end of a worker's report stream to its next acknowledged snapshot.
fn gaps(log: &str) -> Vec<Duration> {
    let known = log::times(log, &["the directory knows this worker"]);
    let ends = log::times(log, &["no report to the directory"]);
    // Before the first one nobody was away: no gateway was there.
    let ends = ends
        .into_iter()
        .filter(|end| known.first().is_some_and(|first| first < end));
    ends.filter_map(|end| Some(*known.iter().find(|time| **time > end)? - end))
        .collect()
}
