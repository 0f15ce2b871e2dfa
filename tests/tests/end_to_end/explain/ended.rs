//! Sessions that have ended.

use whipcord_tests::{cluster::Cluster, load::Session};

use super::{diagnosed, events};

#[test]
fn who_ended_a_session_is_said_after_its_end() {
    let cluster = Cluster::start(2, 1);
    let (origin, token) = (cluster.origin(0), cluster.token());
    let connect = |stream: &str| Session::connect(&origin, stream, token).unwrap();
    let (deleted, replaced, drained) = (connect("one"), connect("two"), connect("three"));
    assert_eq!(deleted.delete(&origin).unwrap(), 200);
    let told = diagnosed(&cluster, 1, deleted.sid(), "deleted", || {});
    let events = events(&told);
    assert_eq!((events[0], events.last()), ("created", Some(&"ended")), "{told}");
    assert_eq!(told["session"]["stream"], "one");
    // By its stream too, as there is none that lives.
    diagnosed(&cluster, 1, "one", "deleted", || {});

    let successor = connect("two");
    diagnosed(&cluster, 1, replaced.sid(), "replaced", || {});
    let newest = diagnosed(&cluster, 1, "two", "no_media", || {});
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
