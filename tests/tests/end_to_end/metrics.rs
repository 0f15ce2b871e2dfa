//! What Prometheus is told.

use std::{collections::BTreeSet, fs, net::UdpSocket, time::Duration};

use whipcord_tests::{cluster::Cluster, collector::Collector, eventually, http, load::Session, root};

use crate::faults::post;

#[test]
fn series_count_what_happened_and_name_no_stream_session_or_address() {
    let cluster = Cluster::start(1, 1);
    let (status, path) = post(&cluster, 0, "a-very-own-stream");
    assert_eq!(status, 201);
    let sid = path.rsplit('/').next().unwrap().split('.').next().unwrap();
    let refused = http::request("POST", &cluster.whip_url(0, "a-very-own-stream"), &[], "");
    assert_eq!(refused.status, 401);
    let text = cluster.gateway_metrics(0);
    let expected = [
        "http_server_request_duration_seconds_count{http_request_method=\"POST\",http_response_status_code=\"201\",http_route=\"/whip/{stream}\"",
        "whipcord_request_rejected_total{reason=\"no_token\"",
        "whipcord_placement_attempts_count{outcome=\"placed\"",
        "whipcord_directory_workers{state=\"alive\"",
        "whipcord_directory_reports_total{kind=\"hello\",result=\"ok\"",
        "db_client_operation_duration_seconds_count{db_operation_name=\"EVALSHA\",db_stored_procedure_name=\"place\",db_system_name=\"redis\"",
        "rpc_client_call_duration_seconds_count{rpc_method=\"whipcord.worker.v1.WorkerService/CreateSession\",rpc_response_status_code=\"OK\"",
    ];
    for series in expected {
        let line = text.lines().find(|line| line.starts_with(series));
        assert!(
            line.is_some_and(|line| line.ends_with(" 1")),
            "{series}: {line:?} in\n{text}"
        );
    }
    assert_eq!(value(&text, "whipcord_redis_degraded{"), Some(0.0), "{text}");
    assert!(
        value(&text, "whipcord_runtime_tasks{") > Some(0.0)
            && value(&text, "whipcord_runtime_busy_seconds_total{") > Some(0.0),
        "{text}"
    );
    assert_names_nothing(&text, sid);
}

/// Of the scope that an instrument belongs to, and of a bucket, besides docs/telemetry.md's.
const LABELS: [&str; 20] = [
    "le",
    "otel_scope_name",
    "db_operation_name",
    "db_stored_procedure_name",
    "db_system_name",
    "error_type",
    "http_request_method",
    "http_response_status_code",
    "http_route",
    "kind",
    "outcome",
    "reason",
    "result",
    "rpc_method",
    "rpc_response_status_code",
    "rpc_system_name",
    "shard",
    "sink",
    "stage",
    "state",
];

fn assert_names_nothing(text: &str, sid: &str) {
    for own in ["a-very-own-stream", sid, "127."] {
        assert!(!text.contains(own), "{own} in\n{text}");
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (_, labels) = line.split_once('{').unwrap_or_else(|| panic!("{line}"));
        let names = labels
            .split("=\"")
            .filter_map(|before| before.rsplit([',', '{', '"']).next());
        let names: Vec<&str> = names.take(labels.matches("=\"").count()).collect();
        assert!(
            !names.is_empty() && names.iter().all(|name| LABELS.contains(name)),
            "{names:?} of {line}"
        );
    }
}

#[test]
fn a_worker_counts_a_sessions_way_media_and_end() {
    let cluster = Cluster::start(1, 1);
    let mut session = Session::connect(&cluster.origin(0), "a-very-own-stream", cluster.token()).unwrap();
    (0..99).for_each(|_| session.send());
    session.send_keyframe();
    // Of no session.
    let stray = UdpSocket::bind("127.0.0.1:0").unwrap();
    stray.send_to(b"garbage", cluster.media(0)).unwrap();
    let mut sent = 100.0;
    let jitter = "whipcord_media_jitter_seconds_count{kind=\"video\"";
    eventually("media that comes was looked at", COUNTED, || {
        session.send();
        sent += 1.0;
        value(&cluster.worker_metrics(0), jitter)
    });
    wait_for(&cluster, "whipcord_media_packets_total{kind=\"video\"", |packets| {
        packets == sent
    });
    assert_eq!(value(&cluster.worker_metrics(0), "whipcord_session_active{"), Some(1.0));
    let text = cluster.worker_metrics(0);
    for (series, expected) in [
        ("whipcord_worker_load{", 0.001),
        ("whipcord_worker_state{state=\"ready\"", 1.0),
        ("whipcord_worker_state{state=\"draining\"", 0.0),
        ("whipcord_worker_state{state=\"mute\"", 0.0),
        ("whipcord_worker_state{state=\"unreported\"", 0.0),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series} in\n{text}");
    }
    // Nothing is sent any more.
    wait_for(&cluster, "whipcord_media_stalls_total{kind=\"video\"", |stalls| {
        stalls == 1.0
    });
    assert_eq!(session.delete(&cluster.origin(0)).unwrap(), 200);
    wait_for(&cluster, "whipcord_session_ended_total{reason=\"deleted\"", |ended| {
        ended == 1.0
    });
    let text = cluster.worker_metrics(0);
    for (series, expected) in of_a_session(sent) {
        assert_eq!(value(&text, series), Some(expected), "{series} in\n{text}");
    }
    let granted = value(&text, "whipcord_udp_receive_buffer_bytes{");
    assert!(granted.is_some_and(|bytes| bytes > 0.0), "{text}");
    for series in [
        "whipcord_shard_busy_seconds_total{shard=\"0\"",
        "whipcord_directory_report_lag_seconds_count{kind=\"beat\"",
        "whipcord_directory_report_lag_seconds_count{kind=\"hello\"",
        "whipcord_runtime_tasks{",
    ] {
        assert!(
            value(&text, series).is_some_and(|value| value > 0.0),
            "{series} in\n{text}"
        );
    }
    assert_names_nothing(&text, session.sid());
}

/// What a worker's series are after one session with so many packets.
fn of_a_session(sent: f64) -> [(&'static str, f64); 17] {
    [
        ("whipcord_session_active{", 0.0),
        ("whipcord_session_created_total{", 1.0),
        ("whipcord_session_duration_seconds_count{reason=\"deleted\"", 1.0),
        (
            "whipcord_session_setup_duration_seconds_count{result=\"ok\",stage=\"ice\"",
            1.0,
        ),
        (
            "whipcord_session_setup_duration_seconds_count{result=\"ok\",stage=\"dtls\"",
            1.0,
        ),
        (
            "whipcord_session_setup_duration_seconds_count{result=\"ok\",stage=\"first_media\"",
            1.0,
        ),
        (
            "whipcord_session_setup_duration_seconds_count{result=\"ok\",stage=\"establish\"",
            1.0,
        ),
        (
            "whipcord_session_setup_duration_seconds_count{result=\"ok\",stage=\"first_keyframe\"",
            1.0,
        ),
        ("whipcord_worker_slots_limit{", 1000.0),
        ("whipcord_worker_slots_used{", 0.0),
        ("whipcord_media_received_bytes_total{kind=\"video\"", sent * 100.0),
        ("whipcord_media_packets_total{kind=\"video\"", sent),
        ("whipcord_media_keyframes_total{", 1.0),
        ("whipcord_media_stalls_total{kind=\"video\"", 1.0),
        (
            "rpc_server_call_duration_seconds_count{rpc_method=\"whipcord.worker.v1.WorkerService/CreateSession\",rpc_response_status_code=\"OK\"",
            1.0,
        ),
        ("whipcord_udp_dropped_total{reason=\"malformed\"", 1.0),
        ("whipcord_recording_errors_total{", 0.0),
    ]
}

#[test]
fn streams_have_series_of_their_own_where_they_are_asked_for_and_not_more_than_that() {
    let mut cluster = Cluster::new();
    cluster.start_redis();
    cluster.start_gateway(0, &[]);
    cluster.start_worker(0, &[]);
    cluster.wait_until_known(0);
    let url = format!("{}/metrics/streams", cluster.worker_admin(0));
    assert_eq!(http::request("GET", &url, &[], "").status, 404, "nobody asked for them");
    cluster.start_worker(0, &["--stream-metrics", "1"]);
    cluster.wait_until_known(0);
    let connect = |stream: &str| Session::connect(&cluster.origin(0), stream, cluster.token()).unwrap();
    let (mut first, second) = (connect("studio/cam-1"), connect("studio/cam-2"));
    let series = |name: &str| format!("{name}{{stream=\"studio/cam-1\",sid=\"{}\"", first.sid());
    let expected = [
        series("whipcord_stream_state") + ",state=\"connected\"} 1",
        series("whipcord_stream_created_seconds") + "}",
        series("whipcord_stream_bitrate_bps") + ",kind=\"video\"}",
        series("whipcord_stream_packets_lost") + ",kind=\"video\"} 0",
        series("whipcord_stream_jitter_seconds") + ",kind=\"video\"}",
        series("whipcord_stream_keyframe_age_seconds") + "}",
        "whipcord_streams_omitted 1".to_owned(),
    ];
    first.send_keyframe();
    let text = eventually("the first has all of its series", COUNTED, || {
        first.send();
        let text = http::request("GET", &url, &[], "").body;
        let has = |series: &String| text.lines().any(|line| line.starts_with(series.as_str()));
        expected.iter().all(has).then_some(text)
    });
    assert!(!text.contains("cam-2"), "one was asked for:\n{text}");
    assert_eq!(first.delete(&cluster.origin(0)).unwrap(), 200);
    eventually("the other has its place", COUNTED, || {
        let text = http::request("GET", &url, &[], "").body;
        (text.contains(second.sid()) && !text.contains(first.sid())).then_some(())
    });
    assert_names_nothing(&cluster.worker_metrics(0), second.sid());
}

#[test]
fn every_metric_that_is_sent_is_written_down() {
    let collector = Collector::start();
    let mut cluster = Cluster::new();
    cluster.set_environment("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint());
    cluster.set_environment("OTEL_METRIC_EXPORT_INTERVAL", "500");
    cluster.start_redis();
    cluster.start_gateway(0, &[]);
    cluster.start_worker(0, &[]);
    cluster.wait_until_known(0);
    let mut session = Session::connect(&cluster.origin(0), "studio", cluster.token()).unwrap();
    session.send_keyframe();
    assert_eq!(session.delete(&cluster.origin(0)).unwrap(), 200);
    let mut sent = BTreeSet::new();
    let telling = [
        "whipcord.session.ended",
        "whipcord.media.keyframes",
        "whipcord.placement.attempts",
        "db.client.operation.duration",
        "whipcord.directory.reports",
        "whipcord.directory.report.lag",
        "whipcord.runtime.tasks",
    ];
    eventually("both have sent theirs", COUNTED, || {
        sent.extend(collector.metrics());
        telling.iter().all(|name| sent.contains(*name)).then_some(())
    });
    let documented = fs::read_to_string(root().join("docs/telemetry.md")).unwrap();
    let is_undocumented = |name: &&String| !documented.contains(&format!("`{name}`"));
    let undocumented: Vec<_> = sent.iter().filter(is_undocumented).collect();
    assert!(undocumented.is_empty(), "not in docs/telemetry.md: {undocumented:?}");
}

/// Media is counted every 5 s.
const COUNTED: Duration = Duration::from_secs(20);

fn wait_for(cluster: &Cluster, series: &str, is: impl Fn(f64) -> bool) {
    eventually(series, COUNTED, || {
        value(&cluster.worker_metrics(0), series).filter(|value| is(*value))
    });
}

/// Of the first series that begins so.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(series))?;
    line.rsplit(' ').next()?.parse().ok()
}
