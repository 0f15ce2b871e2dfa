//! Redis: an index that is away, comes back empty or is lost.

use std::{
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use whipcord_tests::{
    cluster::Cluster,
    eventually,
    fault::{Cost, Extent},
    http,
    load::{Crowd, Session},
};

use super::{
    OFFER,
    asking::Asking,
    delete, headers, index, post,
    studio::{PICTURE, Studio},
    wait_until_sure,
};

/// Requests of one address are a thousand encoders' here.
pub(crate) const UNLIMITED: [&str; 2] = ["--request-rate", "100000"];
/// A gateway knows within a second that Redis is away, or back; a loaded machine gets this long.
const KNOWN: Duration = Duration::from_secs(20);
/// Within this after it began, an index holds everything again: the directory's REBUILD, while which it says *unknown*.
const REBUILD_MS: u64 = 5_000;

/// GET by the id alone: only the directory can tell.
fn get_by_id(cluster: &Cluster, gateway: usize, path: &str) -> u16 {
    let authorization = format!("Bearer {}", cluster.token());
    let url = format!("{}{path}", cluster.origin(gateway));
    http::request("GET", &url, &[("Authorization", &authorization)], "").status
}

#[test]
fn redis_killed_then_a_new_gateway_started() {
    let count = Extent::of_this_run().choose(20, 100);
    let mut cluster = Cluster::new();
    cluster.start_redis();
    cluster.start_gateway(0, &UNLIMITED);
    cluster.start_gateway(1, &[&UNLIMITED[..], &["--without-directory", "refuse"]].concat());
    (0..2).for_each(|n| cluster.start_worker(n, &[]));
    (0..2).for_each(|n| cluster.wait_until_known(n));
    let studio = Studio::live(&cluster, 0, "studio");
    // Connected encoders, with media and consent.
    let crowd = Crowd::connected(&cluster.origins(), "cam", count, cluster.token());
    let by_id = crowd.map(|session| session.path_by_id())[0].clone();
    assert_eq!(get_by_id(&cluster, 1, &by_id), 204);

    cluster.kill_redis();
    let killed = Instant::now();
    eventually("a look-up by the id alone is put off", KNOWN, || {
        (get_by_id(&cluster, 1, &by_id) == 503).then_some(())
    });
    let noticed = killed.elapsed();
    cluster.start_gateway(2, &UNLIMITED);
    assert_eq!(get_by_id(&cluster, 2, &by_id), 503, "it knows only what URLs say");
    let new = cluster.origin(2);
    let mut recovered = None;
    let patched = crowd.map(|session| {
        // One half adds a candidate, the other restarts ICE.
        let restarts = session.stream.ends_with(['1', '3', '5', '7', '9']);
        let status = if restarts {
            session.restart(&new)
        } else {
            session.trickle(&new)
        };
        recovered.get_or_insert_with(|| killed.elapsed());
        status == if restarts { 200 } else { 204 }
    });
    assert_eq!(patched, vec![true; count]);
    eventually("consent goes on, with the new credentials", KNOWN, || {
        let checks = crowd.map(Session::checks);
        checks
            .iter()
            .all(|(sent, unanswered)| *sent > 1 && *unanswered == 0)
            .then_some(())
    });
    // On the workers last known to live; or not, as the operator wants it.
    let (status, placed) = post(&cluster, 0, "placed");
    assert_eq!(status, 201);
    assert_eq!(post(&cluster, 1, "refused").0, 503);
    assert_eq!(delete(&cluster, 2, &placed), 200);
    let deleted: Vec<u16> = crowd
        .take()
        .iter()
        .map(|session| session.delete(&new).unwrap())
        .collect();
    assert_eq!(deleted, vec![200; count]);
    eventually("only the studio is left", KNOWN, || {
        let left = index::of_workers(&cluster, 0);
        left.values().eq(["studio"]).then_some(())
    });
    let (media_gap, _) = studio.finish(&cluster);
    assert!(media_gap < PICTURE, "{media_gap:?}");
    let cost = Cost {
        noticed: Some(noticed),
        recovered,
        sessions_lost: Some(0),
        media_gap: Some(media_gap),
    };
    cost.note("Redis killed, then a new gateway started");
}

/// A cluster of two gateways and workers whose streams reject, and whose directory is old enough to know that nobody has one.
fn rejecting() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.start_redis();
    let options = [&UNLIMITED[..], &["--takeover", "cam/*=reject"]].concat();
    (0..2).for_each(|n| cluster.start_gateway(n, &options));
    (0..2).for_each(|n| cluster.start_worker(n, &[]));
    (0..2).for_each(|n| cluster.wait_until_known(n));
    eventually("nobody has the stream, for certain", KNOWN, || {
        (post(&cluster, 0, "cam/free").0 == 201).then_some(())
    });
    cluster
}

#[test]
fn redis_comes_back_empty_and_is_flushed_while_duplicates_knock() {
    let extent = Extent::of_this_run();
    let mut cluster = rejecting();
    let studio = Studio::live(&cluster, 0, "studio");
    let crowd = Crowd::connected(&cluster.origins(), "cam", extent.choose(20, 100), cluster.token());
    let before = index::of_workers(&cluster, 0);
    let paths = crowd
        .map(|session| [session.path.clone(), session.path_by_id()])
        .concat();
    let streams = crowd.map(|session| session.stream.clone());
    let watched = Asking::for_sessions(&cluster, &[0, 1], &paths);
    let knocking = Asking::knocking(&cluster, &[0, 1], &streams);

    let killed = Instant::now();
    cluster.kill_redis();
    let by_id = &paths[1];
    eventually("it is missed", KNOWN, || {
        (get_by_id(&cluster, 1, by_id) == 503).then_some(())
    });
    let noticed = killed.elapsed();
    let away = extent.choose(Duration::from_secs(5), Duration::from_secs(30));
    eventually("it has been away for long", away + KNOWN, || {
        (killed.elapsed() >= away).then_some(())
    });
    cluster.start_redis();
    let back = Instant::now();
    rebuilt(&cluster, None);
    let returned = back.elapsed();

    // Old enough that absence means something, and then gone once more.
    let old = eventually("it is believed again", KNOWN, || {
        index::age(cluster.redis()).filter(|age| *age > REBUILD_MS)
    });
    cluster.tell_redis("FLUSHALL");
    let flushed = Instant::now();
    rebuilt(&cluster, Some(old));
    let recovered = returned.max(flushed.elapsed());
    eventually("it is believed again", KNOWN, || {
        index::age(cluster.redis()).filter(|age| *age > REBUILD_MS + 500)
    });

    let (watched, knocking) = (watched.finish(), knocking.finish());
    assert!(watched.keys().all(|status| [204, 503].contains(status)), "{watched:?}");
    assert!(
        knocking.keys().all(|status| [409, 503].contains(status)),
        "{knocking:?}"
    );
    // While nobody knew, and after.
    assert!(watched[&204] > 0 && watched[&503] > 0, "{watched:?}");
    assert!(knocking[&409] > 0 && knocking[&503] > 0, "{knocking:?}");
    let after = index::of_workers(&cluster, 0);
    // That one has no encoder: it is reaped in half a minute.
    let lost = before
        .keys()
        .filter(|sid| !after.contains_key(*sid))
        .filter(|sid| before[*sid] != "cam/free");
    let lost = lost.count();
    assert_eq!(lost, 0);
    let (media_gap, _) = studio.finish(&cluster);
    assert!(media_gap < PICTURE, "{media_gap:?}");
    let cost = Cost {
        noticed: Some(noticed),
        recovered: Some(recovered),
        sessions_lost: Some(lost),
        media_gap: Some(media_gap),
    };
    cost.note("Redis back empty; FLUSHALL while duplicates knock");
}

/// Waits until new data hold all that lives: within one interval of reports after they began, by Redis's own clock.
#[track_caller]
fn rebuilt(cluster: &Cluster, former_age: Option<u64>) {
    let age = eventually("the index is whole again", KNOWN, || {
        let age = index::age(cluster.redis()).filter(|age| former_age.is_none_or(|former| *age < former))?;
        index::is_whole(cluster, 0, cluster.redis()).then_some(age)
    });
    assert!(age <= REBUILD_MS, "whole only after {age} ms");
}

/// Between the place and the commit: nobody knows who else has the stream. That matters where there may be one publisher.
#[test]
fn posts_under_way_when_redis_loses_all() {
    let mut cluster = Cluster::new();
    cluster.start_redis();
    cluster.start_gateway(0, &["--takeover", "only/*=reject"]);
    cluster.start_worker(0, &[]);
    cluster.wait_until_known(0);
    wait_until_sure(&cluster);
    // It answers neither before it goes on; its lease lasts for longer than the little that is done meanwhile.
    cluster.stop_worker(0);
    let (only, any) = thread::scope(|scope| {
        let posts = ["only/cam", "any/cam"].map(|stream| {
            let url = cluster.whip_url(0, stream);
            let authorization = format!("Bearer {}", cluster.token());
            scope.spawn(move || http::request("POST", &url, &headers(&authorization), OFFER))
        });
        eventually("both streams are reserved", KNOWN, || {
            let reserved = ["only/cam", "any/cam"].map(|stream| index::is_reserved(cluster.redis(), stream));
            (reserved == [true; 2]).then_some(())
        });
        cluster.tell_redis("FLUSHALL");
        cluster.signal_worker(0, Signal::CONT);
        let [only, any] = posts.map(|post| post.join().unwrap());
        (only, any)
    });
    assert_eq!(only.status, 503, "{only:?}");
    assert!(only.body.contains("\"reason\":\"rebuilding\""), "{only:?}");
    assert!(only.header("retry-after").is_some(), "{only:?}");
    assert_eq!(any.status, 201, "{any:?}");
    eventually("the one is given up, the other is known again", KNOWN, || {
        let whole = index::is_whole(&cluster, 0, cluster.redis());
        let streams: Vec<_> = cluster
            .sessions(0)
            .into_values()
            .map(|session| session.stream)
            .collect();
        (whole && streams == ["any/cam"]).then_some(())
    });
}
