//! A cluster that a real Prometheus watches: at first all is well, and no alert says anything; then each fault is caused, until its
//! alert has fired; and in the end every panel of the dashboards has moved.
//!
//! The rules are the chart's, with every duration divided; what they say is not changed.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use whipcord_tests::{
    cluster::{Cluster, Condition},
    dashboards::Dashboard,
    eventually,
    fault::Extent,
    prometheus::{Job, Prometheus, Series, is_missing},
    rules::{self, Alert},
};

use crate::{cluster::live_with, faults::UNLIMITED};

mod causes;

/// 5 minutes are 15 s then: three of the 5 s after which a worker counts media.
const FASTER: u64 = 20;
/// What all ranges but the longest are over after.
const HEALTHY: Duration = Duration::from_secs(16);
/// The longest range and `for`, and what a loaded machine needs beside.
const FIRES: Duration = Duration::from_secs(90);
/// Of a worker: all that come without a fault, and then some.
const PLACES: &str = "32";

/// Of a worker: streams with series of their own.
const OWN_SERIES: &str = "20";
/// The one that a dashboard is looked at of.
const STREAM: &str = "lossy/repaired";

/// The cluster, and who watches it.
struct Watch {
    cluster: Cluster,
    prometheus: Prometheus,
}

impl Watch {
    fn start() -> Self {
        let mut cluster = Cluster::new();
        cluster.set_condition(Condition::RefusableDisk);
        cluster.start_redis();
        (0..2).for_each(|n| cluster.start_gateway(n, &UNLIMITED));
        let options = ["--sessions-max", PLACES, "--stream-metrics", OWN_SERIES];
        (0..2).for_each(|n| cluster.start_worker(n, &options));
        (0..2).for_each(|n| cluster.wait_until_known(n));
        let targets = |admin: [String; 2]| admin.map(|url| url.replace("http://", "")).to_vec();
        let jobs = [
            Job {
                name: "whipcord-gateway",
                path: "/metrics",
                targets: targets([0, 1].map(|n| cluster.gateway_admin(n))),
            },
            Job {
                name: "whipcord-worker",
                path: "/metrics",
                targets: targets([0, 1].map(|n| cluster.worker_admin(n))),
            },
            Job {
                name: "whipcord-streams",
                path: "/metrics/streams",
                targets: targets([0, 1].map(|n| cluster.worker_admin(n))),
            },
        ];
        let rules = rules::hastened(&rules::text(), FASTER);
        let prometheus = Prometheus::start(cluster.prometheus_address(), &jobs, &rules);
        Self { cluster, prometheus }
    }

    /// Waits until a query finds something.
    #[track_caller]
    fn wait_until(&self, query: &str) {
        eventually(query, FIRES, || {
            (!self.prometheus.query(query).is_empty()).then_some(())
        });
    }

    /// Waits until these alerts fire, or have fired.
    #[track_caller]
    fn wait_for(&self, alerts: &[&str]) {
        for alert in alerts {
            let firing = format!("max_over_time(ALERTS{{alertname=\"{alert}\", alertstate=\"firing\"}}[10m])");
            self.wait_until(&firing);
        }
        for (alert, _, says) in self.prometheus.alerts() {
            assert!(!says.contains("<error"), "{alert}: {says}");
        }
    }
}

#[test]
fn each_fault_fires_its_alert_and_every_panel_moves() {
    if is_missing("prometheus", "alerts and dashboards of a running cluster") {
        return;
    }
    let mut watch = Watch::start();
    let publishers: Vec<_> = (0..2)
        .map(|n| live_with(&watch.cluster, n, &format!("studio/{n}"), &["--loop"]))
        .map(Publisher)
        .collect();
    let live = SystemTime::now();
    eventually("all has been well for a while", FIRES, || {
        (live.elapsed().unwrap() > HEALTHY).then_some(())
    });
    let said = watch.prometheus.alerts();
    assert!(
        said.iter().all(|(_, state, _)| state != "firing"),
        "all is well: {said:?}"
    );

    let well = SystemTime::now();
    if Extent::of_this_run() == Extent::Short {
        causes::no_room_and_nobody_comes_through(&watch);
        causes::redis_away(&mut watch);
        return assert_panels_are_answered(&watch.prometheus);
    }
    causes::bad_network(&watch);
    causes::full_disk(&mut watch);
    causes::no_room_and_nobody_comes_through(&watch);
    causes::redis_away(&mut watch);
    causes::flood(&mut watch);
    causes::dead_worker(&mut watch);
    let text = rules::text();
    let named: Vec<&str> = Alert::all(&text).iter().map(|alert| alert.name).collect();
    watch.wait_for(&named);
    assert_panels_moved(&watch.prometheus, well);
    drop(publishers);
}

/// Killed when dropped.
struct Publisher(std::process::Child);

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Each query of each panel, with what it belongs to.
fn queries() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for (_, dashboard) in Dashboard::all() {
        for panel in &dashboard.panels {
            for target in &panel.targets {
                let name = format!("{}, {}, {}", dashboard.title, panel.title, target.legend);
                queries.push((name, filled_in(&target.query)));
            }
        }
    }
    queries
}

fn assert_panels_are_answered(prometheus: &Prometheus) {
    for (_, query) in queries() {
        prometheus.query(&query);
    }
}

/// Of a state there is a series only while it lasts: it comes and goes, and is always 1.
const COMES_AND_GOES: &str = "Whipcord / One stream, State, ";

/// Each query of each panel says something, and something else after a fault than before.
fn assert_panels_moved(prometheus: &Prometheus, since: SystemTime) {
    let mut still = Vec::new();
    for (name, query) in queries() {
        let series = prometheus.since(since, &query);
        let moved = if name.starts_with(COMES_AND_GOES) {
            let states: BTreeSet<String> = series.iter().map(|series| series.metric["state"].to_string()).collect();
            states.len() > 1
        } else {
            series.iter().any(changed)
        };
        if !moved {
            still.push(format!("{name}: {} series stand still: {query}", series.len()));
        }
    }
    assert!(still.is_empty(), "{}", still.join("\n"));
}

/// Whether it has a value, and another one at another time. That it is gone with its process says nothing.
fn changed(series: &Series) -> bool {
    let mut values = series
        .values
        .iter()
        .map(|(_, value)| value)
        .filter(|value| *value != "NaN");
    let first = values.next();
    first.is_some_and(|first| values.any(|value| value != first))
}

/// What Grafana puts in, where nothing is chosen.
fn filled_in(query: &str) -> String {
    query
        .replace("$__rate_interval", "10s")
        .replace("$__range", "10m")
        .replace("$namespace", ".*")
        .replace("$instance", ".*")
        .replace("$stream", STREAM)
}
