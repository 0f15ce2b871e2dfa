//! Whether new sessions are welcome, as probes see it.

use std::{process::Command, time::Duration};

use whipcord_tests::{cluster::Cluster, eventually, http, redis::Answer, whipcord::binary};

use crate::faults::post;

/// Redis is asked twice a second, and a new connection made within a few; a loaded machine gets this long.
const SOON: Duration = Duration::from_secs(20);

fn ready(admin: &str) -> (u16, String) {
    let answer = http::request("GET", &format!("{admin}/readyz"), &[], "");
    (answer.status, answer.body)
}

#[test]
fn a_gateway_is_not_ready_before_it_knows_where_sessions_could_go() {
    let mut cluster = Cluster::new();
    cluster.start_gateway(0, &[]);
    let admin = cluster.gateway_admin(0);
    assert_eq!(ready(&admin), (503, "starting\n".to_owned()));
    assert_eq!(http::request("GET", &format!("{admin}/healthz"), &[], "").status, 200);
    cluster.start_redis();
    eventually("the gateway is ready", SOON, || (ready(&admin).0 == 200).then_some(()));
    // It was seen once: that it is away again is no reason to send encoders away.
    cluster.kill_redis();
    assert_eq!(ready(&admin).0, 200);
    assert_eq!(cluster.terminate_gateway(0).code(), Some(0));
}

/// A rollback, for instance: what it cannot read it must not guess, and a load balancer shall not send it encoders.
#[test]
fn a_gateway_that_finds_a_later_versions_data_is_not_ready() {
    let cluster = Cluster::start(1, 1);
    let admin = cluster.gateway_admin(0);
    eventually("the gateway is ready", SOON, || (ready(&admin).0 == 200).then_some(()));
    let boot = "whipcord:1:{whipcord}:boot";
    let Answer::Text(former) = cluster.redis().ask(&format!("GET {boot}")) else {
        panic!("{boot} is there");
    };
    let write = |data: &str| {
        let script = format!("EVAL return(redis.call('SET',KEYS[1],(ARGV[1]:gsub('_','\\32')))) 1 {boot} {data}");
        cluster.redis().ask(&script)
    };
    assert!(!matches!(write("2_1_1"), Answer::Error(_)));
    eventually("the gateway is not ready", SOON, || {
        (ready(&admin) == (503, "outdated\n".to_owned())).then_some(())
    });
    assert_eq!(post(&cluster, 0, "studio").0, 503);
    write(&former.replace(' ', "_"));
    eventually("the gateway is ready again", SOON, || {
        (ready(&admin).0 == 200).then_some(())
    });
}

#[test]
fn a_worker_that_an_operator_drains_is_not_ready() {
    let mut cluster = Cluster::start(1, 1);
    let drain = |workers: &[&str]| {
        let mut command = Command::new(binary());
        command
            .arg("drain")
            .args(workers)
            .args(["--admin", &cluster.gateway_admin(0), "--token", cluster.token()]);
        command
    };
    let said = drain(&["--all", "--deadline", "600"]).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said, "worker-0 drains: 0 sessions, at most 600 s\n");
    let admin = cluster.worker_admin(0);
    eventually("the worker is not ready", SOON, || {
        (ready(&admin) == (503, "draining\n".to_owned())).then_some(())
    });
    let unknown = drain(&["worker-9"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        String::from_utf8(unknown.stderr)
            .unwrap()
            .contains("no such worker reports")
    );
    assert_eq!(cluster.terminate_worker(0).code(), Some(0));
}
