//! Behind proxies: whom to believe, and where session URLs lead.

use crate::bed::{Bed, OFFER, SDP, log};

const FORWARDED: (&str, &str) = ("Forwarded", "for=192.0.2.9;proto=https;host=ingest.example.com");

async fn location(bed: &Bed, fields: &[(&str, &str)]) -> String {
    let fields = [&[SDP], fields].concat();
    let answer = bed.bearer("POST", "/whip/cam", &fields, OFFER.as_bytes()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.header("location").unwrap()
}

#[tokio::test]
async fn a_session_url_leads_through_a_trusted_proxy_and_its_prefix() {
    let bed = Bed::with(&["--trusted-proxy", "127.0.0.0/8"]).await;
    let through = location(&bed, &[FORWARDED, ("X-Forwarded-Prefix", "/media")]).await;
    assert!(
        through.starts_with("https://ingest.example.com/media/whip/cam/"),
        "{through}"
    );
    // The proxy takes the prefix off again.
    let path = through.strip_prefix("https://ingest.example.com/media").unwrap();
    assert_eq!(bed.request("DELETE", path, &[], &[]).await.status, 200);
    let older = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "a.example")];
    assert!(location(&bed, &older).await.starts_with("https://a.example/whip/cam/"));
    let with_port = [older[0], older[1], ("X-Forwarded-Port", "8443")];
    let found = location(&bed, &with_port).await;
    assert!(found.starts_with("https://a.example:8443/whip/cam/"), "{found}");
    // The scheme's own, and one of a host that has its own.
    let own = [older[0], older[1], ("X-Forwarded-Port", "443")];
    assert!(location(&bed, &own).await.starts_with("https://a.example/whip/cam/"));
    let own = [("X-Forwarded-Host", "a.example:1"), ("X-Forwarded-Port", "8443")];
    assert!(location(&bed, &own).await.starts_with("http://a.example:1/whip/cam/"));
    let plain = location(&bed, &[]).await;
    assert!(plain.starts_with(&format!("http://{}/whip/", bed.address)), "{plain}");
}

#[tokio::test]
async fn nobody_else_is_believed() {
    for flags in [&[][..], &["--trusted-proxy", "10.0.0.0/8"]] {
        let bed = Bed::with(flags).await;
        let found = location(&bed, &[FORWARDED, ("X-Forwarded-Prefix", "/media")]).await;
        assert!(
            found.starts_with(&format!("http://{}/whip/cam/", bed.address)),
            "{found}"
        );
        location(&bed, &[("X-Forwarded-Proto", "https")]).await;
    }
    assert!(
        log().contains("name it with --trusted-proxy"),
        "for whoever wonders why"
    );
}

#[tokio::test]
async fn a_public_url_comes_before_what_a_proxy_says() {
    let bed = Bed::with(&[
        "--trusted-proxy",
        "127.0.0.1/32",
        "--public-url",
        "https://one.example/a",
    ])
    .await;
    let found = location(&bed, &[FORWARDED]).await;
    assert!(found.starts_with("https://one.example/a/whip/cam/"), "{found}");
}

/// Guesses are charged to the address that the proxy names, not to the proxy.
#[tokio::test]
async fn a_guesser_behind_a_proxy_is_limited_alone() {
    let bed = Bed::with(&["--trusted-proxy", "127.0.0.1/32", "--request-rate", "1"]).await;
    let guess = async |from: &str| {
        let forwarded = format!("for={from}");
        let fields = [("Forwarded", forwarded.as_str()), ("Authorization", "Bearer guess")];
        bed.request("POST", "/whip/cam", &fields, &[]).await.status
    };
    let mut guesses = Vec::new();
    for _ in 0..20 {
        guesses.push(guess("192.0.2.66").await);
    }
    assert_eq!((guesses[0], guesses.last()), (401, Some(&429)), "{guesses:?}");
    assert_eq!(guess("192.0.2.67").await, 401);
}

/// Its proxy writes X-Forwarded-For, and hands on what else it was sent.
#[tokio::test]
async fn a_guesser_does_not_choose_its_address() {
    let bed = Bed::with(&["--trusted-proxy", "127.0.0.1/32", "--request-rate", "1"]).await;
    let mut last = 0;
    for n in 0..20 {
        let own = format!("for=203.0.113.{n}");
        let fields = [
            ("Forwarded", own.as_str()),
            ("X-Forwarded-For", "192.0.2.66"),
            ("Authorization", "Bearer guess"),
        ];
        last = bed.request("POST", "/whip/cam", &fields, &[]).await.status;
    }
    assert_eq!(last, 429);
}
