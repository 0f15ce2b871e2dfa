//! Who gets a stream that is held, by the operator's rules.

use whipcord_directory::{Placement, Session, Takeover};
use whipcord_identity::{Incarnation, SessionId};

use crate::bed::{Bed, eventually};

/// Another publisher than the bed's takes the stream, as through another gateway.
async fn other_takes(bed: &Bed, stream: &str, n: u8) -> Session {
    let placement = Placement {
        sid: SessionId::new([n; 16]),
        stream: stream.parse().unwrap(),
        worker: "worker-0".parse().unwrap(),
        incarnation: Incarnation(0),
        takeover: Takeover::Replace,
        client: Some(n.into()),
        force: false,
        former: None,
    };
    let session = bed.directory.place(&placement).await.unwrap();
    bed.directory.commit(&session).await.unwrap();
    session
}

#[tokio::test]
async fn a_stream_that_rejects_keeps_its_holder() {
    let bed = Bed::with(&["--takeover", "only/*=reject"]).await;
    let first = bed.publish("only/cam").await;
    let second = bed.post("/whip/only/cam").await;
    second.is_problem(409, "held");
    assert_eq!(second.header("retry-after").as_deref(), Some("2"));
    assert_eq!(bed.holder("only/cam").await.unwrap().sid.to_string(), first.sid());
    assert_eq!(bed.worker.deleted(), []);
    assert_eq!(bed.bearer("DELETE", &first.path, &[], &[]).await.status, 200);
    bed.publish("only/cam").await;
    bed.publish("cam").await;
    bed.publish("cam").await;
    eventually(|| bed.worker.deleted().len() == 2).await;
}

#[tokio::test]
async fn a_stream_of_several_has_them_all() {
    let bed = Bed::with(&["--takeover", "*=several"]).await;
    for _ in 0..3 {
        bed.publish("cam").await;
    }
    let all = bed.holders("cam").await;
    assert_eq!((all.len(), bed.worker.deleted().len()), (3, 0));
}

#[tokio::test]
async fn who_lost_its_stream_gets_it_back_only_from_a_silent_holder() {
    let bed = Bed::start().await;
    bed.publish("cam").await;
    let holder = other_takes(&bed, "cam", 9).await;
    bed.worker.hold(holder.sid.as_bytes(), "cam", 1999);
    let knocking = bed.post("/whip/cam").await;
    knocking.is_problem(409, "lost_stream");
    assert_eq!(knocking.header("retry-after").as_deref(), Some("30"));
    assert_eq!(bed.holder("cam").await, Some(holder.clone()));
    bed.worker.hold(holder.sid.as_bytes(), "cam", 2000);
    let back = bed.publish("cam").await;
    assert_eq!(bed.holder("cam").await.unwrap().sid.to_string(), back.sid());
    eventually(|| {
        let state = bed.worker.state();
        state
            .deleted
            .iter()
            .any(|deleted| deleted.session_id == holder.sid.as_bytes())
    })
    .await;
}
