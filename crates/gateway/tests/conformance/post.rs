//! A. POST to the endpoint.

use tokio::io::AsyncWriteExt as _;
use whipcord_proto::worker::DeleteReason;

use crate::{
    answer::read_answer,
    bed::{Bed, FRAGMENT, OFFER, SDP, eventually},
    worker::ANSWER,
};

#[tokio::test]
async fn a1_an_offer_is_answered() {
    let bed = Bed::start().await;
    let answer = bed.post("/whip/live/cam").await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("content-type").as_deref(), Some("application/sdp"));
    assert_eq!(answer.body, ANSWER);
    answer.is_framed();
    let created = bed.worker.state().created.remove(0);
    assert_eq!(
        (created.stream.as_str(), created.offer.as_slice()),
        ("live/cam", OFFER.as_bytes())
    );
    assert_eq!(created.owner.unwrap().worker_id, "worker-0");
}

#[tokio::test]
async fn a2_a3_the_location_is_absolute_and_a_delete_there_works() {
    let bed = Bed::start().await;
    let location = bed.post("/whip/live/cam?prompts=x").await.header("location").unwrap();
    let path = location.strip_prefix(&format!("http://{}", bed.address)).unwrap();
    assert!(path.starts_with("/whip/live/cam/") && !path.contains('?'), "{path}");
    assert_eq!(bed.request("DELETE", path, &[], b"").await.status, 200);

    let bed = Bed::with(&["--public-url", "https://ingest.example.com/media/"]).await;
    let location = bed.post("/whip/cam").await.header("location").unwrap();
    assert!(
        location.starts_with("https://ingest.example.com/media/whip/cam/"),
        "{location}"
    );
}

#[tokio::test]
async fn a4_each_session_has_its_strong_etag() {
    let bed = Bed::start().await;
    let (one, two) = (bed.publish("one").await.etag, bed.publish("two").await.etag);
    assert!(one.starts_with('"') && one.ends_with('"') && one.len() > 2);
    assert_ne!(one, two);
}

#[tokio::test]
async fn a6_wrong_content_type_is_415() {
    let bed = Bed::start().await;
    for media_type in [
        "text/plain",
        "application/json",
        "application/sdpx",
        "",
        "application/trickle-ice-sdpfrag",
    ] {
        let answer = bed
            .bearer("POST", "/whip/cam", &[("Content-Type", media_type)], OFFER.as_bytes())
            .await;
        answer.is_problem(415, "content_type");
        assert_eq!(answer.header("location"), None);
    }
    bed.bearer("POST", "/whip/cam", &[], OFFER.as_bytes())
        .await
        .is_problem(415, "content_type");
    bed.bearer("POST", "/whip/cam", &[SDP, SDP], OFFER.as_bytes())
        .await
        .is_problem(415, "content_type");
    assert_eq!(bed.worker.state().created.len(), 0);
}

#[tokio::test]
async fn a7_the_content_type_has_any_case_and_parameters() {
    let bed = Bed::start().await;
    for media_type in [
        "Application/SDP",
        "application/sdp; charset=utf-8",
        "application/sdp ;q=1",
    ] {
        let answer = bed
            .bearer("POST", "/whip/cam", &[("Content-Type", media_type)], OFFER.as_bytes())
            .await;
        assert_eq!(answer.status, 201, "{media_type}");
    }
}

#[tokio::test]
async fn a8_what_is_no_offer_is_refused_and_leaves_nothing() {
    let bed = Bed::start().await;
    let truncated = &OFFER[..OFFER.find("m=audio").unwrap() + 10];
    let garbage: &[(&[u8], u16)] = &[
        (b"", 400),
        (b"hello", 400),
        (truncated.as_bytes(), 400),
        (b"\n\n\n", 400),
        (&[0xff; 2000], 400),
    ];
    for (body, status) in garbage {
        let answer = bed.bearer("POST", "/whip/cam", &[SDP], body).await;
        assert_eq!(answer.status, *status, "{answer:?}");
        answer.is_problem(*status, &reason(&answer.body));
        assert_eq!(answer.header("location"), None);
    }
    for (line, reason) in [("a=fingerprint", "no_fingerprint"), ("a=rtcp-mux", "no_rtcp_mux")] {
        let without: String = OFFER.split_inclusive("\r\n").filter(|l| !l.starts_with(line)).collect();
        bed.bearer("POST", "/whip/cam", &[SDP], without.as_bytes())
            .await
            .is_problem(422, reason);
    }
    assert_eq!(bed.worker.state().created.len(), 0);
    assert_eq!(bed.directory.workers().workers[0].sessions, 0);
}

#[tokio::test]
async fn a8_a_body_of_one_megabyte_is_413() {
    let bed = Bed::start().await;
    let head = format!(
        "POST /whip/cam HTTP/1.1\r\nHost: a\r\nContent-Type: application/sdp\r\nAuthorization: Bearer {}\r\n",
        bed.token
    );
    // From a client that writes all before it reads; of the larger, more than the sockets hold.
    for size in [1024 * 1024, 4_000_000] {
        let mut stream = tokio::net::TcpStream::connect(bed.address).await.unwrap();
        let length = format!("Content-Length: {size}\r\n\r\n");
        let whole = [head.as_bytes(), length.as_bytes(), &vec![b'a'; size]].concat();
        stream.write_all(&whole).await.unwrap();
        let answer = read_answer(&mut stream, "POST").await.unwrap();
        answer.is_problem(413, "too_large");
    }

    // Without a Content-Length it is found out while reading, and not at an end that never comes.
    let chunk = [b"10000\r\n", [b'a'; 0x10000].as_slice(), b"\r\n"].concat();
    let chunked = [head.as_bytes(), b"Transfer-Encoding: chunked\r\n\r\n", &chunk, &chunk].concat();
    bed.raw("POST", &chunked).await.is_problem(413, "too_large");
}

#[tokio::test]
async fn a9_line_feeds_alone_and_a_missing_last_one_are_no_error_of_ours() {
    let bed = Bed::start().await;
    for offer in [OFFER.replace('\r', ""), OFFER.trim_end().to_owned()] {
        let status = bed.bearer("POST", "/whip/cam", &[SDP], offer.as_bytes()).await.status;
        assert!(matches!(status, 201 | 400), "{status}");
    }
}

#[tokio::test]
async fn a16_a_session_takes_no_offer() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    for path in [session.path.as_str(), session.without_hint()] {
        for method in ["POST", "PUT"] {
            let answer = bed.bearer(method, path, &[SDP], OFFER.as_bytes()).await;
            answer.is_problem(405, "method");
            assert_eq!(
                answer.header("allow").as_deref(),
                Some("OPTIONS, GET, HEAD, PATCH, DELETE")
            );
        }
    }
}

#[tokio::test]
async fn a17_a_second_publisher_replaces_the_first() {
    let bed = Bed::start().await;
    let first = bed.publish("cam").await;
    let second = bed.publish("cam").await;
    eventually(|| bed.worker.deleted() == [DeleteReason::Replaced]).await;
    bed.bearer("GET", first.without_hint(), &[], b"")
        .await
        .is_problem(404, "no_such_session");
    assert_eq!(bed.bearer("GET", second.without_hint(), &[], b"").await.status, 204);
    assert_eq!(bed.worker.sessions(), 1);
}

#[tokio::test]
async fn a18_expect_chunks_and_http_1_0_work() {
    let bed = Bed::start().await;
    let head = |version: &str, more: &str| {
        format!(
            "POST /whip/cam {version}\r\nContent-Type: application/sdp\r\nAuthorization: Bearer {}\r\n{more}\r\n\r\n",
            bed.token
        )
    };
    let length = format!("Content-Length: {}", OFFER.len());
    let expecting = head("HTTP/1.1", &format!("Host: a\r\nExpect: 100-continue\r\n{length}")) + OFFER;
    assert_eq!(bed.raw("POST", expecting.as_bytes()).await.status, 201);

    let (one, two) = OFFER.split_at(100);
    let chunks = format!("{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n", one.len(), two.len());
    let chunked = head("HTTP/1.1", "Host: a\r\nTransfer-Encoding: chunked") + &chunks;
    assert_eq!(bed.raw("POST", chunked.as_bytes()).await.status, 201);

    let old = bed.raw("POST", (head("HTTP/1.0", &length) + OFFER).as_bytes()).await;
    assert_eq!(old.status, 201);
    assert!(
        old.header("location").unwrap().starts_with("/whip/cam/"),
        "no Host: a relative Location"
    );
}

#[tokio::test]
async fn a18_http_2_works() {
    let bed = Bed::start().await;
    let stream = tokio::net::TcpStream::connect(bed.address).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut client, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let request = |method: &str, path: &str, body: &str| {
        http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", bed.address))
            .header("content-type", "application/sdp")
            .header("authorization", format!("Bearer {}", bed.token))
            .body(http_body_util::Full::new(bytes::Bytes::from(body.to_owned())))
            .unwrap()
    };
    let created = client.send_request(request("POST", "/whip/cam", OFFER)).await.unwrap();
    assert_eq!(created.status(), 201);
    let location = created.headers()["location"].to_str().unwrap().to_owned();
    let path = location.strip_prefix(&format!("http://{}", bed.address)).unwrap();
    let head = client.send_request(request("HEAD", "/whip-stats", "")).await.unwrap();
    assert_eq!(head.status(), 200);
    assert!(head.headers().contains_key("content-length"));
    let body = http_body_util::BodyExt::collect(head.into_body()).await.unwrap();
    assert_eq!(body.to_bytes(), "");
    assert_eq!(
        client.send_request(request("DELETE", path, "")).await.unwrap().status(),
        200
    );
}

#[tokio::test]
async fn a19_accept_is_not_negotiated() {
    let bed = Bed::start().await;
    let answer = bed
        .bearer("POST", "/whip/cam", &[SDP, ("Accept", "text/html")], OFFER.as_bytes())
        .await;
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn the_stream_comes_from_path_query_or_token() {
    let bed = Bed::start().await;
    let one = format!("Bearer {}", bed.mint(&["live/one"]));
    let all = format!("Bearer {}", bed.token);
    let table = [
        ("/whip/live/cam", &all, "live/cam"),
        ("/whip?channelId=live%2Fcam2", &all, "live/cam2"),
        ("/whip/?channelId=cam3", &all, "cam3"),
        ("/whip", &one, "live/one"),
        ("/whip", &all, "default"),
        ("/whip/live/cam?channelId=other", &all, "live/cam"),
    ];
    for (path, token, stream) in table {
        let answer = bed
            .request("POST", path, &[SDP, ("Authorization", token)], OFFER.as_bytes())
            .await;
        assert_eq!(answer.status, 201, "{path}");
        assert!(answer.header("location").unwrap().contains(&format!("/whip/{stream}/")));
        assert_eq!(bed.worker.state().created.pop().unwrap().stream, stream);
    }
    for path in [
        "/whip/..",
        "/whip/a//b",
        "/whip/a%2fb",
        "/whip/1/2/3/4/5/6/7/8/9",
        "/whip/AAAAAAAAAAAAAAAAAAAAAA",
    ] {
        bed.post(path).await.is_problem(400, "stream_name");
    }
    bed.post("/whip?channelId=../etc").await.is_problem(400, "stream_name");
}

#[tokio::test]
async fn query_parameters_are_kept_and_tokens_among_them_are_not() {
    let bed = Bed::start().await;
    assert_eq!(bed.post("/whip/cam?prompts=%7B%7D&x=1&token=planted").await.status, 201);
    let metadata = bed.worker.state().created.pop().unwrap().metadata;
    assert_eq!(
        metadata,
        [("prompts", "{}"), ("x", "1")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into()
    );
    bed.post(&format!("/whip/cam?a={}", "x".repeat(8192)))
        .await
        .is_problem(400, "query");
}

#[tokio::test]
async fn k3_without_extensions_and_ice_servers_there_is_no_link() {
    let bed = Bed::start().await;
    assert_eq!(bed.post("/whip/cam").await.headers("link"), [""; 0]);
    let bed = Bed::with(&[
        "--ice-server",
        "stun:stun.example.com:3478",
        "--ice-server",
        "stun:stun2.example.com",
    ])
    .await;
    let links = bed.post("/whip/cam").await.headers("link");
    assert_eq!(
        links,
        [
            r#"<stun:stun.example.com:3478>; rel="ice-server""#,
            r#"<stun:stun2.example.com>; rel="ice-server""#
        ]
    );
}

#[tokio::test]
async fn l2_session_ids_do_not_repeat() {
    let bed = Bed::start().await;
    let mut ids = std::collections::HashSet::new();
    for _ in 0..50 {
        ids.insert(bed.publish("cam").await.sid().to_owned());
    }
    assert_eq!(ids.len(), 50);
}

#[tokio::test]
async fn other_paths_are_404() {
    let bed = Bed::start().await;
    for path in ["//", "/whipx", "/index.html", "/whip-stats/x"] {
        bed.bearer("POST", path, &[SDP], FRAGMENT.as_bytes())
            .await
            .is_problem(404, "no_such_path");
    }
}

fn reason(body: &str) -> String {
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    problem["reason"].as_str().unwrap().to_owned()
}
