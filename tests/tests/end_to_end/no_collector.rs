//! A collector that is away, refuses, or does not answer: publishing goes on, and one line of log says so.

use std::{
    net::TcpListener,
    process::Command,
    time::{Duration, Instant},
};

use whipcord_tests::{
    cluster::Cluster,
    collector::{Code, Collector, Manner},
    eventually, pattern,
    recording::Recording,
    whipcord::binary,
};

use crate::faults::post;

/// It is tried each half second, and waited for for one.
const NOTICED: Duration = Duration::from_secs(20);

/// A gateway gives a worker that long for its answer: a POST that waited for the collector, too, would be longer.
const ANSWERED: Duration = Duration::from_secs(10);

#[test]
fn one_that_refuses_what_it_is_sent_costs_one_line() {
    for code in [Code::Unavailable, Code::ResourceExhausted] {
        let collector = Collector::start_with(Manner::Refuses(code));
        publishing_goes_on(&collector.endpoint());
        assert!(collector.refused() > 2, "{code:?}: it was asked again and again");
    }
}

#[test]
fn one_that_takes_requests_and_never_answers_them_costs_one_line() {
    let collector = Collector::start_with(Manner::Hangs);
    publishing_goes_on(&collector.endpoint());
    assert!(collector.refused() > 2, "it was asked again and again");
}

#[test]
fn one_that_is_gone_costs_one_line() {
    // Nobody listens at it: whoever did has gone.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    publishing_goes_on(&format!("http://{port}"));
}

#[test]
fn one_that_takes_connections_and_never_answers_costs_one_line() {
    // The kernel takes them; nobody reads.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    publishing_goes_on(&format!("http://{}", listener.local_addr().unwrap()));
}

fn publishing_goes_on(endpoint: &str) {
    let mut cluster = Cluster::new();
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
        ("OTEL_BSP_SCHEDULE_DELAY", "500"),
    ] {
        cluster.set_environment(name, value);
    }
    cluster.start_redis();
    cluster.start_gateway(0, &[]);
    cluster.start_worker(0, &[]);
    cluster.wait_until_known(0);
    publish(&cluster, "before", 1);
    eventually("both have said so", NOTICED, || {
        (warnings(&cluster.gateway_log(0)) > 0 && warnings(&cluster.worker_log(0)) > 0).then_some(())
    });
    // Some more attempts of each fail meanwhile.
    publish(&cluster, "after", 5);
    for n in 0..20 {
        let begun = Instant::now();
        let (status, _) = post(&cluster, 0, &format!("cam/{n}"));
        assert_eq!(status, 201);
        assert!(begun.elapsed() < ANSWERED, "POST {n}: {:?}", begun.elapsed());
    }
    let recordings = cluster.recordings("after");
    let recording = Recording::read(&recordings[0]);
    assert_eq!((recording.readable(), recording.numbers()), (150, Some((0, 149))));
    for log in [cluster.gateway_log(0), cluster.worker_log(0)] {
        assert_eq!(warnings(&log), 1, "{log}");
    }
}

/// Lines of any module about it.
fn warnings(log: &str) -> usize {
    let lines = log
        .lines()
        .filter(|line| line.contains("WARN") || line.contains("ERROR"));
    lines
        .filter(|line| line.contains("collector") || line.to_lowercase().contains("opentelemetry"))
        .count()
}

fn publish(cluster: &Cluster, stream: &str, seconds: u32) {
    let published = Command::new(binary())
        .args(["publish", &cluster.whip_url(0, stream), "--token", cluster.token()])
        .args(["--duration", &format!("{seconds}s")])
        .arg(pattern::file())
        .output()
        .unwrap();
    assert!(published.status.success(), "{published:?}");
}
