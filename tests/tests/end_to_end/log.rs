//! What is logged of a session, and how that is changed while the process runs.

use std::time::Duration;

use serde_json::Value;
use whipcord_tests::{cluster::Cluster, collector::Collector, eventually, http, load::Session};

/// A line is written a moment after what it tells of; a loaded machine gets this long.
const WRITTEN: Duration = Duration::from_secs(20);

/// The life of a session, each fact once.
const FACTS: [&str; 5] = [
    "session created",
    "connection state: connecting",
    "connection state: connected",
    "track received",
    "session ended",
];

/// Said below info only.
const DETAIL: &str = "DTLS began";

fn with(log: &str, texts: &[&str]) -> Vec<String> {
    let lines = log.lines().filter(|line| texts.iter().all(|text| line.contains(text)));
    lines.map(str::to_owned).collect()
}

#[test]
fn what_is_logged_is_changed_without_a_restart_and_back_again() {
    let mut cluster = Cluster::start(1, 1);
    let url = format!("{}/log", cluster.worker_admin(0));
    let level = |method: &str, filter: &str| {
        let response = http::request(method, &url, &[], filter);
        (response.status, response.body)
    };
    let mut connected = |stream: &str| {
        let session = Session::connect(&cluster.origin(0), stream, cluster.token()).unwrap();
        let log = eventually("it is said that it is connected", WRITTEN, || {
            let log = cluster.worker_log(0);
            let said = with(&log, &[session.sid(), "connection state: connected"]);
            (!said.is_empty()).then_some(log)
        });
        with(&log, &[session.sid(), DETAIL, "DEBUG"]).len()
    };
    assert_eq!(level("GET", ""), (200, "info\n".to_owned()));
    assert_eq!(connected("before"), 0);
    assert_eq!(
        level("PUT", "whipcord_worker=debug,info"),
        (200, "whipcord_worker=debug,info\n".to_owned())
    );
    assert_eq!(connected("meanwhile"), 1);
    assert_eq!(level("PUT", "whipcord_worker=loud").0, 400);
    assert_eq!(connected("not-understood"), 1, "it stays as it was");
    assert_eq!(level("DELETE", ""), (200, "info\n".to_owned()));
    assert_eq!(connected("after"), 0);
}

/// The log of a worker that had one session, and its id and trace.
fn life(format: &str) -> (String, String, String) {
    let collector = Collector::start();
    let mut cluster = Cluster::new();
    cluster.set_environment("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint());
    cluster.set_environment("WHIPCORD_LOG_FORMAT", format);
    cluster.start_redis();
    cluster.start_gateway(0, &[]);
    cluster.start_worker(0, &[]);
    cluster.wait_until_known(0);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let traceparent = format!("00-{trace}-b7ad6b7169203331-01");
    let session = Session::connect_within(&cluster.origin(0), "studio", cluster.token(), &traceparent);
    let mut session = session.unwrap();
    session.send();
    eventually("its track is known", WRITTEN, || {
        let known = with(&cluster.worker_log(0), &[session.sid(), "track received"]);
        (!known.is_empty()).then_some(())
    });
    assert_eq!(session.delete(&cluster.origin(0)).unwrap(), 200);
    let log = eventually("its end is known", WRITTEN, || {
        let log = cluster.worker_log(0);
        (!with(&log, &[session.sid(), "session ended"]).is_empty()).then_some(log)
    });
    (log, session.sid().to_owned(), trace.to_owned())
}

#[test]
fn each_fact_of_a_sessions_life_is_one_line_of_text_with_its_id_and_trace() {
    let (log, sid, trace) = life("text");
    for fact in FACTS {
        let lines = with(&log, &[&format!("sid={sid}"), fact]);
        assert_eq!(lines.len(), 1, "{fact}: {lines:?}");
        let line = &lines[0];
        assert!(
            line.contains(" INFO ") && line.ends_with(&format!("trace_id={trace}")),
            "{line}"
        );
    }
}

#[test]
fn each_fact_of_a_sessions_life_is_one_object_of_json_with_its_id_and_trace() {
    let (log, sid, trace) = life("json");
    let objects: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for fact in FACTS {
        let of_fact = objects
            .iter()
            .filter(|object| object["message"] == fact && object["sid"] == sid.as_str());
        let of_fact: Vec<&Value> = of_fact.collect();
        assert_eq!(of_fact.len(), 1, "{fact}: {of_fact:?}");
        assert_eq!(
            (&of_fact[0]["level"], &of_fact[0]["trace_id"]),
            (&"INFO".into(), &trace.as_str().into())
        );
    }
}
