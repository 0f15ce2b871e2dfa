//! A worker that lives, and whose calls do not get through: nothing is reset and nothing ends, packets are gone.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use whipcord_tests::{
    cluster::Cluster,
    eventually,
    fault::{Cost, Extent},
    recording::Recording,
    road::{Cut, Road, Roads},
    space::apart,
};

use super::post;
use crate::cluster::{finish, live, publisher};

/// The lease that is over then; a gateway gives it nothing more before.
const LEASE: Duration = Duration::from_secs(3);

/// Two seconds of the pattern, 1.5 Mbit/s.
const FRAGMENTS: u64 = 375_000;

/// A fault of this row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Roadworks {
    Calls(Cut),
    /// Media takes the same way.
    All,
}

impl Roadworks {
    fn name(self) -> &'static str {
        match self {
            Self::Calls(Cut::Both) => "a worker's link for calls is cut",
            Self::Calls(Cut::FromWorker) => "a worker's link for calls is cut, from it",
            Self::Calls(Cut::ToWorker) => "a worker's link for calls is cut, to it",
            Self::All => "a worker's links are cut",
        }
    }

    fn change(self, roads: &Roads, change: impl Fn(&Road, Cut)) {
        match self {
            Self::Calls(cut) => change(&roads.calls, cut),
            Self::All => {
                change(&roads.calls, Cut::Both);
                change(&roads.media, Cut::Both);
            }
        }
    }
}

#[test]
fn of_a_stream_taken_while_a_link_was_cut_one_epoch_writes_and_what_nobody_took_goes_on() {
    apart(
        "faults::link::of_a_stream_taken_while_a_link_was_cut_one_epoch_writes_and_what_nobody_took_goes_on",
        || {
            let calls = Roadworks::Calls;
            let all = [
                calls(Cut::Both),
                Roadworks::All,
                calls(Cut::FromWorker),
                calls(Cut::ToWorker),
            ];
            all[..Extent::of_this_run().choose(1, 4)]
                .iter()
                .for_each(|roadworks| cut(*roadworks));
        },
    );
}

fn bytes(file: &Path) -> u64 {
    fs::metadata(file).unwrap().len()
}

/// How big the recording of a session that has just ended becomes: it is finished within a moment, and the next fragments of the one
/// that took its stream take longer.
fn bytes_at_the_end(cluster: &Cluster, file: &Path) -> u64 {
    let mut recordings = cluster.recordings("taken").into_iter();
    let other = recordings.rfind(|other| other != file).unwrap();
    let then = bytes(&other);
    eventually("the other one goes on", Duration::from_secs(20), || {
        (bytes(&other) > then + FRAGMENTS).then_some(())
    });
    bytes(file)
}

fn wait_until_replaced(cluster: &mut Cluster) {
    eventually("its session ends", Duration::from_secs(10), || {
        cluster.worker_log(0).contains("reason=\"replaced\"").then_some(())
    });
}

/// Until no gateway gives the first worker anything.
fn time_to_notice(cluster: &Cluster, begun: Instant) -> Duration {
    eventually("it is noticed", Duration::from_secs(10), || {
        (0..2)
            .all(|gateway| cluster.health(gateway, 0).as_deref() != Some("alive"))
            .then_some(())
    });
    begun.elapsed()
}

fn cut(roadworks: Roadworks) {
    let mut cluster = Cluster::across(Roads::new());
    cluster.start_redis();
    (0..2).for_each(|n| cluster.start_gateway(n, &[]));
    cluster.start_worker(0, &[]);
    cluster.wait_until_known(0);
    let kept = live(&cluster, 0, "kept", "40s");
    let taken = live(&cluster, 0, "taken", "60s");
    cluster.start_worker(1, &[]);
    cluster.wait_until_known(1);
    let file = eventually("the recording has begun", Duration::from_secs(10), || {
        cluster.recordings("taken").pop()
    });
    let passed = cluster.roads().calls.dropped();

    roadworks.change(cluster.roads(), |road, cut| road.cut(cut));
    let begun = Instant::now();
    let noticed = time_to_notice(&cluster, begun);
    assert!(noticed < LEASE, "{noticed:?}");
    let known = cluster.worker_log(0).matches("the directory knows this worker").count();
    let before = cluster.worker_log(1).matches("session created").count();
    for n in 0..4 {
        assert_eq!(post(&cluster, n % 2, &format!("cam/{n}")).0, 201);
    }
    let second = publisher(&cluster, 1, "taken", "25s");
    eventually("all of that went to the other worker", Duration::from_secs(20), || {
        (cluster.worker_log(1).matches("session created").count() == before + 5).then_some(())
    });
    eventually("its lease is over", Duration::from_secs(20), || {
        (begun.elapsed() > LEASE * 2).then_some(())
    });
    assert!(cluster.roads().calls.dropped() > passed, "nothing was dropped");
    assert!(!cluster.worker_log(0).contains("session ended"), "it was not cut off");

    roadworks.change(cluster.roads(), |road, cut| road.heal(cut));
    let healed = Instant::now();
    eventually("it is known again", Duration::from_secs(20), || {
        (cluster.worker_log(0).matches("the directory knows this worker").count() > known).then_some(())
    });
    let recovered = healed.elapsed();
    wait_until_replaced(&mut cluster);
    let (code, _, stderr) = finish(taken);
    assert_eq!(code, Some(1), "{stderr}");
    let ended = bytes_at_the_end(&cluster, &file);
    let (code, summary, stderr) = finish(second);
    assert_eq!((code, &summary["frames_sent"]), (Some(0), &750.into()), "{stderr}");
    assert_eq!(bytes(&file), ended, "two wrote");
    let (code, summary, stderr) = finish(kept);
    assert_eq!((code, &summary["frames_sent"]), (Some(0), &1200.into()), "{stderr}");
    let log = cluster.worker_log(0);
    assert_eq!(log.matches("reason=\"replaced\"").count(), 1, "{log}");
    (0..2).for_each(|n| assert_eq!(cluster.terminate_worker(n).code(), Some(0)));
    let recording = Recording::read(&cluster.recordings("kept")[0]);
    if let Roadworks::Calls(_) = roadworks {
        assert_eq!((recording.readable(), recording.numbers()), (1200, Some((0, 1199))));
    } else {
        // What was on its way is lost; before and after it all is there.
        assert_eq!(recording.numbers(), Some((0, 1199)));
    }
    Cost {
        noticed: Some(noticed),
        recovered: Some(recovered),
        sessions_lost: Some(0),
        media_gap: Some(recording.media_gap()),
    }
    .note(roadworks.name());
}
