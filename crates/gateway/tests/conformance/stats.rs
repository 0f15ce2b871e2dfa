//! `GET /whip-stats`.

use serde_json::{Value, json};
use tonic::Code;

use crate::bed::Bed;

async fn stats(bed: &Bed, token: &str) -> Value {
    let authorization = format!("Bearer {token}");
    let answer = bed
        .request("GET", "/whip-stats", &[("Authorization", &authorization)], b"")
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type").as_deref(), Some("application/json"));
    answer.is_framed();
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test]
async fn sessions_are_listed_by_id_as_comfystream_does_and_with_more() {
    let bed = Bed::start().await;
    assert_eq!(stats(&bed, &bed.token).await, json!({}));
    assert_eq!(bed.post("/whip/live/cam?prompts=x").await.status, 201);
    let all = stats(&bed, &bed.token).await;
    let one = all.as_object().unwrap().values().next().unwrap();
    assert_eq!(one["created_at"], json!(1_800_000_000.25));
    assert_eq!(one["connection_state"], "connected");
    assert_eq!((&one["has_video"], &one["has_audio"]), (&json!(true), &json!(true)));
    assert_eq!(one["stream"], "live/cam");
    assert_eq!(one["packets_received"], 42);
    assert_eq!(one["pinned"], true);
    let channels = json!({"open": 1, "messages_received": 3, "bytes_received": 25});
    assert_eq!(one["data_channels"], channels);
    assert_eq!(one["metadata"], json!({"prompts": "x"}));
    assert_eq!(one["recording"], "live/cam/x.mp4");
    let (audio, video) = (&one["tracks"][0], &one["tracks"][1]);
    assert_eq!(
        (&video["rid"], &video["width"], &video["height"]),
        (&json!("h"), &json!(1280), &json!(720))
    );
    assert_eq!(
        (&video["bitrate_bps"], &video["active"]),
        (&json!(2_500_000), &json!(true))
    );
    assert_eq!(video["frames_per_second"], 29.9);
    let unknown = ["rid", "width", "height", "frames_per_second"];
    assert!(unknown.iter().all(|name| audio[name] == Value::Null), "{audio}");
    assert_eq!(audio["active"], false);
}

#[tokio::test]
async fn a_token_sees_what_it_may_publish() {
    let bed = Bed::start().await;
    let mut sids = Vec::new();
    for stream in ["live/1", "live/2", "live/3", "other/1", "other/2"] {
        sids.push(bed.publish(stream).await.sid().to_owned());
    }
    assert_eq!(
        stats(&bed, &bed.token).await.as_object().unwrap().len(),
        5,
        "over several pages"
    );
    let seen = stats(&bed, &bed.mint(&["other/*"])).await;
    assert_eq!(seen.as_object().unwrap().len(), 2);
    assert!(seen.get(&sids[3]).is_some() && seen.get(&sids[4]).is_some());
    assert_eq!(stats(&bed, &bed.mint(&[])).await, json!({}));
}

#[tokio::test]
async fn one_token_does_not_ask_all_the_time() {
    let bed = Bed::with(&["--request-rate", "1"]).await;
    for _ in 0..10 {
        stats(&bed, &bed.token).await;
    }
    bed.bearer("GET", "/whip-stats", &[], b"")
        .await
        .is_problem(429, "too_many_requests");
    stats(&bed, &bed.mint(&["cam"])).await;
}

#[tokio::test]
async fn a_worker_that_is_away_is_left_out() {
    let bed = Bed::start().await;
    bed.publish("cam").await;
    bed.worker.fail(Code::Unavailable);
    assert_eq!(stats(&bed, &bed.token).await, json!({}));
}
