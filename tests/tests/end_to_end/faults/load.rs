//! Many at once: two POSTs for each stream at one moment, and all encoders of a worker that died.

use std::{
    collections::BTreeMap,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use whipcord_tests::{
    cluster::Cluster,
    eventually,
    fault::{Cost, Extent},
    http,
    load::{self, Crowd},
    proxy::Delaying,
};

use super::{
    delete, post,
    redis::UNLIMITED,
    studio::{PICTURE, Studio},
};

/// What ends a session that lost its stream: the commit of the one that took it, or else its worker's next report.
const SETTLED: Duration = Duration::from_secs(10);
/// A young directory knows that nobody has a stream only after some seconds.
const KNOWN: Duration = Duration::from_secs(20);
/// The most by which a request or an answer is held back: a place and its commit are up to six of them apart.
const DELAY: Duration = Duration::from_millis(50);
/// Streams with rounds at once: a round waits for most of its time.
const STREAMS: usize = 10;

/// Two gateways at Redis and two workers, with delays between all of them.
fn delayed() -> (Cluster, Vec<Delaying>) {
    let mut cluster = Cluster::new();
    cluster.start_redis();
    let mut proxies = Vec::new();
    let options = [&UNLIMITED[..], &["--takeover", "only/*=reject"]].concat();
    for n in 0..2 {
        let proxy = Delaying::to(cluster.redis_address(0), DELAY);
        cluster.use_redis(format!("redis://{}", proxy.address()));
        cluster.start_gateway(n, &options);
        proxies.push(proxy);
    }
    for n in 0..2 {
        let proxy = Delaying::to(cluster.worker_grpc(n), DELAY);
        cluster.start_worker(n, &["--grpc-advertise", &proxy.address().to_string()]);
        proxies.push(proxy);
    }
    (0..2).for_each(|n| cluster.wait_until_known(n));
    eventually("nobody has the stream, for certain", KNOWN, || {
        (post(&cluster, 0, "only/free").0 == 201).then_some(())
    });
    (cluster, proxies)
}

/// Two POSTs leave at once, by a gateway each. The paths of the sessions that both made, if they did. Where Redis does not answer within
/// its time, because so much is held back, a stream of one publisher is 503: its encoder asks again.
fn race(cluster: &Cluster, stream: &str) -> [(u16, String); 2] {
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        let posts = [0, 1].map(|gateway| {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                eventually("a POST is answered", SETTLED, || {
                    let answer = post(cluster, gateway, stream);
                    (answer.0 != 503).then_some(answer)
                })
            })
        });
        posts.map(|post| post.join().unwrap())
    })
}

/// The one session of the stream that the workers have, once they have no more. A gateway lists few times at once, so half of the
/// streams ask the other.
#[track_caller]
fn survivor(
    cluster: &Cluster,
    gateway: usize,
    stream: &str,
    posts: &[(u16, String); 2],
    former: Option<&String>,
) -> String {
    let paths = posts.iter().map(|(_, path)| path).filter(|path| !path.is_empty());
    eventually(&format!("{stream} has one session: {posts:?}"), SETTLED, || {
        let sessions = cluster.sessions(gateway);
        let mut sids = sessions
            .iter()
            .filter(|(_, session)| session.stream == stream)
            .map(|(sid, _)| sid);
        let (Some(sid), None) = (sids.next(), sids.next()) else {
            return None;
        };
        let named = |path: &&String| path.contains(&format!("/{sid}."));
        let path = paths.clone().find(named);
        assert!(
            path.is_some() || former.is_none_or(|former| !named(&former)),
            "the former one is left"
        );
        path.cloned()
    })
}

/// What a stream's rounds are about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// A former session is there in each second round, to be replaced as well.
    Replace,
    /// Each round has a stream of its own: one that was held a moment ago may be held still, in a report under way.
    Reject,
}

/// Rounds one after another; how many made two sessions, of which one was replaced, and the longest time until that was over.
fn rounds(cluster: &Cluster, lane: usize, rounds: usize) -> (usize, Duration) {
    let rule = [Rule::Replace, Rule::Reject][lane % 2];
    let asked = lane / 2 % 2;
    let mut former: Option<String> = None;
    let (mut both, mut longest) = (0, Duration::ZERO);
    for round in 0..rounds {
        let stream = match rule {
            Rule::Replace => format!("any/{lane}"),
            Rule::Reject => format!("only/{lane}/{round}"),
        };
        let posts = race(cluster, &stream);
        let mut statuses = [posts[0].0, posts[1].0];
        statuses.sort_unstable();
        let expected: &[[u16; 2]] = match rule {
            Rule::Replace => &[[201, 201], [201, 409]],
            Rule::Reject => &[[201, 409]],
        };
        assert!(expected.contains(&statuses), "{stream}, round {round}: {statuses:?}");
        both += usize::from(statuses == [201, 201]);
        let answered = Instant::now();
        let path = survivor(cluster, asked, &stream, &posts, former.as_ref());
        let get = |path: &String| http::request("GET", &format!("{}{path}", cluster.origin(round % 2)), &[], "").status;
        assert_eq!(get(&path), 204, "the directory knows the same one");
        for (_, other) in posts.iter().filter(|(status, other)| *status == 201 && *other != path) {
            eventually("the other one is gone", SETTLED, || (get(other) == 404).then_some(()));
        }
        longest = longest.max(answered.elapsed());
        former = if rule == Rule::Replace && round % 2 == 0 {
            Some(path)
        } else {
            assert_eq!(delete(cluster, round % 2, &path), 200);
            None
        };
    }
    (both, longest)
}

#[test]
fn two_posts_for_one_stream_at_one_barrier() {
    let all = Extent::of_this_run().choose(50, 1_000);
    let (mut cluster, proxies) = delayed();
    let studio = Studio::live(&cluster, 0, "studio");
    let lanes: Vec<(usize, Duration)> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..STREAMS)
            .map(|n| {
                let cluster = &cluster;
                scope.spawn(move || rounds(cluster, n, all / STREAMS))
            })
            .collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).collect()
    });
    let replaced: usize = lanes.iter().map(|(both, _)| both).sum();
    for proxy in &proxies {
        assert!(proxy.delayed() > all, "only {} pieces were held back", proxy.delayed());
    }
    // They did meet: in some rounds both sessions were made, and one was replaced, or given up by its gateway.
    let log = cluster.worker_log(0) + &cluster.worker_log(1);
    let abandoned = log.matches("reason=\"abandoned\"").count();
    assert!(
        replaced + abandoned > all / STREAMS,
        "{replaced} replaced, {abandoned} given up"
    );
    // By the workers' own words, too: what was made has ended or lives.
    let counts = per_stream(&log);
    let living = cluster.sessions(1);
    for (stream, (created, ended)) in &counts {
        let live = living.values().filter(|session| session.stream == *stream).count();
        assert_eq!(created - ended, live, "{stream}: {created} created");
    }
    assert!(counts.values().map(|(created, _)| created).sum::<usize>() >= all);
    let (media_gap, _) = studio.finish(&cluster);
    assert!(media_gap < PICTURE, "{media_gap:?}");
    let cost = Cost {
        recovered: lanes.iter().map(|(_, longest)| *longest).max(),
        sessions_lost: Some(0),
        media_gap: Some(media_gap),
        ..Cost::default()
    };
    cost.note(&format!("{all} rounds of two POSTs for one stream at one barrier"));
}

/// Sessions created and ended, by stream, as workers logged them.
fn per_stream(log: &str) -> BTreeMap<String, (usize, usize)> {
    let mut counts = BTreeMap::<String, (usize, usize)>::new();
    for line in log.lines() {
        let of = |line: &str| {
            let (_, rest) = line.split_once("stream=")?;
            Some(rest.split_whitespace().next()?.to_owned())
        };
        let Some(stream) = of(line) else { continue };
        let (created, ended) = counts.entry(stream).or_default();
        *created += usize::from(line.contains("session created"));
        *ended += usize::from(line.contains("session ended"));
    }
    counts
}

/// Encoders are connected again within this, if there is room for them; who is not gives up for this test.
const RECONNECTED: Duration = Duration::from_secs(10);

#[test]
fn all_encoders_of_a_worker_reconnect_at_once() {
    let (count, room) = Extent::of_this_run().choose((60, 25), (500, 220));
    let mut cluster = Cluster::new();
    cluster.start_redis();
    (0..2).for_each(|n| cluster.start_gateway(n, &UNLIMITED));
    cluster.start_worker(0, &["--sessions-max", &count.to_string()]);
    cluster.wait_until_known(0);
    let crowd = Crowd::connected(&cluster.origins(), "cam", count, cluster.token());
    // Full with them: what comes now goes elsewhere.
    for n in 1..3 {
        cluster.start_worker(n, &["--sessions-max", &room.to_string()]);
        cluster.wait_until_known(n);
    }
    let studio = Studio::live(&cluster, 0, "studio");
    let capacity = 2 * room - 1;
    assert!(capacity < count, "some find no room");

    cluster.kill_worker(0);
    let lost = crowd.take();
    assert_eq!(lost.len(), count);
    let killed = Instant::now();
    let (failures, most, connected) = thread::scope(|scope| {
        let origins = cluster.origins();
        let (token, crowd) = (cluster.token(), &crowd);
        let encoders = scope.spawn(move || load::reconnect(lost, &origins, token, RECONNECTED, crowd));
        let (mut most, mut connected) = (BTreeMap::<String, usize>::new(), None);
        eventually("all encoders are done", 3 * RECONNECTED, || {
            for (worker, sessions) in cluster.sessions_by_worker(1) {
                let known = most.entry(worker).or_default();
                *known = sessions.max(*known);
            }
            if crowd.len() >= capacity {
                connected.get_or_insert_with(|| killed.elapsed());
            }
            encoders.is_finished().then_some(())
        });
        (encoders.join().unwrap(), most, connected)
    });
    assert_eq!(crowd.len(), capacity, "connected again; others: {failures:?}");
    let connected = connected.unwrap_or_else(|| killed.elapsed());
    assert!(connected < RECONNECTED, "after {connected:?}");
    assert!(most.values().all(|sessions| *sessions <= room), "over {room}: {most:?}");
    for n in 1..3 {
        let created = cluster.worker_log(n).matches("session created").count();
        assert!(created <= room, "worker {n} made {created} sessions, of {room}");
    }
    // Each one delivers.
    let received = || {
        let sessions = cluster.sessions(0).into_values();
        sessions
            .filter(|session| session.stream.starts_with("cam/"))
            .map(|session| (session.stream, session.packets_received))
            .collect::<BTreeMap<_, _>>()
    };
    let before = received();
    assert_eq!(before.len(), capacity);
    eventually("every connected one delivers", RECONNECTED, || {
        let now = received();
        before
            .iter()
            .all(|(stream, packets)| now.get(stream) > Some(packets))
            .then_some(())
    });
    let (media_gap, _) = studio.finish(&cluster);
    assert!(media_gap < PICTURE, "{media_gap:?}");
    let cost = Cost {
        recovered: Some(connected),
        sessions_lost: Some(0),
        media_gap: Some(media_gap),
        ..Cost::default()
    };
    cost.note(&format!("{count} encoders reconnect at once, to room for {capacity}"));
}
