//! I. Authentication.

use std::time::{Duration, SystemTime};

use whipcord_gateway::auth::Scope;

use crate::bed::{Bed, FRAGMENT, OFFER, SDP};

const REALM: &str = r#"Bearer realm="whip""#;

#[tokio::test]
async fn i2_without_a_token_it_is_401_without_an_error_code() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    for (method, path) in [
        ("POST", "/whip/cam"),
        ("POST", "/whip"),
        ("GET", "/whip-stats"),
        ("DELETE", session.without_hint()),
    ] {
        for headers in [&[SDP][..], &[SDP, ("Authorization", "Basic dTpw")]] {
            let answer = bed.request(method, path, headers, b"").await;
            answer.is_problem(401, "no_token");
            assert_eq!(answer.header("www-authenticate").as_deref(), Some(REALM));
        }
    }
}

#[tokio::test]
async fn i3_a_bad_or_expired_token_is_401() {
    let bed = Bed::start().await;
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    let expired = bed
        .authority
        .mint(
            &["*".parse().unwrap()],
            Scope::Publish,
            Duration::from_secs(60),
            hour_ago,
        )
        .unwrap();
    let tampered = bed.token.replacen('.', ".e", 1);
    let table = [
        ("undefined", "invalid_token"),
        (tampered.as_str(), "invalid_token"),
        ("a:b?c&d", "invalid_token"),
        (expired.as_str(), "expired_token"),
    ];
    for (token, reason) in table {
        let authorization = format!("Bearer {token}");
        let headers = [SDP, ("Authorization", authorization.as_str())];
        let answer = bed.request("POST", "/whip/cam", &headers, OFFER.as_bytes()).await;
        answer.is_problem(401, reason);
        let expected = format!(r#"{REALM}, error="invalid_token""#);
        assert_eq!(answer.header("www-authenticate"), Some(expected));
    }
}

#[tokio::test]
async fn i4_a_token_for_other_streams_is_403() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    let authorization = format!("Bearer {}", bed.mint(&["live/*"]));
    let headers = [SDP, ("Authorization", authorization.as_str())];
    for (method, path) in [
        ("POST", "/whip/cam"),
        ("POST", "/whip?channelId=cam"),
        ("DELETE", session.path.as_str()),
    ] {
        let answer = bed.request(method, path, &headers, OFFER.as_bytes()).await;
        answer.is_problem(403, "forbidden_stream");
        let expected = format!(r#"{REALM}, error="insufficient_scope""#);
        assert_eq!(answer.header("www-authenticate"), Some(expected));
    }
    assert_eq!(
        bed.request("POST", "/whip/live/cam", &headers, OFFER.as_bytes())
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn i5_a_malformed_header_is_400() {
    let bed = Bed::start().await;
    let authorization = format!("Bearer {}", bed.token);
    let twice = [("Authorization", authorization.as_str()); 2];
    for headers in [&[("Authorization", "Bearer")][..], &twice] {
        let answer = bed.request("POST", "/whip/cam", headers, b"").await;
        answer.is_problem(400, "malformed_authorization");
        let expected = format!(r#"{REALM}, error="invalid_request""#);
        assert_eq!(answer.header("www-authenticate"), Some(expected));
    }
}

#[tokio::test]
async fn i6_the_scheme_has_any_case() {
    let bed = Bed::start().await;
    for scheme in ["bearer", "BEARER", "Bearer "] {
        let authorization = format!("{scheme} {}", bed.token);
        let headers = [SDP, ("Authorization", authorization.as_str())];
        assert_eq!(
            bed.request("POST", "/whip/cam", &headers, OFFER.as_bytes())
                .await
                .status,
            201
        );
    }
}

#[tokio::test]
async fn i7_the_session_url_is_enough_but_a_wrong_token_is_not_overlooked() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    let wrong = [("Authorization", "Bearer wrong")];
    bed.request("DELETE", &session.path, &wrong, b"")
        .await
        .is_problem(401, "invalid_token");
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    let expired = bed
        .authority
        .mint(
            &["cam".parse().unwrap()],
            Scope::Publish,
            Duration::from_secs(60),
            hour_ago,
        )
        .unwrap();
    let expired = format!("Bearer {expired}");
    let expired = [("Authorization", expired.as_str())];
    bed.request("DELETE", session.without_hint(), &expired, b"")
        .await
        .is_problem(401, "expired_token");
    assert_eq!(
        bed.request("DELETE", &session.path, &expired, b"").await.status,
        200,
        "streams outlive tokens"
    );

    let session = bed.publish("cam").await;
    assert_eq!(bed.request("DELETE", &session.path, &[], b"").await.status, 200);
}

#[tokio::test]
async fn i7_a_hint_of_another_url_is_no_proof() {
    let bed = Bed::start().await;
    let (one, two) = (bed.publish("cam").await, bed.publish("cam2").await);
    for hint in [two.hint(), "x", "", "AAAA"] {
        let path = format!("{}.{hint}", one.without_hint());
        bed.request("DELETE", &path, &[], b"")
            .await
            .is_problem(404, "no_such_session");
    }
    let path = format!("{}.{}", one.without_hint(), two.hint());
    assert_eq!(
        bed.bearer("DELETE", &path, &[], b"").await.status,
        200,
        "the token and the id are enough"
    );
}

#[tokio::test]
async fn i10_static_keys_are_any_text() {
    let folder = std::env::temp_dir().join(format!("whipcord-gateway-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("keys");
    std::fs::write(&file, "obs:key?with&odd=signs live/cam\n").unwrap();
    let config = whipcord_gateway::auth::Config {
        stream_keys_file: Some(file),
        ..Default::default()
    };
    let authority = whipcord_gateway::Authority::from_config(&config).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let bed = Bed::with_authority(authority).await;
    let headers = [SDP, ("Authorization", "Bearer obs:key?with&odd=signs")];
    assert_eq!(
        bed.request("POST", "/whip/live/cam", &headers, OFFER.as_bytes())
            .await
            .status,
        201
    );
    assert_eq!(
        bed.request("POST", "/whip/cam", &headers, OFFER.as_bytes())
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn i12_the_token_is_checked_before_anything_is_parsed() {
    let bed = Bed::start().await;
    let wrong = ("Authorization", "Bearer wrong");
    let table: [(&str, &[u8]); 4] = [
        ("/whip/cam", b"garbage"),
        ("/whip/..", b""),
        ("/whip?channelId=..", b""),
        ("/whip/cam", FRAGMENT.as_bytes()),
    ];
    for (path, body) in table {
        bed.request("POST", path, &[wrong, ("Content-Type", "text/plain")], body)
            .await
            .is_problem(401, "invalid_token");
    }
    // Before the body is read, too: none of it is sent here.
    let head = "POST /whip/cam HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1000\r\nAuthorization: Bearer wrong\r\n\r\n";
    bed.raw("POST", head.as_bytes()).await.is_problem(401, "invalid_token");
}
