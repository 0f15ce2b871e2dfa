//! Sessions that have ended.

use whipcord_tests::{cluster::Cluster, load::Session};

use super::{diagnosed, events};

#[test]
fn who_ended_a_session_is_said_after_its_end() {
    let cluster = Cluster::start(2, 1);
    let (origin, token) = (cluster.origin(0), cluster.token());
    let connect = |stream: &str| Session::connect(&origin, stream, token).unwrap();
    let (deleted, replaced, mut drained) = (connect("one"), connect("two"), connect("three"));
    assert_eq!(deleted.delete(&origin).unwrap(), 200);
    let told = diagnosed(&cluster, 1, deleted.sid(), "deleted", || {});
    let events = events(&told);
    assert_eq!((events[0], events.last()), ("created", Some(&"ended")), "{told}");
    assert_eq!(told["session"]["stream"], "one");
    // By its stream too, as there is none that lives.
    diagnosed(&cluster, 1, "one", "deleted", || {});

    let mut successor = connect("two");
    diagnosed(&cluster, 1, replaced.sid(), "replaced", || {});
    let newest = diagnosed(&cluster, 1, "two", "no_media", || {
        successor.check();
        drained.check();
    });
    assert_eq!(newest["session"]["sid"], successor.sid());
    let drain = std::process::Command::new(whipcord_tests::whipcord::binary())
        .args(["drain", "--all", "--now", "--admin", &cluster.gateway_admin(0)])
        .args(["--token", token])
        .output()
        .unwrap();
    assert!(drain.status.success(), "{drain:?}");
    let told = diagnosed(&cluster, 1, drained.sid(), "drained", || {});
    // Users end what does not work: that is told, too.
    assert_eq!(told["before_end"]["diagnosis"], "no_media", "{told}");
}

#[test]
fn a_worker_that_was_killed_is_said_to_be_dead() {
    let mut cluster = Cluster::start(1, 1);
    let mut session = Session::connect(&cluster.origin(0), "cam", cluster.token()).unwrap();
    diagnosed(&cluster, 0, "cam", "no_media", || session.check());
    cluster.kill_worker(0);
    let told = diagnosed(&cluster, 0, session.sid(), "worker_died", || {});
    assert_eq!(told["unanswered"], serde_json::json!(["worker-0"]));
    // The lease is over, and it is known still.
    cluster.start_worker(0, &[]);
    cluster.wait_until_known(0);
    diagnosed(&cluster, 0, "cam", "worker_died", || {});
}
