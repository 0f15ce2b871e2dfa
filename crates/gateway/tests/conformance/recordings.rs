//! `GET /recordings/...`, by RFC 9110 §14.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tonic::Code;

use crate::{
    answer::read_head,
    bed::{Bed, Published},
    worker::{Behaviour, Recorded},
};

/// The recording's URL for who has the session's.
fn recording(session: &Published) -> String {
    session.path.replacen("/whip/", "/recordings/", 1)
}

fn without_hint(session: &Published) -> String {
    session.without_hint().replacen("/whip/", "/recordings/", 1)
}

fn bytes(range: std::ops::Range<u64>) -> String {
    range.map(|at| char::from(Recorded::byte(at))).collect()
}

/// With a recording of so many bytes.
async fn recorded(size: u64) -> (Bed, Published) {
    let bed = Bed::start().await;
    let session = bed.publish("live/cam").await;
    bed.worker.state().recorded.size = size;
    (bed, session)
}

#[tokio::test]
async fn the_whole_comes_with_its_name_its_length_and_nothing_that_keeps_it() {
    let (bed, session) = recorded(200_000).await;
    let answer = bed.request("GET", &recording(&session), &[], b"").await;
    assert_eq!((answer.status, answer.body.len()), (200, 200_000));
    assert!(answer.body == bytes(0..200_000), "other bytes");
    answer.is_framed();
    let name = format!("inline; filename=\"live-cam-{}.webm\"", session.sid());
    for (header, value) in [
        ("content-type", "video/webm"),
        ("content-disposition", &name),
        ("accept-ranges", "bytes"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(answer.header(header).as_deref(), Some(value));
    }
    let head = bed
        .request("HEAD", &recording(&session), &[("Range", "bytes=0-1")], b"")
        .await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for header in ["content-length", "content-type", "content-disposition", "accept-ranges"] {
        assert_eq!(head.header(header), answer.header(header), "{header}");
    }
    assert_eq!(
        bed.worker.state().read.last().unwrap().length,
        0,
        "a HEAD reads nothing"
    );
}

/// The file outlives the start of the worker that wrote it.
#[tokio::test]
async fn the_writer_is_asked_while_it_lives_and_then_its_successor() {
    let (bed, session) = recorded(1000).await;
    bed.hello_as(0, 5).await;
    let asked = || {
        bed.worker
            .state()
            .read
            .last()
            .unwrap()
            .owner
            .clone()
            .unwrap()
            .incarnation
    };
    for _ in 0..8 {
        assert_eq!(bed.request("GET", &recording(&session), &[], b"").await.status, 200);
        assert_eq!(asked(), 0);
    }
    bed.worker.state().behaviour.insert(0, Behaviour::Dead);
    let answer = bed.request("GET", &recording(&session), &[], b"").await;
    answer.is_problem(503, "worker_away");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(bed.request("GET", &recording(&session), &[], b"").await.status, 200);
    assert_eq!(asked(), 5);
}

#[tokio::test]
async fn one_range_is_a_206_and_several_or_none_that_can_be_read_are_the_whole() {
    let (bed, session) = recorded(1000).await;
    let path = recording(&session);
    for (range, expected) in [
        ("bytes=0-", Some(0..1000)),
        ("bytes=0-0", Some(0..1)),
        ("bytes=500-599", Some(500..600)),
        ("bytes=990-5000", Some(990..1000)),
        ("bytes=999-", Some(999..1000)),
        ("bytes=-10", Some(990..1000)),
        ("bytes=-5000", Some(0..1000)),
        ("bytes=1-2,5-6", None),
        ("bytes=9-1", None),
        ("bytes=x", None),
        ("pictures=1-2", None),
    ] {
        let answer = bed.request("GET", &path, &[("Range", range)], b"").await;
        let (status, part) = match expected.clone() {
            Some(part) => (206, part),
            None => (200, 0..1000),
        };
        assert_eq!((answer.status, &answer.body), (status, &bytes(part)), "{range}");
        let said = expected.map(|part| format!("bytes {}-{}/1000", part.start, part.end - 1));
        assert_eq!(answer.header("content-range"), said, "{range}");
        answer.is_framed();
    }
    for range in [
        "bytes=1000-",
        "bytes=5000-6000",
        "bytes=-0",
        "bytes=99999999999999999999-",
    ] {
        let answer = bed.request("GET", &path, &[("Range", range)], b"").await;
        answer.is_problem(416, "range");
        assert_eq!(answer.header("content-range").as_deref(), Some("bytes */1000"));
    }
    let conditional = [("Range", "bytes=0-1"), ("If-Range", "\"any\"")];
    assert_eq!(bed.request("GET", &path, &conditional, b"").await.status, 200);
    let twice = [("Range", "bytes=0-1"), ("Range", "bytes=0-1")];
    assert_eq!(bed.request("GET", &path, &twice, b"").await.status, 200);
}

#[tokio::test]
async fn a_live_recording_is_as_long_as_it_is_at_that_moment() {
    let (bed, session) = recorded(10).await;
    let path = recording(&session);
    assert_eq!(bed.request("GET", &path, &[], b"").await.body, bytes(0..10));
    bed.worker.state().recorded.size = 20;
    let rest = bed.request("GET", &path, &[("Range", "bytes=10-")], b"").await;
    assert_eq!(rest.header("content-range").as_deref(), Some("bytes 10-19/20"));
    assert_eq!(bed.bearer("DELETE", &session.path, &[], b"").await.status, 200);
    let ended = bed.request("GET", &path, &[], b"").await;
    assert_eq!((ended.status, ended.body), (200, bytes(0..20)), "its session has ended");
}

#[tokio::test]
async fn who_may_publish_the_stream_gets_a_link_that_may_only_read() {
    let (bed, session) = recorded(10).await;
    let path = without_hint(&session);
    let head = bed.bearer("HEAD", &path, &[], b"").await;
    assert_eq!(head.status, 200, "{head:?}");
    let link = head.header("content-location").unwrap();
    let (folder, _) = path.rsplit_once('/').unwrap();
    let link = format!("{folder}/{link}");
    let answer = bed.request("GET", &link, &[], b"").await;
    assert_eq!((answer.status, answer.body), (200, bytes(0..10)));
    let session_url = link.replacen("/recordings/", "/whip/", 1);
    bed.request("DELETE", &session_url, &[], b"")
        .await
        .is_problem(404, "no_such_session");
    bed.request("GET", &session_url, &[], b"")
        .await
        .is_problem(404, "no_such_session");
    assert_eq!(bed.worker.sessions(), 1);
    let by_hint = bed.request("GET", &recording(&session), &[], b"").await;
    assert_eq!(by_hint.header("content-location"), None);
}

#[tokio::test]
async fn nobody_else_learns_anything() {
    let (bed, session) = recorded(10).await;
    let other = bed.publish("other").await;
    let plain = without_hint(&session);
    bed.request("GET", &plain, &[], b"").await.is_problem(401, "no_token");
    let forbidden = format!("Bearer {}", bed.mint(&["other"]));
    let forbidden = bed.request("GET", &plain, &[("Authorization", &forbidden)], b"").await;
    forbidden.is_problem(403, "forbidden_stream");
    for path in [
        format!("{plain}.{}", other.hint()),
        format!("{plain}."),
        recording(&session).replacen("live/cam", "live/cam2", 1),
        recording(&session).replacen("live/cam", "live/../cam", 1),
        "/recordings/live/cam/AAAAAAAAAAAAAAAAAAAAAA.x".to_owned(),
    ] {
        bed.request("GET", &path, &[], b"")
            .await
            .is_problem(404, "no_such_recording");
    }
    bed.bearer("GET", "/recordings/live/cam/AAAAAAAAAAAAAAAAAAAAAA", &[], b"")
        .await
        .is_problem(404, "no_such_recording");
    bed.bearer("GET", "/recordings/live/cam", &[], b"")
        .await
        .is_problem(404, "no_such_path");
    assert!(bed.worker.state().read.is_empty());
    for method in ["POST", "PATCH", "DELETE"] {
        let refused = bed.bearer(method, &recording(&session), &[], b"").await;
        refused.is_problem(405, "method");
        assert_eq!(refused.header("allow").as_deref(), Some("OPTIONS, GET, HEAD"));
    }
    assert_eq!(bed.request("OPTIONS", &plain, &[], b"").await.status, 200);
}

#[tokio::test]
async fn what_the_worker_says_is_told() {
    let (bed, session) = recorded(0).await;
    let path = recording(&session);
    bed.request("GET", &path, &[], b"")
        .await
        .is_problem(404, "no_such_recording");
    for (code, status, reason) in [
        (Code::ResourceExhausted, 503, "too_many_downloads"),
        (Code::Unavailable, 503, "worker_away"),
        (Code::Unimplemented, 404, "no_such_recording"),
        (Code::DataLoss, 500, "internal"),
    ] {
        bed.worker.fail(code);
        bed.request("GET", &path, &[], b"").await.is_problem(status, reason);
    }
    assert_eq!(bed.worker.sessions(), 1, "a recording that is missing ends no session");
    assert_eq!(bed.request("GET", &session.path, &[], b"").await.status, 204);
}

#[tokio::test]
async fn a_file_that_breaks_off_breaks_the_connection_off() {
    let (bed, session) = recorded(200_000).await;
    bed.worker.state().recorded.broken_at = Some(150_000);
    let came = bed.bytes("GET", &recording(&session), &[]).await;
    assert!(matches!(came, Err(came) if (1..=150_000).contains(&came)), "{came:?}");
}

/// A download that is not read on, through a proxy, of 1 GiB: more than any buffer on the way holds.
async fn stalled(bed: &Bed, session: &Published, address: &str) -> TcpStream {
    let path = recording(session);
    let get = format!("GET {path} HTTP/1.1\r\nHost: a\r\nForwarded: for={address}\r\n\r\n");
    let mut stream = TcpStream::connect(bed.address).await.unwrap();
    stream.write_all(get.as_bytes()).await.unwrap();
    assert_eq!(read_head(&mut stream).await.0, 1 << 30);
    stream
}

async fn behind_a_proxy() -> Bed {
    let bed = Bed::with(&["--trusted-proxy", "127.0.0.1/32"]).await;
    bed.worker.state().recorded.size = 1 << 30;
    bed
}

#[tokio::test]
async fn one_address_and_one_recording_lock_nobody_out() {
    let bed = behind_a_proxy().await;
    let [session, other] = [bed.publish("live/cam").await, bed.publish("other").await];
    let ask = async |method: &str, of: &Published, address: &str| {
        let forwarded = format!("for={address}");
        let fields = [("Forwarded", forwarded.as_str()), ("Range", "bytes=0-0")];
        bed.request(method, &recording(of), &fields, b"").await
    };
    let mut downloads = Vec::new();
    for _ in 0..8 {
        downloads.push(stalled(&bed, &session, "192.0.2.9").await);
    }
    for of in [&session, &other] {
        let refused = ask("GET", of, "192.0.2.9").await;
        refused.is_problem(503, "too_many_downloads");
        assert_eq!(ask("GET", of, "192.0.2.10").await.status, 206, "another address");
        assert_eq!(ask("HEAD", of, "192.0.2.9").await.status, 200, "nothing is handed out");
    }
    for _ in 0..8 {
        downloads.push(stalled(&bed, &session, "192.0.2.10").await);
    }
    let refused = ask("GET", &session, "192.0.2.11").await;
    refused.is_problem(503, "too_many_downloads");
    assert_eq!(ask("GET", &other, "192.0.2.11").await.status, 206, "another recording");
}

#[tokio::test]
async fn downloads_that_nobody_reads_are_bounded_and_hold_up_no_call() {
    let bed = behind_a_proxy().await;
    let [session, other] = [bed.publish("live/cam").await, bed.publish("more").await];
    let mut downloads = Vec::new();
    for n in 0..32 {
        let of = if n % 2 == 0 { &session } else { &other };
        downloads.push(stalled(&bed, of, &format!("192.0.2.{n}")).await);
    }
    for of in [&session, &other] {
        let refused = bed.request("GET", &recording(of), &[], b"").await;
        refused.is_problem(503, "too_many_downloads");
        assert_eq!(refused.header("retry-after").as_deref(), Some("2"));
    }
    let published = timeout(Duration::from_secs(5), bed.publish("other")).await;
    assert!(published.is_ok(), "a call waits for downloads");
    // Each one still goes on where it is read.
    let mut more = vec![0; 4 << 20];
    timeout(Duration::from_secs(20), downloads[31].read_exact(&mut more))
        .await
        .unwrap()
        .unwrap();
    drop(downloads);
    // What was given up gives back its place.
    bed.worker.state().recorded.size = 10;
    let end = Instant::now() + Duration::from_secs(10);
    while bed.request("GET", &recording(&session), &[], b"").await.status == 503 {
        assert!(Instant::now() < end, "the places are not given back");
        tokio::task::yield_now().await;
    }
}
