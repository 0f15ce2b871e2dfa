//! Several controllers, one of which leads; and none that can.

use std::time::{Duration, Instant};

use whipcord_tests::{
    cluster::Cluster,
    eventually,
    kubernetes::{Kubernetes, signal_api_server},
};

use crate::duties::{DONE, cluster, event, is, start_controller};

/// A Lease's 15 s, looks each 2 s, and what a loaded machine takes.
const HANDED_OVER: Duration = Duration::from_secs(60);
/// A leader that cannot renew leads no more after 10 s.
const GIVEN_UP: Duration = Duration::from_secs(40);

fn stands(cluster: &Cluster, n: usize, standing: &str, limit: Duration) {
    eventually(&format!("controller {n} is {standing}"), limit, || {
        (cluster.standing(n)? == standing).then_some(())
    });
}

/// Two workers on nodes of their own, and two controllers, of which the first leads.
fn two(kubernetes: &Kubernetes) -> Cluster {
    let mut cluster = cluster(1, 2);
    for n in 0..2 {
        let media = cluster.media(n);
        kubernetes.create_node(&format!("n{n}"), &[("ExternalIP", &media.ip().to_string())]);
        kubernetes.create_pod(&format!("worker-{n}"), &format!("n{n}"), media.port());
    }
    for n in 0..2 {
        start_controller(&mut cluster, n, &[0], kubernetes, &[]);
        stands(&cluster, n, ["leading", "standby"][n], DONE);
    }
    (0..2).for_each(|n| is(&cluster, n, "alive"));
    cluster
}

#[test]
fn where_the_leader_is_killed_another_leads_and_does_what_it_did() {
    let kubernetes = Kubernetes::connect();
    let mut cluster = two(&kubernetes);
    let killed = Instant::now();
    cluster.kill_controller(0);
    stands(&cluster, 1, "leading", HANDED_OVER);
    println!("another leads {:?} after the leader was killed", killed.elapsed());
    kubernetes.cordon("n1", true);
    is(&cluster, 1, "draining");
    assert_eq!(cluster.health(0, 0).as_deref(), Some("alive"));
    eventually("an Event says who leads", DONE, || {
        let said = kubernetes.events("LeaderElection", "whipcord-controller");
        said.contains(&"controller-1 leads".to_owned()).then_some(())
    });
}

#[test]
fn a_leader_that_is_ended_hands_over_at_once() {
    let kubernetes = Kubernetes::connect();
    let mut cluster = two(&kubernetes);
    assert!(cluster.terminate_controller(0).success());
    let ended = Instant::now();
    stands(&cluster, 1, "leading", HANDED_OVER);
    // The Lease itself lasts 15 s.
    let took = ended.elapsed();
    println!("another leads {took:?} after the leader was asked to end");
    assert!(took < Duration::from_secs(14), "{took:?}");
}

#[test]
fn while_the_api_server_is_away_workers_keep_their_addresses_and_afterwards_all_goes_on() {
    let kubernetes = Kubernetes::connect();
    let mut cluster = two(&kubernetes);
    signal_api_server("-STOP");
    let alone = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        stands(&cluster, 0, "standby", GIVEN_UP);
        (0..2).for_each(|n| assert_eq!(cluster.health(0, n).as_deref(), Some("alive")));
    }));
    signal_api_server("-CONT");
    if let Err(panic) = alone {
        std::panic::resume_unwind(panic);
    }
    eventually("one leads again", HANDED_OVER, || {
        (0..2)
            .any(|n| cluster.standing(n).as_deref() == Some("leading"))
            .then_some(())
    });
    assert!(cluster.controller_log(0).contains("this controller leads no more"));
    kubernetes.cordon("n0", true);
    is(&cluster, 0, "draining");
    event(&kubernetes, "DrainBegun", "worker-0");
}
