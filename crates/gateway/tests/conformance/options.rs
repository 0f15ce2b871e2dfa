//! B. OPTIONS, CORS, GET and other methods.

use crate::{answer::Answer, bed::Bed};

fn lists(answer: &Answer, header: &str, names: &[&str]) {
    let value = answer.header(header).unwrap_or_default();
    for name in names {
        assert!(
            value.split(", ").any(|listed| listed.eq_ignore_ascii_case(name)),
            "{header} lacks {name}: {value}"
        );
    }
}

#[tokio::test]
async fn b1_b6_b8_options_of_the_endpoint() {
    let bed = Bed::start().await;
    for path in ["/whip", "/whip/live/cam"] {
        let answer = bed.request("OPTIONS", path, &[], b"").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        assert_eq!(answer.header("accept-post").as_deref(), Some("application/sdp"));
        lists(&answer, "access-control-allow-methods", &["PATCH", "POST"]);
        answer.is_framed();
    }
}

#[tokio::test]
async fn b2_b3_b7_a_preflight_needs_no_token() {
    let bed = Bed::start().await;
    let origin = ("Origin", "https://studio.example.com");
    let preflight = [
        origin,
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization,content-type"),
    ];
    let endpoint = bed.request("OPTIONS", "/whip/cam", &preflight, b"").await;
    assert_eq!(endpoint.status, 200);
    lists(&endpoint, "access-control-allow-methods", &["POST"]);
    lists(
        &endpoint,
        "access-control-allow-headers",
        &["Authorization", "Content-Type"],
    );
    assert_eq!(endpoint.headers("link"), [""; 0]);

    let preflight = [
        origin,
        ("Access-Control-Request-Method", "PATCH"),
        ("Access-Control-Request-Headers", "if-match"),
    ];
    let session = bed
        .request("OPTIONS", "/whip/cam/AAAAAAAAAAAAAAAAAAAAAA", &preflight, b"")
        .await;
    assert_eq!(session.status, 200);
    lists(&session, "access-control-allow-methods", &["PATCH", "DELETE"]);
    lists(
        &session,
        "access-control-allow-headers",
        &["Authorization", "Content-Type", "If-Match"],
    );
}

#[tokio::test]
async fn b4_b5_every_answer_can_be_read_by_a_page() {
    let bed = Bed::start().await;
    let origin = ("Origin", "https://studio.example.com");
    let created = bed.post("/whip/cam").await;
    let refused = bed.request("POST", "/whip/cam", &[origin], b"").await;
    assert_eq!((created.status, refused.status), (201, 401));
    for answer in [created, refused] {
        answer.is_framed();
        let names = ["Location", "ETag", "Link", "Retry-After", "WWW-Authenticate"];
        lists(&answer, "access-control-expose-headers", &names);
    }
}

/// The row of the checklist is for any origin; these are for `--cors-origin`.
const LISTED: [&str; 4] = [
    "--cors-origin",
    "https://studio.example.com",
    "--cors-origin",
    "http://localhost:3000",
];

#[tokio::test]
async fn b2_b5_listed_origins_may_ask_and_each_is_named() {
    let bed = Bed::with(&LISTED).await;
    for origin in ["https://studio.example.com", "http://localhost:3000"] {
        let preflight = [("Origin", origin), ("Access-Control-Request-Method", "POST")];
        for (method, headers, status) in [("OPTIONS", preflight.as_slice(), 200), ("POST", &preflight[..1], 401)] {
            let answer = bed.request(method, "/whip/cam", headers, b"").await;
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(origin));
            lists(&answer, "access-control-expose-headers", &["Location", "ETag", "Link"]);
            assert_eq!(answer.header("vary").as_deref(), Some("Origin"), "{method}");
        }
    }
}

#[tokio::test]
async fn b2_b5_no_other_origin_is_allowed() {
    let bed = Bed::with(&LISTED).await;
    let others = [
        "https://evil.example.com",
        "http://studio.example.com",
        "https://studio.example.com:8443",
        "https://studio.example.com.evil.example",
        "https://studio.example.com, http://localhost:3000",
        "null",
        "*",
        "",
    ];
    for origin in others {
        let preflight = [("Origin", origin), ("Access-Control-Request-Method", "POST")];
        for (method, status) in [("OPTIONS", 200), ("POST", 401), ("GET", 204)] {
            let answer = bed.request(method, "/whip/cam", &preflight, b"").await;
            assert_eq!(answer.status, status);
            assert_eq!(
                answer.header("access-control-allow-origin"),
                None,
                "{method} {origin:?}"
            );
            assert_eq!(
                answer.header("access-control-expose-headers"),
                None,
                "{method} {origin:?}"
            );
            assert_eq!(answer.header("vary").as_deref(), Some("Origin"), "{method} {origin:?}");
        }
    }
}

#[tokio::test]
async fn b8_without_an_origin_options_say_what_may_be_asked_also_where_origins_are_listed() {
    let bed = Bed::with(&LISTED).await;
    let answer = bed.request("OPTIONS", "/whip/cam", &[], b"").await;
    lists(&answer, "access-control-allow-methods", &["PATCH", "POST"]);
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_eq!(answer.header("vary").as_deref(), Some("Origin"));
}

#[tokio::test]
async fn b9_b10_get_and_head_are_204_without_content() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    for path in ["/whip", "/whip/cam", session.path.as_str()] {
        for method in ["GET", "HEAD"] {
            let answer = bed.request(method, path, &[], b"").await;
            assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{method} {path}");
            answer.is_framed();
        }
    }
}

#[tokio::test]
async fn b10_a_head_has_the_headers_of_the_get_and_no_body() {
    let bed = Bed::start().await;
    let path = "/whip/cam/AAAAAAAAAAAAAAAAAAAAAA.x";
    let get = bed.request("GET", path, &[], b"").await;
    let head = bed.request("HEAD", path, &[], b"").await;
    get.is_problem(404, "no_such_session");
    assert_eq!((head.status, head.body.as_str()), (404, ""));
    assert_eq!(head.header("content-length"), get.header("content-length"));
}

#[tokio::test]
async fn b11_other_methods_are_405_with_allow() {
    let bed = Bed::start().await;
    let session = "/whip/cam/AAAAAAAAAAAAAAAAAAAAAA";
    let table = [
        (
            "/whip/cam",
            vec!["PUT", "PATCH", "DELETE", "TRACE", "BREW"],
            "OPTIONS, GET, HEAD, POST",
        ),
        (
            session,
            vec!["PUT", "POST", "BREW"],
            "OPTIONS, GET, HEAD, PATCH, DELETE",
        ),
        ("/whip-stats", vec!["POST", "PUT", "DELETE"], "OPTIONS, GET, HEAD"),
    ];
    for (path, methods, allow) in table {
        for method in methods {
            let answer = bed.request(method, path, &[], b"").await;
            answer.is_problem(405, "method");
            assert_eq!(answer.header("allow").as_deref(), Some(allow));
        }
    }
}

#[tokio::test]
async fn b12_a_get_of_an_unknown_session_is_404() {
    let bed = Bed::start().await;
    bed.bearer("GET", "/whip/cam/AAAAAAAAAAAAAAAAAAAAAA", &[], b"")
        .await
        .is_problem(404, "no_such_session");
}
