//! POSTs that were refused, asked of another gateway than the one that refused them.

use std::{fs, time::SystemTime};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use whipcord_tests::{
    cluster::Cluster,
    eventually, http,
    load::{Failure, Session, offer_codec},
};

use super::{SOON, diagnosed};
use crate::faults::{OFFER, headers};

/// A token for the stream, signed with the cluster's secret, that was over an hour ago.
fn expired(cluster: &Cluster, stream: &str) -> String {
    let secret = fs::read(cluster.folder().join("token.secret")).unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let claims = format!(r#"{{"streams":["{stream}"],"exp":{}}}"#, now.as_secs() - 3600);
    let signed = [r#"{"alg":"HS256","typ":"JWT"}"#, &claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let signed = signed.join(".");
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.trim_ascii());
    let tag = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

#[test]
fn what_one_gateway_refused_another_one_explains() {
    let mut cluster = Cluster::start(2, 1);
    let origin = cluster.origin(0);
    let over = expired(&cluster, "live/over");
    let refused = |stream: &str, token: &str| {
        let url = format!("{origin}/whip/{stream}");
        http::request("POST", &url, &headers(&format!("Bearer {token}")), OFFER).status
    };
    assert_eq!(refused("live/over", &over), 401);
    assert_eq!(refused("live/guess", "guessed"), 401);
    let codec = offer_codec(&origin, "live/codec", cluster.token(), "THEORA");
    assert!(matches!(codec, Err(Failure::Refused(422))), "{codec:?}");

    let told = diagnosed(&cluster, 1, "live/over", "expired_token", || {});
    assert_eq!(
        (&told["refused"][0]["proven"], &told["session"]),
        (&false.into(), &().into())
    );
    assert!(!told.to_string().contains(&over), "{told}");
    let told = diagnosed(&cluster, 1, "live/guess", "invalid_token", || {});
    assert_eq!(told["refused"][0]["proven"], false);
    diagnosed(&cluster, 1, "live/codec", "no_codec", || {});
    let text = cluster.explain(1, "live/codec", &[]).unwrap();
    assert!(text.starts_with("The offer was refused: it has no codec"), "{text}");
    assert_eq!(cluster.explain(1, "live/nothing", &[]), None);

    // What Redis lost is told again by whoever refused it.
    cluster.tell_redis("FLUSHALL");
    diagnosed(&cluster, 1, "live/guess", "invalid_token", || {});
    // By then the workers have told again, too.
    eventually("Redis is said to know all", SOON, || {
        let told = cluster.explain(1, "live/guess", &["--json"])?;
        let told: Value = serde_json::from_str(&told).ok()?;
        (told["refused_by"] == "cluster").then_some(())
    });

    // Without Redis each knows its own, and says so.
    cluster.kill_redis();
    assert_eq!(refused("live/late", "guessed"), 401);
    let own = diagnosed(&cluster, 0, "live/late", "invalid_token", || {});
    assert_eq!(own["refused_by"], "gateway");
    assert_eq!(cluster.explain(1, "live/late", &[]), None);
    // Sessions are asked of their workers.
    let mut session = Session::connect(&origin, "live/late", cluster.token()).unwrap();
    let sid = session.sid().to_owned();
    let told = diagnosed(&cluster, 1, &sid, "no_media", || session.check());
    assert_eq!(told["refused_by"], "gateway");
}
