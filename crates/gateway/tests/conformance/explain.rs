//! Explanations: asked of all workers, made of what they and the gateways tell.

use std::time::{Duration, Instant, SystemTime};

use axum::http::Method;
use serde_json::{Value, json};
use whipcord_gateway::auth::Scope;
use whipcord_proto::worker::{Course, DiskState, ExplainSessionResponse, Moment, Session};

use crate::{
    admin::{call, get},
    bed::Bed,
    worker::{Behaviour, Step},
};

/// What a worker tells of a session that delivers.
pub(crate) fn well(session: Session) -> ExplainSessionResponse {
    let moment = |age_ms, event: &str, detail: &str| Moment {
        age_ms,
        event: event.to_owned(),
        detail: detail.to_owned(),
    };
    ExplainSessionResponse {
        session: Some(session),
        age_ms: 60_000,
        ended_ms: None,
        timeline: vec![
            moment(0, "created", ""),
            moment(120, "stun_seen", "192.0.2.7:5000"),
            moment(900, "of_a_later_version\u{1b}[2J", "\u{9b}5\u{202e}n\u{2066}\u{200f}"),
        ],
        left_out: 0,
        course: Some(Course {
            stun_ms: Some(120),
            connected_ms: Some(200),
            media_ms: Some(250),
            handshake_datagrams: 4,
            keyframe_wait_ms: Some(800),
            keyframe_seen: true,
            window_ms: 10_000,
            window_packets: 3000,
            disk: DiskState::Takes.into(),
            ..Course::default()
        }),
    }
}

async fn refused(bed: &Bed, path: &str) -> (u16, Value) {
    let admin = bed.mint_with(&[], Scope::Admin);
    let (status, problem) = call(bed, Some(&admin), Method::GET, path, Value::Null).await;
    (status.as_u16(), problem["reason"].clone())
}

#[tokio::test]
async fn a_session_is_explained_by_its_id_and_by_its_stream() {
    let bed = Bed::start().await;
    let published = bed.publish("live/1?secret=planted0query0parameter").await;
    let by_sid = get(&bed, &format!("/api/sessions/{}/explain", published.sid())).await;
    let by_stream = get(&bed, "/api/streams/live%2F1/explain").await;
    assert_eq!(by_sid, by_stream);
    assert_eq!(by_sid["diagnosis"], "delivering");
    assert!(by_sid["sentence"].is_string() && by_sid["action"].is_string());
    let session = &by_sid["session"];
    assert_eq!(
        (&session["sid"], &session["stream"], &session["worker"]),
        (&json!(published.sid()), &json!("live/1"), &json!("worker-0"))
    );
    // What a worker says does not reach a terminal as a command.
    let expected = json!([
        {"seconds": 0.0, "event": "created", "detail": null},
        {"seconds": 0.12, "event": "stun_seen", "detail": "192.0.2.7:5000"},
        {"seconds": 0.9, "event": "of_a_later_version[2J", "detail": "5n"},
    ]);
    assert_eq!(session["timeline"], expected);
    let text = by_sid.to_string();
    assert!(!text.contains("planted") && !text.contains(published.hint()), "{text}");
}

#[tokio::test]
async fn a_refused_post_is_explained_by_its_stream_and_tells_no_secret() {
    let bed = Bed::start().await;
    assert_eq!(
        refused(&bed, "/api/streams/cam/explain").await,
        (404, json!("nothing_known"))
    );
    let token = bed.mint(&["other"]);
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/sdp")];
    assert_eq!(bed.request("POST", "/whip/cam", &headers, b"v=0").await.status, 403);
    let explained = get(&bed, "/api/streams/cam/explain").await;
    assert_eq!(explained["diagnosis"], "forbidden_stream", "{explained}");
    assert_eq!(explained["session"], json!(null));
    assert_eq!(
        (
            &explained["refused"][0]["reason"],
            &explained["refused"][0]["proven"],
            &explained["refused_by"]
        ),
        (&json!("forbidden_stream"), &json!(false), &json!("cluster"))
    );
    assert!(!explained.to_string().contains(&token));
    // The stream's own token: what is wrong is its offer.
    let bearer = format!("Bearer {}", bed.mint(&["cam"]));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/sdp")];
    assert_eq!(bed.request("POST", "/whip/cam", &headers, b"v=0").await.status, 422);
    let explained = get(&bed, "/api/streams/cam/explain").await;
    assert_eq!(explained["diagnosis"], "offer_refused", "{explained}");
    assert_eq!(explained["refused"][0]["proven"], true);
    assert_eq!(explained["refused"].as_array().unwrap().len(), 2);
    // A session that lives says more than what others were refused.
    bed.publish("cam").await;
    bed.request("POST", "/whip/cam", &[], b"").await;
    let explained = get(&bed, "/api/streams/cam/explain").await;
    assert_eq!(explained["diagnosis"], "delivering");
    assert_eq!(explained["refused"][0]["reason"], "no_token");
}

#[tokio::test]
async fn a_refused_patch_is_told_and_is_no_reason_why_there_is_no_session() {
    let bed = Bed::start().await;
    let path = "/whip/cam/AAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(bed.request("PATCH", path, &[], b"").await.status, 401);
    assert_eq!(
        refused(&bed, "/api/streams/cam/explain").await,
        (404, json!("nothing_known"))
    );
    bed.publish("cam").await;
    let explained = get(&bed, "/api/streams/cam/explain").await;
    assert_eq!(explained["refused"][0]["method"], "PATCH");
}

#[tokio::test]
async fn a_token_that_has_expired_proves_nothing() {
    let bed = Bed::start().await;
    let expired = bed.authority.mint(
        &["cam".parse().unwrap()],
        Scope::Publish,
        Duration::from_secs(60),
        SystemTime::now() - Duration::from_secs(3600),
    );
    let bearer = format!("Bearer {}", expired.unwrap());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/sdp")];
    assert_eq!(bed.request("POST", "/whip/cam", &headers, b"v=0").await.status, 401);
    let explained = get(&bed, "/api/streams/cam/explain").await;
    assert_eq!(explained["diagnosis"], "expired_token", "{explained}");
    assert_eq!(explained["refused"][0]["proven"], false, "an old token is anybody's");
}

#[tokio::test]
async fn what_a_worker_tells_of_another_session_is_passed_over() {
    let bed = Bed::start().await;
    let published = bed.publish("cam").await;
    let _lease = bed.hello_as(1, 1).await;
    let claim = |stream| {
        let claims = Behaviour::Claims(stream);
        bed.worker.state().behaviour.insert(1, claims);
    };
    claim("other");
    let by_stream = get(&bed, "/api/streams/cam/explain").await;
    claim("cam");
    let by_sid = get(&bed, &format!("/api/sessions/{}/explain", published.sid())).await;
    for explained in [by_stream, by_sid] {
        assert_eq!(explained["session"]["sid"], published.sid());
    }
    // Of what it may say it says a bounded part.
    let claimed = get(&bed, "/api/streams/cam/explain").await;
    assert_eq!(claimed["session"]["timeline"].as_array().unwrap().len(), 64);
}

#[tokio::test]
async fn workers_that_do_not_answer_are_named_and_not_waited_for() {
    let bed = Bed::start().await;
    let published = bed.publish("cam").await;
    let _lease = bed.hello_as(1, 1).await;
    bed.worker.state().behaviour.insert(1, Behaviour::Away);
    let unknown = "/api/sessions/AAAAAAAAAAAAAAAAAAAAAA/explain";
    let explained = get(&bed, unknown).await;
    assert_eq!(
        (&explained["diagnosis"], &explained["unanswered"]),
        (&json!("workers_unanswered"), &json!(["worker-1"]))
    );
    let found = get(&bed, &format!("/api/sessions/{}/explain", published.sid())).await;
    assert_eq!(
        (&found["diagnosis"], &found["unanswered"]),
        (&json!("delivering"), &json!(["worker-1"]))
    );
    // One that was found dead at this moment.
    bed.worker.state().behaviour.insert(1, Behaviour::Dead);
    let explained = get(&bed, unknown).await;
    assert_eq!(
        (&explained["diagnosis"], &explained["unanswered"]),
        (&json!("worker_died"), &json!(["worker-1"]))
    );
    assert_eq!(refused(&bed, unknown).await, (404, json!("nothing_known")));
    // One that takes its time.
    bed.worker.next(Step::Late(Duration::from_secs(60)));
    let asked = Instant::now();
    let explained = get(&bed, unknown).await;
    assert_eq!(explained["unanswered"], json!(["worker-0"]));
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
}
