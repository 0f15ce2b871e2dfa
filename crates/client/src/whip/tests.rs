use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};

use super::*;

/// A path, and the Authorization header that came with it.
type Seen = (String, Option<String>);

/// Answers each path with what its name says.
#[derive(Clone, Default)]
struct Stub {
    seen: Arc<Mutex<Vec<Seen>>>,
    elsewhere: String,
}

impl Stub {
    async fn start(elsewhere: &str) -> (Self, String) {
        let stub = Self {
            elsewhere: elsewhere.to_owned(),
            ..Self::default()
        };
        let router = Router::new()
            .route("/{name}", post(answer).delete(end))
            .with_state(stub.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (stub, origin)
    }

    fn see(&self, name: &str, headers: &HeaderMap) {
        let token = headers
            .get("authorization")
            .map(|value| value.to_str().unwrap().to_owned());
        self.seen.lock().unwrap().push((name.to_owned(), token));
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

const ANSWER: &str = "v=0\r\n";
const CREATED: StatusCode = StatusCode::CREATED;

async fn answer(State(stub): State<Stub>, Path(name): Path<String>, headers: HeaderMap, offer: String) -> Response {
    stub.see(&name, &headers);
    assert_eq!(
        (headers["content-type"].as_bytes(), offer.as_str()),
        (&b"application/sdp"[..], "v=0 offer")
    );
    let sdp = ("content-type", "application/sdp; charset=utf-8");
    let here = ("location", "sealed-session");
    let problem = |status: u16, json: &str| {
        let headers = [("content-type", "application/problem+json"), ("retry-after", "7")];
        (StatusCode::from_u16(status).unwrap(), headers, json.to_owned()).into_response()
    };
    match name.as_str() {
        "good" => (CREATED, [sdp, here], ANSWER).into_response(),
        "moved" => (StatusCode::TEMPORARY_REDIRECT, [("location", "/good")]).into_response(),
        "moved-for-good" => (StatusCode::PERMANENT_REDIRECT, [("location", "/moved")]).into_response(),
        "moved-away" => (StatusCode::TEMPORARY_REDIRECT, [("location", stub.elsewhere.as_str())]).into_response(),
        "loop" => (StatusCode::TEMPORARY_REDIRECT, [("location", "/loop")]).into_response(),
        "nowhere" => StatusCode::TEMPORARY_REDIRECT.into_response(),
        "file-url" => (StatusCode::TEMPORARY_REDIRECT, [("location", "file:///etc/passwd")]).into_response(),
        "see-other" => (StatusCode::SEE_OTHER, [("location", "/good")]).into_response(),
        "ok" => (StatusCode::OK, [sdp, here], ANSWER).into_response(),
        "no-location" => (CREATED, [sdp], ANSWER).into_response(),
        "no-sdp" => (CREATED, [("content-type", "text/html"), here], "<html>").into_response(),
        "no-answer" => (CREATED, [sdp, here], "hello").into_response(),
        "long-answer" => (CREATED, [sdp, here], ANSWER.to_owned() + &"a".repeat(BODY_BYTES_MAX)).into_response(),
        "taken" => problem(409, r#"{"title":"Conflict","detail":"the stream has a publisher."}"#),
        "busy" => problem(503, r#"{"title":"no worker has room"}"#),
        "idle" => problem(
            503,
            r#"{"detail":"no worker can take the session now; try again","reason":"no_worker"}"#,
        ),
        "rude" => problem(400, "{\"detail\":\"\\u001b[2Jred\\nline\"}"),
        "lost" => problem(404, r#"{"detail":"no such path; publish to /whip/x"}"#),
        "broken" => problem(500, "{"),
        status => StatusCode::from_u16(status.parse().unwrap()).unwrap().into_response(),
    }
}

async fn end(State(stub): State<Stub>, Path(name): Path<String>, headers: HeaderMap) -> StatusCode {
    stub.see(&name, &headers);
    StatusCode::OK
}

fn endpoint(origin: &str, name: &str) -> Endpoint {
    Endpoint::new(&format!("{origin}/{name}"), Some(Token::new("sesame").unwrap())).unwrap()
}

fn seen(name: &str, token: Option<&str>) -> Seen {
    (name.to_owned(), token.map(|token| format!("Bearer {token}")))
}

#[tokio::test]
async fn a_session_is_created_and_ended_where_location_says() {
    let (stub, origin) = Stub::start("").await;
    let endpoint = endpoint(&origin, "good");
    let session = endpoint.post("v=0 offer").await.unwrap();
    assert_eq!(session.answer, ANSWER);
    endpoint.delete(&session).await.unwrap();
    assert_eq!(
        stub.seen(),
        [seen("good", Some("sesame")), seen("sealed-session", Some("sesame"))]
    );
    assert!(
        !format!("{session:?}").contains("sealed"),
        "the session's URL is a capability"
    );
}

#[tokio::test]
async fn redirects_are_followed_with_the_token_on_the_same_origin_only() {
    let (elsewhere, other_origin) = Stub::start("").await;
    let (stub, origin) = Stub::start(&format!("{other_origin}/good")).await;
    endpoint(&origin, "moved-for-good").post("v=0 offer").await.unwrap();
    let names: Vec<_> = stub.seen();
    assert_eq!(
        names,
        ["moved-for-good", "moved", "good"].map(|name| seen(name, Some("sesame")))
    );

    endpoint(&origin, "moved-away").post("v=0 offer").await.unwrap();
    assert_eq!(
        elsewhere.seen(),
        [seen("good", None)],
        "another origin never sees the token"
    );
}

const NO_ANSWER: &str = " accepted the offer, but its body is no SDP answer of at most 262144 bytes";

#[tokio::test]
async fn what_goes_wrong_is_a_sentence() {
    let (_, origin) = Stub::start("").await;
    let host = origin.strip_prefix("http://").unwrap();
    let cases = [
        (
            "401",
            " refused with 401 Unauthorized: give a valid bearer token with --token, --token-file or WHIPCORD_TOKEN",
        ),
        (
            "404",
            " refused with 404 Not Found: nothing is there; check the path of the URL",
        ),
        (
            "422",
            " refused with 422 Unprocessable Entity: the server cannot take this request, and does not say why",
        ),
        ("lost", " refused with 404 Not Found: no such path; publish to /whip/x"),
        ("418", " refused with 418 I'm a teapot"),
        (
            "taken",
            " refused with 409 Conflict (the stream has a publisher): \
             the stream is being published already; end that session, or use another stream name",
        ),
        (
            "busy",
            " refused with 503 Service Unavailable (no worker has room): the server is busy; try again in 7 s",
        ),
        (
            "idle",
            " refused with 503 Service Unavailable: no worker takes sessions: see `whipcord workers`",
        ),
        ("rude", " refused with 400 Bad Request: [2Jredline"),
        (
            "broken",
            " refused with 500 Internal Server Error: the server failed; its log says why",
        ),
        (
            "ok",
            " answered 200 OK where WHIP asks for 201 Created; is this a WHIP endpoint?",
        ),
        (
            "see-other",
            " answered 303 See Other where WHIP asks for 201 Created; is this a WHIP endpoint?",
        ),
        (
            "loop",
            " redirects 5 times and more, or to nowhere; use the URL that it finally means",
        ),
        (
            "nowhere",
            " redirects 5 times and more, or to nowhere; use the URL that it finally means",
        ),
        (
            "file-url",
            " redirects 5 times and more, or to nowhere; use the URL that it finally means",
        ),
        (
            "no-location",
            " accepted the offer, but sent no Location header: its session could never be ended",
        ),
        ("no-sdp", NO_ANSWER),
        ("no-answer", NO_ANSWER),
        ("long-answer", NO_ANSWER),
    ];
    for (name, expected) in cases {
        let error = endpoint(&origin, name).post("v=0 offer").await.unwrap_err();
        assert_eq!(error.to_string(), format!("{host}{expected}"), "{name}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_its_path() {
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let error = endpoint(&format!("http://{unused}"), "secret")
        .post("v=0 offer")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&format!("cannot reach {unused}: ")) && !error.contains("secret"),
        "{error}"
    );
}

#[tokio::test]
async fn https_to_a_plain_port_says_what_to_use() {
    let (_, origin) = Stub::start("").await;
    let secure = origin.replacen("http", "https", 1);
    let error = endpoint(&secure, "good").post("v=0 offer").await.unwrap_err();
    let host = origin.strip_prefix("http://").unwrap();
    assert_eq!(
        error.to_string(),
        format!("{host} does not speak HTTPS: use http:// in place of https://")
    );
}

#[test]
fn only_http_urls_are_endpoints() {
    for url in [
        "http://127.0.0.1:8080/whip/studio",
        "https://example.com/whip/studio",
        "http://[::1]:8080/whip/a?b=c",
    ] {
        assert!(Endpoint::new(url, None).is_ok(), "{url}");
    }
    for url in [
        "",
        "example.com/whip/studio",
        "ftp://example.com/whip",
        "file:///whip",
        "http://",
    ] {
        assert!(matches!(Endpoint::new(url, None), Err(HttpError::Url)), "{url}");
    }
}
