//! What Prometheus is told.

use whipcord_tests::{cluster::Cluster, http};

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
    for own in ["a-very-own-stream", sid, "127."] {
        assert!(!text.contains(own), "{own} in\n{text}");
    }
}
