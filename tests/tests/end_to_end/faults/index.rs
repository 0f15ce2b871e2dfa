//! What the directory holds of sessions, beside what the workers themselves say. Its data model is in the header of crates/directory.

use std::collections::BTreeMap;

use whipcord_tests::{cluster::Cluster, redis::Redis};

/// By session id its stream.
pub(super) type Sessions = BTreeMap<String, String>;

const PREFIX: &str = "whipcord:1:{whipcord}:";

/// The workers' own lists, asked by the nth gateway.
pub(super) fn of_workers(cluster: &Cluster, gateway: usize) -> Sessions {
    let sessions = cluster.sessions(gateway).into_iter();
    sessions.map(|(sid, session)| (sid, session.stream)).collect()
}

/// The live sessions in Redis. `None` where its two views differ: by worker, and by stream.
pub(super) fn of_redis(redis: &Redis) -> Option<Sessions> {
    let fields = |key: &String| {
        let texts = redis.ask(&format!("HGETALL {key}")).texts();
        let pairs = texts.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()));
        pairs.collect::<Vec<_>>()
    };
    let keys = |kind: &str| redis.ask(&format!("KEYS {PREFIX}{kind}:*")).texts();
    // `SERIAL STREAM`.
    let mut by_worker = Sessions::new();
    for (sid, text) in keys("sessions").iter().flat_map(fields) {
        by_worker.insert(sid, text.split_once(' ')?.1.to_owned());
    }
    // `INCARNATION EPOCH STATE ...`, where `L` is live.
    let mut by_stream = Sessions::new();
    for key in keys("stream") {
        let stream = key.strip_prefix(&format!("{PREFIX}stream:"))?.to_owned();
        for (sid, text) in fields(&key) {
            if text.split(' ').nth(2) == Some("L") {
                by_stream.insert(sid, stream.clone());
            }
        }
    }
    (by_worker == by_stream).then_some(by_stream)
}

/// Whether a POST for this stream has reserved it, and not taken it yet.
pub(super) fn is_reserved(redis: &Redis, stream: &str) -> bool {
    let entries = redis.ask(&format!("HVALS {PREFIX}stream:{stream}")).texts();
    // `R` and since when.
    let mut states = entries.iter().filter_map(|text| text.split(' ').nth(2));
    states.any(|state| state.starts_with('R'))
}

/// Whether Redis holds what the workers say, no more and no less.
pub(super) fn is_whole(cluster: &Cluster, gateway: usize, redis: &Redis) -> bool {
    of_redis(redis).is_some_and(|index| index == of_workers(cluster, gateway))
}

/// The milliseconds since these data began, by Redis's own clock. `None` while there are none.
pub(super) fn age(redis: &Redis) -> Option<u64> {
    let whipcord_tests::redis::Answer::Text(boot) = redis.ask(&format!("GET {PREFIX}boot")) else {
        return None;
    };
    let began: u64 = boot.split(' ').nth(1)?.parse().ok()?;
    let time = redis.ask("TIME").texts();
    let now = time[0].parse::<u64>().ok()? * 1000 + time[1].parse::<u64>().ok()? / 1000;
    Some(now.saturating_sub(began))
}
