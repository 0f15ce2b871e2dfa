//! L. Security: rates, sizes and slow clients.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    answer::read_answer,
    bed::{Bed, OFFER, SDP},
};

#[tokio::test]
async fn l3_l4_l5_a_flood_is_429_with_retry_after() {
    let bed = Bed::with(&["--request-rate", "1"]).await;
    let session = bed.publish("cam").await;
    let mut statuses = Vec::new();
    for method in ["POST", "PATCH", "DELETE"].iter().cycle().take(12) {
        let path = if *method == "POST" {
            "/whip/cam"
        } else {
            "/whip/cam/AAAAAAAAAAAAAAAAAAAAAA"
        };
        let answer = bed.bearer(method, path, &[SDP], b"").await;
        if answer.status == 429 {
            answer.is_problem(429, "too_many_requests");
            assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
        }
        statuses.push(answer.status);
    }
    assert_eq!(
        statuses.iter().filter(|status| **status == 429).count(),
        3,
        "a burst of ten: {statuses:?}"
    );
    assert_eq!(
        bed.request("GET", &session.path, &[], b"").await.status,
        204,
        "reading is not limited"
    );
}

/// Its signature is checked each time.
#[tokio::test]
async fn l3_a_token_for_another_stream_is_charged_too() {
    let bed = Bed::with(&["--request-rate", "1"]).await;
    for (token, path, status) in [("one", "/whip/cam", 403), ("two", "/whip/..", 400)] {
        let authorization = format!("Bearer {}", bed.mint(&[token]));
        let headers = [SDP, ("Authorization", authorization.as_str())];
        // A burst of ten, and one a second; a machine that is slower than that for so long is none.
        let mut statuses = Vec::new();
        while statuses.len() < 200 && statuses.last() != Some(&429) {
            statuses.push(bed.request("POST", path, &headers, b"").await.status);
        }
        assert_eq!((statuses[0], statuses.last()), (status, Some(&429)), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn l7_a_slow_body_is_408() {
    let bed = Bed::start().await;
    let head = format!(
        "POST /whip/cam HTTP/1.1\r\nHost: a\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\nAuthorization: Bearer {}\r\n\r\n",
        OFFER.len(),
        bed.token
    );
    let start = tokio::time::Instant::now();
    bed.raw("POST", &[head.as_bytes(), b"v=0\r\n"].concat())
        .await
        .is_problem(408, "slow_body");
    assert!(start.elapsed() < Duration::from_secs(13), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn l7_a_slow_head_closes_the_connection() {
    let bed = Bed::start().await;
    for beginning in ["", "P", "PRI * HTTP/2.0\r\n", "POST /whip/cam HTTP/1.1\r\nHost: a\r\n"] {
        let mut stream = TcpStream::connect(bed.address).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let start = tokio::time::Instant::now();
        let mut rest = Vec::new();
        // Closed or reset; it may say 408 before.
        let _ = timeout(Duration::from_secs(60), stream.read_to_end(&mut rest)).await;
        assert!(
            start.elapsed() < Duration::from_secs(21),
            "{beginning:?}: {:?}",
            start.elapsed()
        );
    }
}

#[tokio::test]
async fn l7_a_huge_head_is_refused() {
    let bed = Bed::start().await;
    let answer = bed
        .request("GET", "/whip/cam", &[("X-Huge", &"a".repeat(64 * 1024))], b"")
        .await;
    assert_eq!(answer.status, 431);
}

#[tokio::test]
async fn l8_a_host_that_is_none_is_400_and_forwarded_ones_are_not_repeated() {
    let bed = Bed::start().await;
    let post = async |hosts: &str| {
        let head = format!(
            "POST /whip/cam HTTP/1.1\r\n{hosts}Content-Type: application/sdp\r\nContent-Length: {}\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\nAuthorization: Bearer {}\r\n\r\n",
            OFFER.len(),
            bed.token
        );
        bed.raw("POST", (head + OFFER).as_bytes()).await
    };
    for hosts in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: user@evil\r\n",
        "Host: evil/path\r\n",
        "Host: a b\r\n",
    ] {
        post(hosts).await.is_problem(400, "host");
    }
    assert!(bed.worker.state().created.is_empty());
    let nameless = post("Host:\r\n").await;
    assert!(
        nameless.header("location").unwrap().starts_with("/whip/cam/"),
        "{nameless:?}"
    );
    let named = post("Host: [::1]:8080\r\n").await;
    assert!(
        named
            .header("location")
            .unwrap()
            .starts_with("http://[::1]:8080/whip/cam/"),
        "{named:?}"
    );
}

#[tokio::test]
async fn garbage_is_no_request_and_hurts_nobody() {
    let bed = Bed::start().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01"[..],
        b"GET\r\n\r\n",
        b"\r\n\r\n\r\n",
        &[0xff; 4096],
    ] {
        let mut stream = TcpStream::connect(bed.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    }
    assert_eq!(bed.post("/whip/cam").await.status, 201);
}

#[tokio::test]
async fn a_connection_carries_one_request_after_another() {
    let bed = Bed::start().await;
    let mut stream = TcpStream::connect(bed.address).await.unwrap();
    for _ in 0..3 {
        stream
            .write_all(b"OPTIONS /whip HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(read_answer(&mut stream, "OPTIONS").await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn shutdown_lets_requests_in_flight_end() {
    let bed = Bed::start().await;
    bed.worker.next(crate::worker::Step::Late(Duration::from_millis(300)));
    let idle = TcpStream::connect(bed.address).await.unwrap();
    let stop = async {
        crate::bed::eventually(|| bed.worker.state().created.len() == 1).await;
        bed.shutdown.cancel();
    };
    let (answer, ()) = tokio::join!(bed.post("/whip/cam"), stop);
    assert_eq!(answer.status, 201);
    let address = bed.address;
    timeout(Duration::from_secs(5), bed.stop())
        .await
        .expect("an idle connection holds nothing up");
    assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
    drop(idle);
}
