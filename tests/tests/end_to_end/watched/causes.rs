//! Each fault, caused for real, until Prometheus has said so.

use std::{
    net::UdpSocket,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use whipcord_tests::{
    cluster::Condition,
    eventually, http,
    load::{Broken, Failure, Fault, Session, with_foreign_fingerprint},
    network::{Datagrams, Impairment, Network},
    output,
    whipcord::binary,
};

use super::{FIRES, Publisher, Watch};
use crate::{
    cluster::publisher_to,
    faults::{OFFER, headers, post},
};

/// Half of a round trip: a set-up takes four of those, and is over 2.5 s long.
const FAR: Duration = Duration::from_millis(600);
/// Sessions of each kind of bad luck.
const EACH: usize = 8;
/// Between two attempts of one encoder: longer than its first packet takes from afar.
const AGAIN: Duration = Duration::from_millis(1000);
/// Between two packets of a session that is looked at: 100 a second.
const SEND_EVERY: Duration = Duration::from_millis(10);

/// A network to both workers.
fn network(watch: &Watch, impairment: Impairment) -> [Network; 2] {
    let first = Network::between(&watch.cluster.origin(0), watch.cluster.media(0), impairment);
    let both = Network::between(&first.origin(), watch.cluster.media(1), impairment);
    [first, both]
}

/// Encoders far away, encoders whose media gets lost, encoders that have another certificate than they said, and such that send
/// media before there are keys. None of them ever sends a keyframe.
pub(super) fn bad_network(watch: &Watch) {
    let token = watch.cluster.token();
    let origin = watch.cluster.origin(1);
    let far = network(
        watch,
        Impairment {
            delay: FAR,
            ..Impairment::NONE
        },
    );
    let lossy = network(
        watch,
        Impairment {
            lost: Datagrams::Srtp,
            loss_up: 0.3,
            ..Impairment::NONE
        },
    );
    // One whose losses are repaired, as its round trips are then known.
    let repaired = Publisher(publisher_to(&lossy[1].whip_url(super::STREAM), token, &["--loop"]));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for n in 0..EACH {
            let (far, over) = (far[1].origin(), &over);
            scope.spawn(move || come_and_go(&far, &format!("far/{n}"), token, over));
            let lossy = lossy[1].origin();
            scope.spawn(move || {
                let mut session =
                    again(|attempt| Session::connect_to_be_asked(&lossy, &format!("lossy/{n}/{attempt}"), token));
                while_not(over, || session.send_delta());
                // Nothing is sent, and it lives.
                for _ in 0..STALL.as_millis() / SEND_EVERY.as_millis() {
                    for_a_while(SEND_EVERY);
                    session.check();
                }
                session.delete(&lossy).unwrap();
            });
        }
        for n in 0..2 {
            let (origin, over) = (&origin, &over);
            scope.spawn(move || {
                let post = |attempt| Broken::post(origin, &format!("early/{n}/{attempt}"), token, Fault::NoKeys);
                let early = again(post);
                while_not(over, || early.try_again());
            });
            scope.spawn(move || come_and_go(origin, &format!("near/{n}"), token, over));
            // They try again, as encoders do.
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    // Refused or not: there is another time.
                    let _ = with_foreign_fingerprint(origin, &format!("other/{n}"), token);
                    for_a_while(AGAIN);
                }
            });
        }
        let done = Done(&over);
        watch.wait_for(&[
            "SetupSlow",
            "SetupFailing",
            "MediaLoss",
            "KeyframesMissing",
            "DatagramsDropped",
        ]);
        drop(done);
    });
    drop(repaired);
}

/// Sessions one after another, each until its first packet.
fn come_and_go(origin: &str, stream: &str, token: &str, over: &AtomicBool) {
    let mut sessions = 0;
    while !over.load(Ordering::Relaxed) {
        sessions += 1;
        let mut session = again(|attempt| Session::connect(origin, &format!("{stream}/{sessions}/{attempt}"), token));
        session.send();
        for_a_while(AGAIN);
        session.delete(origin).unwrap();
    }
}

/// A machine that has no time lets POSTs wait until they are refused: encoders try again, and so do these.
fn again<T>(connect: impl Fn(u32) -> Result<T, Failure>) -> T {
    let mut attempt = 0;
    eventually("it is connected", FIRES, || {
        attempt += 1;
        connect(attempt).ok()
    })
}

/// Media that stops for more than 2 s has stalled; a worker looks every 5 s.
const STALL: Duration = Duration::from_secs(3);

/// Also when what is waited for does not come.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn while_not(over: &AtomicBool, mut send: impl FnMut()) {
    while !over.load(Ordering::Relaxed) {
        send();
        for_a_while(SEND_EVERY);
    }
}

/// No recording can grow any more.
pub(super) fn full_disk(watch: &mut Watch) {
    (0..2).for_each(|n| watch.cluster.limit_files(n, Some(1)));
    watch.wait_for(&["RecordingErrors"]);
    // Rings of 1 MiB are full only after a while.
    watch.wait_until("sum(rate(whipcord_sink_dropped_total[10s])) > 0");
    (0..2).for_each(|n| watch.cluster.limit_files(n, None));
}

/// Encoders that are answered and whose media never comes, until there is no place left, and after.
pub(super) fn no_room_and_nobody_comes_through(watch: &Watch) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for lane in 0..EACH {
            let over = &over;
            scope.spawn(move || {
                let mut posts = 0;
                while !over.load(Ordering::Relaxed) {
                    post(&watch.cluster, lane % 2, &format!("unreached/{lane}/{posts}"));
                    posts += 1;
                }
            });
        }
        let done = Done(&over);
        watch.wait_for(&["NoRoom", "MediaUnreachable"]);
        drop(done);
    });
}

pub(super) fn redis_away(watch: &mut Watch) {
    watch.cluster.kill_redis();
    watch.wait_for(&["RedisDegraded"]);
    watch.cluster.start_redis();
}

/// Gateways that stand still for most of the time.
pub(super) fn slow_gateways(watch: &mut Watch) {
    let Watch { cluster, prometheus } = watch;
    let lag = "ALERTS{alertname=\"ReportLag\", alertstate=\"firing\"}";
    let begun = Instant::now();
    while prometheus.query(lag).is_empty() && begun.elapsed() < FIRES {
        (0..2).for_each(|n| cluster.signal_gateway(n, Signal::STOP));
        for_a_while(STOPPED);
        (0..2).for_each(|n| cluster.signal_gateway(n, Signal::CONT));
        for_a_while(RUNNING);
    }
    watch.wait_for(&["ReportLag"]);
}

/// A report that comes in its first 0.4 s takes longer than 1 s; a report stream of which nothing is heard for 3 s is given up.
const STOPPED: Duration = Duration::from_millis(1400);
const RUNNING: Duration = Duration::from_millis(300);

fn for_a_while(length: Duration) {
    let (_never, clock) = std::sync::mpsc::channel::<()>();
    let _ = clock.recv_timeout(length);
}

/// More datagrams than the first worker's shard can look at, on a machine whose cores others have.
pub(super) fn flood(watch: &mut Watch) {
    watch.cluster.hold_shard_back(0);
    let over = AtomicBool::new(false);
    let media = watch.cluster.media(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            let over = &over;
            scope.spawn(move || {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                let begun = Instant::now();
                while !over.load(Ordering::Relaxed) && begun.elapsed() < FIRES {
                    let _ = socket.send_to(&[0x80; 200], media);
                }
            });
        }
        let done = Done(&over);
        slow_gateways(watch);
        watch.wait_for(&["ShardBusy"]);
        drop(done);
    });
}

/// The second worker stands still while it is asked for a place, and dies. It comes back with what the kernel gives to everybody, and
/// is taken out of service.
pub(super) fn dead_worker(watch: &mut Watch) {
    watch.cluster.stop_worker(1);
    let posts: Vec<_> = (0..EACH)
        .map(|n| {
            let (url, token) = (
                watch.cluster.whip_url(n % 2, &format!("late/{n}")),
                watch.cluster.token().to_owned(),
            );
            thread::spawn(move || http::attempt("POST", &url, &headers(&format!("Bearer {token}")), OFFER))
        })
        .collect();
    // Some are asking it by then.
    for_a_while(AGAIN);
    watch.cluster.kill_worker(1);
    for post in posts {
        let _ = post.join().unwrap();
    }
    watch.wait_for(&["ProcessDown", "WorkerLost"]);
    watch.cluster.set_condition(Condition::NoNetAdmin);
    watch.cluster.start_worker(1, &["--sessions-max", FEWER_PLACES]);
    watch.cluster.wait_until_known(1);
    watch.wait_for(&["ReceiveBufferSmall"]);
    let mut drain = Command::new(binary());
    drain.args(["drain", "worker-1", "--admin", &watch.cluster.gateway_admin(0)]);
    output(drain.args(["--token", watch.cluster.token()]));
    watch.wait_until("whipcord_worker_state{state=\"draining\"} == 1");
    watch.wait_until("whipcord_directory_workers{state=\"draining\"} == 1");
}

const FEWER_PLACES: &str = "16";
