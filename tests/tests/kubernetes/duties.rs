//! What it does about addresses, ends and nodes.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use whipcord_tests::{cluster::Cluster, eventually, http, kubernetes::Kubernetes, output, whipcord::binary};

/// Watches, a look each 2 s, a beat each second: a loaded machine gets this long.
pub(crate) const DONE: Duration = Duration::from_secs(40);

/// Redis, gateways, and workers that wait for a controller's word; no controller yet.
pub(crate) fn cluster(gateways: usize, workers: usize) -> Cluster {
    let mut cluster = Cluster::new();
    cluster.start_redis();
    (0..gateways).for_each(|n| cluster.start_gateway(n, &[]));
    for n in 0..workers {
        cluster.start_worker(n, &["--advertise", "controller"]);
    }
    for n in 0..workers {
        eventually("a gateway knows the worker", DONE, || cluster.health(0, n));
    }
    cluster
}

/// Leads, and tells these gateways.
pub(crate) fn start_controller(
    cluster: &mut Cluster,
    n: usize,
    gateways: &[usize],
    kubernetes: &Kubernetes,
    arguments: &[&str],
) {
    let configuration = kubernetes.controllers_configuration(cluster.folder());
    cluster.start_controller(n, gateways, &configuration, arguments);
}

pub(crate) fn is(cluster: &Cluster, worker: usize, health: &str) {
    eventually(&format!("worker {worker} is {health}"), DONE, || {
        (cluster.health(0, worker).as_deref() == Some(health)).then_some(())
    });
}

pub(crate) fn event(kubernetes: &Kubernetes, reason: &str, of: &str) -> String {
    eventually(&format!("there is an Event {reason} of {of}"), DONE, || {
        kubernetes.events(reason, of).pop()
    })
}

/// Through the address in the answer, for a second.
fn publish(cluster: &Cluster, gateway: usize) {
    let mut publish = std::process::Command::new(binary());
    publish.args([
        "publish",
        &cluster.whip_url(gateway, "cam"),
        "test",
        "--duration",
        "1s",
        "--token",
        cluster.token(),
    ]);
    output(&mut publish);
}

#[test]
fn workers_are_told_their_nodes_addresses_and_given_sessions_from_then_on() {
    let kubernetes = Kubernetes::connect();
    let mut cluster = cluster(2, 1);
    let media = cluster.media(0);
    kubernetes.create_node("n0", &[("InternalIP", "10.0.0.1"), ("Hostname", "n0")]);
    kubernetes.create_pod("worker-0", "n0", media.port());
    is(&cluster, 0, "unaddressed");
    let readyz = format!("{}/readyz", cluster.worker_admin(0));
    assert_eq!(
        http::request("GET", &readyz, &[], "").status,
        503,
        "it waits for its address"
    );

    start_controller(&mut cluster, 0, &[0, 1], &kubernetes, &[]);
    let unknown = event(&kubernetes, "AddressUnknown", "worker-0");
    assert!(unknown.contains("its node n0 has no ExternalIP"), "{unknown}");
    assert_eq!(
        cluster.health(0, 0).as_deref(),
        Some("unaddressed"),
        "never the InternalIP"
    );

    let begun = Instant::now();
    kubernetes.set_node_addresses(
        "n0",
        &[("InternalIP", "10.0.0.1"), ("ExternalIP", &media.ip().to_string())],
    );
    is(&cluster, 0, "alive");
    println!("placeable {:?} after the node got its ExternalIP", begun.elapsed());
    assert!(event(&kubernetes, "AddressKnown", "worker-0").contains(&media.to_string()));
    cluster.wait_until_known(0);
    for gateway in 0..2 {
        publish(&cluster, gateway);
    }

    kubernetes.set_node_addresses("n0", &[("InternalIP", "10.0.0.1"), ("ExternalDNS", "n0.example.com")]);
    is(&cluster, 0, "unaddressed");
    assert!(cluster.worker_log(0).contains("a controller knows no address"));
}

#[test]
fn a_load_balancers_name_is_resolved() {
    let kubernetes = Kubernetes::connect();
    let mut cluster = cluster(1, 1);
    kubernetes.create_node("n0", &[]);
    kubernetes.create_pod("worker-0", "n0", cluster.media(0).port());
    start_controller(&mut cluster, 0, &[0], &kubernetes, &["--addresses", "service"]);
    assert!(event(&kubernetes, "AddressUnknown", "worker-0").contains("no Service selects it"));
    kubernetes.create_balancer("worker-0", 31_189, json!({"hostname": "localhost"}));
    is(&cluster, 0, "alive");
    let told = event(&kubernetes, "AddressKnown", "worker-0");
    assert!(told.contains("127.0.0.1:31189"), "{told}");
    eventually("the worker names it", DONE, || {
        cluster.worker_log(0).contains("127.0.0.1:31189").then_some(())
    });
}

/// The gateway to which the dead worker reported stands still, so that nobody else notices anything before the lease is over.
#[test]
fn a_pod_that_is_gone_is_noticed_before_its_workers_lease_is_over() {
    let kubernetes = Kubernetes::connect();
    let mut cluster = cluster(1, 1);
    kubernetes.create_node("n0", &[("ExternalIP", &cluster.media(0).ip().to_string())]);
    kubernetes.create_pod("worker-0", "n0", cluster.media(0).port());
    cluster.start_gateway(1, &[]);
    start_controller(&mut cluster, 0, &[1], &kubernetes, &[]);
    eventually("it leads", DONE, || (cluster.standing(0)? == "leading").then_some(()));
    eventually("the other gateway lists the worker", DONE, || cluster.health(1, 0));
    event(&kubernetes, "AddressKnown", "worker-0");

    cluster.stop_gateway(0);
    cluster.kill_worker(0);
    let killed = Instant::now();
    kubernetes.delete_pod("worker-0");
    eventually("it is listed no more", DONE, || {
        cluster.health(1, 0).is_none().then_some(())
    });
    let noticed = killed.elapsed();
    // Only one that is listed still is found dead: its lease was not over.
    let dead = event(&kubernetes, "WorkerDead", "worker-0");
    assert!(dead.contains("its pod is gone"), "{dead}");
    assert!(
        cluster
            .gateway_log(1)
            .contains("a worker is dead: a controller had it asked")
    );
    println!("gone {noticed:?} after it was killed; its lease lasts 3 s");
    cluster.signal_gateway(0, Signal::CONT);
}

#[test]
fn workers_of_a_cordoned_node_are_drained_once() {
    let kubernetes = Kubernetes::connect();
    let mut cluster = cluster(1, 2);
    for n in 0..2 {
        let media = cluster.media(n);
        kubernetes.create_node(&format!("n{n}"), &[("ExternalIP", &media.ip().to_string())]);
        kubernetes.create_pod(&format!("worker-{n}"), &format!("n{n}"), media.port());
    }
    start_controller(&mut cluster, 0, &[0], &kubernetes, &["--drain-deadline", "77"]);
    (0..2).for_each(|n| is(&cluster, n, "alive"));

    let begun = Instant::now();
    kubernetes.cordon("n1", true);
    is(&cluster, 1, "draining");
    println!("draining {:?} after its node was cordoned", begun.elapsed());
    let drained = event(&kubernetes, "DrainBegun", "worker-1");
    assert!(drained.contains("node n1 is cordoned"), "{drained}");
    assert_eq!(cluster.health(0, 0).as_deref(), Some("alive"));
    kubernetes.cordon("n1", false);
    kubernetes.cordon("n0", true);
    is(&cluster, 0, "draining");
    let log = cluster.gateway_log(0);
    for n in 0..2 {
        let line = format!("a controller drains a worker worker=worker-{n} deadline_seconds=77");
        assert_eq!(log.matches(&line).count(), 1, "{log}");
    }
    let full = event(&kubernetes, "NoCapacity", "whipcord-controller");
    assert!(full.contains("2 workers report"), "{full}");
}
