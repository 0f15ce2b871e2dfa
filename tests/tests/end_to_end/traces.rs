//! One trace through gateway and worker, at a collector.

use std::{collections::BTreeSet, time::Duration};

use whipcord_tests::{
    cluster::Cluster,
    collector::{Collector, Span},
    eventually, http,
};

use crate::faults::OFFER;

/// Spans are sent every five seconds.
const SENT: Duration = Duration::from_secs(20);

/// `parent > child`, by names, for all spans of a trace.
fn tree(spans: &[Span], trace: &str) -> BTreeSet<String> {
    let of_trace = || spans.iter().filter(|span| span.trace == trace);
    let name = |id: &str| {
        let span = of_trace().find(|span| span.id == id);
        span.map_or_else(|| id.to_owned(), |span| format!("{} {}", span.service, span.name))
    };
    of_trace()
        .map(|span| format!("{} > {} {}", name(&span.parent), span.service, span.name))
        .collect()
}

#[test]
fn a_post_is_one_trace_from_the_clients_own_span_to_the_worker() {
    let collector = Collector::start();
    let mut cluster = Cluster::new();
    cluster.set_environment("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint());
    cluster.start_redis();
    cluster.start_gateway(0, &[]);
    cluster.start_gateway(1, &[]);
    cluster.start_worker(0, &[]);
    cluster.wait_until_known(0);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let authorization = format!("Bearer {}", cluster.token());
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/sdp"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),
    ];
    let response = http::request("POST", &cluster.whip_url(1, "studio"), &headers, OFFER);
    assert_eq!(response.status, 201);
    let expected: BTreeSet<String> = [
        "b7ad6b7169203331 > whipcord-gateway POST /whip/{stream}",
        "whipcord-gateway POST /whip/{stream} > whipcord-gateway whipcord.auth",
        "whipcord-gateway POST /whip/{stream} > whipcord-gateway whipcord.worker.v1.WorkerService/CreateSession",
        "whipcord-gateway whipcord.worker.v1.WorkerService/CreateSession > whipcord-worker whipcord.worker.v1.WorkerService/CreateSession",
    ]
    .map(str::to_owned)
    .into();
    let mut found = BTreeSet::new();
    eventually("the whole trace is there", SENT, || {
        found = tree(&collector.spans(), trace);
        (found.len() >= expected.len()).then_some(())
    });
    assert_eq!(found, expected);
    let logs = cluster.worker_log(0);
    assert!(logs.contains(&format!("trace_id={trace}")), "{logs}");
}
