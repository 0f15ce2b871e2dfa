//! What must stay secret, in the most talkative log there is.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpStream, UdpSocket},
    process::Command,
    time::Duration,
};

use whipcord_tests::{
    cluster::Cluster,
    collector::Collector,
    eventually, http,
    whipcord::{Whipcord, binary},
};

use crate::faults::{OFFER as SMALL_OFFER, delete, headers};

const OFFER: &str = include_str!("../../../crates/whip/tests/offers/chromium-156.offer.sdp");

#[test]
fn no_token_password_or_url_hint_is_in_a_trace_log() {
    let mut whipcord = Whipcord::standalone_with(&["--log", "trace"]);
    let authorization = format!("Bearer {}", whipcord.token());
    let headers = [
        ("Content-Type", "application/sdp"),
        ("Authorization", authorization.as_str()),
    ];
    let created = http::request("POST", &whipcord.whip_url("cam"), &headers, OFFER);
    assert_eq!(created.status, 201, "{created:?}");
    let session = created.header("location").unwrap().to_owned();
    let recording = session.replacen("/whip/", "/recordings/", 1);
    let recording = http::request("GET", &recording, &[("Range", "bytes=0-0")], "");
    assert_eq!(recording.status, 404, "no media came: {recording:?}");
    let deleted = http::request("DELETE", &session, &headers[1..], "");
    assert_eq!(deleted.status, 200, "{deleted:?}");
    let published = Command::new(binary())
        .args(["publish", &whipcord.whip_url("studio"), "--duration", "1s"])
        .args(["--token", whipcord.token(), "test"])
        .output()
        .unwrap();
    assert!(published.status.success(), "{published:?}");
    assert_eq!(whipcord.terminate().code(), Some(0));

    let passwords = OFFER.lines().chain(created.body.lines());
    let passwords = passwords.filter_map(|line| line.trim().strip_prefix("a=ice-pwd:"));
    let mut secrets: Vec<&str> = passwords.collect();
    assert!(secrets.len() >= 2, "the offer's and the answer's");
    secrets.push(session.rsplit('.').next().unwrap());
    secrets.push(whipcord.token());
    let log = whipcord.log();
    assert!(log.contains("DEBUG"), "the log has only what it always has");
    assert_eq!(found(&secrets, &log), None, "in the log");
}

/// Spans are sent every second, metrics too.
const SENT: Duration = Duration::from_secs(20);

/// The first of these that is in the text.
fn found<'a>(secrets: &[&'a str], text: &str) -> Option<&'a str> {
    let is_in = |secret: &&str| forms(secret).iter().any(|form| text.contains(form));
    secrets.iter().copied().find(is_in)
}

/// As it is, and as its bytes are written: by `Debug`, and by a log.
fn forms(secret: &str) -> [String; 4] {
    let bytes = |separator| {
        let bytes: Vec<String> = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        bytes.join(separator)
    };
    let listed = format!("{:?}", secret.as_bytes());
    let listed = listed.trim_matches(['[', ']']).to_owned();
    [secret.to_owned(), listed, bytes(" "), bytes("")]
}

/// What a stranger may write anywhere.
const CANARIES: [&str; 20] = [
    "canary-refused-token",
    "canary-session-name",
    "canary-attribute",
    "canary-malformed",
    "canary-fragment",
    "canary-query",
    "canaryhint",
    "canary-basic",
    "canary-cookie",
    "canary-content-type",
    "canary-if-match",
    "canary-origin",
    "canary-forwarded",
    "canary-path",
    "canary-request-line",
    "canary-api-token",
    "canary-api-body",
    "canary-stats-token",
    "canary-stun",
    "canary-redis-password",
];

/// An ICE restart's.
const RESTART: &str = "a=ice-ufrag:another\r\na=ice-pwd:anotherpasswordanotherpassword\r\n";

/// At the most talkative.
fn start(collector: &Collector) -> Cluster {
    let mut cluster = Cluster::new();
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint().as_str()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1000"),
        ("RUST_LOG", "trace"),
    ] {
        cluster.set_environment(name, value);
    }
    cluster.start_redis();
    cluster.start_gateway(0, &[]);
    cluster.start_worker(0, &[]);
    cluster.wait_until_known(0);
    // Redis asks for none, and says so.
    let password = cluster.folder().join("password");
    fs::write(&password, "canary-redis-password").unwrap();
    cluster.start_gateway(1, &["--redis-password-file", password.to_str().unwrap()]);
    eventually("Redis has refused the password", SENT, || {
        let log = cluster.gateway_log(1);
        log.contains("no connection to Redis").then_some(())
    });
    cluster
}

/// A session from its POST to its DELETE, with a canary wherever one can be. Returns what nobody else may learn of it.
fn confide(cluster: &Cluster) -> Vec<String> {
    let authorization = format!("Bearer {}", cluster.token());
    let offer = SMALL_OFFER
        .replace("s=-", "s=canary-session-name")
        .replace("a=mid:0", "a=canary-attribute:1\r\na=mid:0");
    let url = cluster.whip_url(0, "planted-leak");
    let created = http::request(
        "POST",
        &format!("{url}?canary-query=1"),
        &headers(&authorization),
        &offer,
    );
    assert_eq!(created.status, 201, "{created:?}");
    let location = created.header("location").unwrap();
    let path = &location[location.find("/whip/").unwrap()..];
    be_refused(&url, &authorization, &offer);
    be_refused_elsewhere(cluster, &authorization, &offer);
    let fragment = [
        ("Content-Type", "application/trickle-ice-sdpfrag"),
        ("If-Match", "\"*\""),
    ];
    let patch = |body: &str| http::request("PATCH", &format!("{}{path}", cluster.origin(0)), &fragment, body);
    assert_eq!(patch("canary-fragment\r\n").status, 400);
    let stale = [fragment[0], ("If-Match", "\"canary-if-match\"")];
    let stale = http::request("PATCH", &format!("{}{path}", cluster.origin(0)), &stale, RESTART);
    assert_eq!(stale.status, 412, "{stale:?}");
    let restarted = patch(RESTART);
    assert_eq!(
        (restarted.status, delete(cluster, 0, path)),
        (200, 200),
        "{restarted:?}"
    );

    let texts = [&offer, &created.body, &restarted.body, RESTART];
    let lines = texts.iter().flat_map(|text| text.lines().map(str::trim));
    let secrets = lines.filter_map(|line| {
        let password = line.strip_prefix("a=ice-pwd:");
        password.or_else(|| line.strip_prefix("a=fingerprint:sha-256 "))
    });
    let mut secrets: Vec<String> = secrets.map(str::to_owned).collect();
    assert!(secrets.len() >= 6, "{secrets:?}");
    secrets.extend(CANARIES.map(str::to_owned));
    secrets.push(path.rsplit('.').next().unwrap().to_owned());
    secrets.push(cluster.token().to_owned());
    secrets
}

fn be_refused(url: &str, authorization: &str, offer: &str) {
    let hint = format!("{url}/AAAAAAAAAAAAAAAAAAAAAA.canaryhint");
    let malformed = format!("{offer}canary-malformed\r\n");
    let refusals = [
        ("POST", url, "Bearer canary-refused-token", offer, 401),
        ("POST", url, authorization, "canary-malformed", 400),
        ("POST", url, authorization, &malformed, 400),
        ("DELETE", &hint, "", "", 404),
    ];
    for (method, url, authorization, body, status) in refusals {
        let refused = http::request(method, url, &headers(authorization), body);
        assert_eq!(refused.status, status, "{refused:?}");
    }
}

/// By every other way in: headers, paths, the operators' address, and the media port.
fn be_refused_elsewhere(cluster: &Cluster, authorization: &str, offer: &str) {
    let (origin, url) = (cluster.origin(0), cluster.whip_url(0, "planted-leak"));
    let post = |header: (&str, &str)| {
        let headers = [
            ("Authorization", authorization),
            ("Content-Type", "application/sdp"),
            header,
        ];
        http::request("POST", &url, &headers, "canary-malformed").status
    };
    let carried = [
        ("Cookie", "session=canary-cookie"),
        ("Origin", "https://canary-origin.example.com"),
        ("X-Forwarded-For", "canary-forwarded"),
    ];
    assert_eq!(carried.map(post), [400; 3]);
    let refused = |method: &str, url: &str, headers: &[(&str, &str)], body: &str| {
        let refused = http::request(method, url, headers, body);
        assert!((400..500).contains(&refused.status), "{method} {url}: {refused:?}");
    };
    let basic = [
        ("Authorization", "Basic canary-basic"),
        ("Content-Type", "application/sdp"),
    ];
    refused("POST", &url, &basic, offer);
    let typed = [
        ("Authorization", authorization),
        ("Content-Type", "text/canary-content-type"),
    ];
    refused("POST", &url, &typed, offer);
    refused("GET", &format!("{origin}/canary-path"), &[], "");
    refused(
        "POST",
        &format!("{origin}/whip/%2e%2e/canary-path"),
        &headers(authorization),
        offer,
    );
    let stats = [("Authorization", "Bearer canary-stats-token")];
    refused("GET", &format!("{origin}/whip-stats?canary-query=2"), &stats, "");
    let api = format!("{}/api/sessions", cluster.gateway_admin(0));
    refused("GET", &api, &[("Authorization", "Bearer canary-api-token")], "");
    let drain = format!("{}/api/workers/worker-0/drain", cluster.gateway_admin(0));
    let json = [("Authorization", authorization), ("Content-Type", "application/json")];
    refused("POST", &drain, &json, "{\"canary-api-body\":");
    for address in [origin.as_str(), &cluster.gateway_admin(0), &cluster.worker_admin(0)] {
        let mut connection = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
        connection.write_all(b"canary-request-line\r\n\r\n").unwrap();
        // It is closed, or refused first.
        let _ = connection.read_to_end(&mut Vec::new());
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .send_to(&stray_check(b"canary-stun:abcd"), cluster.media(0))
        .unwrap();
}

/// A Binding request of nobody's (RFC 8489 §5, §14.3), whose USERNAME has 16 bytes.
fn stray_check(username: &[u8; 16]) -> Vec<u8> {
    let mut check = vec![0, 1, 0, 20, 0x21, 0x12, 0xa4, 0x42];
    check.extend([7; 12]);
    check.extend([0, 6, 0, 16]);
    check.extend(username);
    check
}

#[test]
fn no_secret_of_a_request_is_in_what_a_cluster_tells_of_itself() {
    let collector = Collector::start();
    let mut cluster = start(&collector);
    let secrets = confide(&cluster);
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    eventually("the session's end was told", SENT, || {
        let told = collector.metrics().iter().any(|name| name == "whipcord.session.ended");
        let written = collector.spans().iter().any(|span| span.name == "whipcord.session");
        (told && written).then_some(())
    });
    // By then it is told to other gateways.
    let shared = eventually("other gateways are told of what was refused", SENT, || {
        let ask = |set| {
            cluster
                .redis()
                .ask(&format!("ZRANGE whipcord:1:{{whipcord}}:refused:{set} 0 -1"))
        };
        let refused = [ask(1), ask(0)].map(|answer| answer.texts().join("\n")).join("\n");
        refused.contains("POST/invalid_token").then_some(refused)
    });
    let explain = |arguments| cluster.explain(0, "planted-leak", arguments).unwrap();
    let explanation = explain(&["--json"]) + &explain(&[]);
    let said = [
        ("an explanation", explanation, "planted-leak"),
        ("what gateways tell each other", shared, "planted-leak"),
        ("the gateway's log", cluster.gateway_log(0), "planted-leak"),
        (
            "the other gateway's log",
            cluster.gateway_log(1),
            "no connection to Redis",
        ),
        ("the worker's log", cluster.worker_log(0), "planted-leak"),
        ("spans and metrics", collector.text(), "planted-leak"),
        (
            "series",
            cluster.gateway_metrics(0) + &cluster.worker_metrics(0),
            "whipcord_session_ended_total",
        ),
    ];
    for (whose, text, public) in &said {
        // What may be there the same search finds.
        assert_eq!(found(&["nowhere", public], text), Some(*public), "{whose}");
        assert_eq!(found(&secrets, text), None, "in {whose}");
    }
    for (secret, (_, text, _)) in secrets.iter().zip(said.iter().cycle()) {
        for form in forms(secret) {
            let leaked = format!("{text}\n{form}");
            assert_eq!(found(&secrets, &leaked), Some(*secret), "a planted leak is found");
        }
    }
}
