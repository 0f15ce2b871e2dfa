//! What Prometheus is told.

use std::{net::UdpSocket, time::Duration};

use whipcord_tests::{cluster::Cluster, eventually, http, load::Session};

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
        "rpc_client_call_duration_seconds_count{rpc_method=\"whipcord.worker.v1.WorkerService/CreateSession\",rpc_response_status_code=\"OK\"",
    ];
    for series in expected {
        let line = text.lines().find(|line| line.starts_with(series));
        assert!(
            line.is_some_and(|line| line.ends_with(" 1")),
            "{series}: {line:?} in\n{text}"
        );
    }
    assert_names_nothing(&text, sid);
}

fn assert_names_nothing(text: &str, sid: &str) {
    for own in ["a-very-own-stream", sid, "127."] {
        assert!(!text.contains(own), "{own} in\n{text}");
    }
}

#[test]
fn a_worker_counts_a_sessions_way_media_and_end() {
    let cluster = Cluster::start(1, 1);
    let mut session = Session::connect(&cluster.origin(0), "a-very-own-stream", cluster.token()).unwrap();
    (0..100).for_each(|_| session.send());
    // Of no session.
    let stray = UdpSocket::bind("127.0.0.1:0").unwrap();
    stray.send_to(b"garbage", cluster.media(0)).unwrap();
    wait_for(&cluster, "whipcord_media_packets_total{kind=\"video\"", |packets| {
        packets == 100.0
    });
    assert_eq!(value(&cluster.worker_metrics(0), "whipcord_session_active{"), Some(1.0));
    assert_eq!(session.delete(&cluster.origin(0)).unwrap(), 200);
    wait_for(&cluster, "whipcord_session_ended_total{reason=\"deleted\"", |ended| {
        ended == 1.0
    });
    let text = cluster.worker_metrics(0);
    let exactly = [
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
        // What was sent is noise.
        (
            "whipcord_session_setup_duration_seconds_count{result=\"failed\",stage=\"first_keyframe\"",
            1.0,
        ),
        ("whipcord_worker_slots_limit{", 1000.0),
        ("whipcord_worker_slots_used{", 0.0),
        ("whipcord_media_received_bytes_total{kind=\"video\"", 10_000.0),
        ("whipcord_media_packets_total{kind=\"video\"", 100.0),
        ("whipcord_udp_dropped_total{reason=\"malformed\"", 1.0),
        ("whipcord_recording_errors_total{", 0.0),
    ];
    for (series, expected) in exactly {
        assert_eq!(value(&text, series), Some(expected), "{series} in\n{text}");
    }
    let granted = value(&text, "whipcord_udp_receive_buffer_bytes{");
    assert!(granted.is_some_and(|bytes| bytes > 0.0), "{text}");
    assert_names_nothing(&text, session.sid());
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
