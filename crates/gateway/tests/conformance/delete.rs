//! F. Termination.

use tonic::Code;
use whipcord_proto::worker::DeleteReason;

use crate::bed::Bed;

#[tokio::test]
async fn f1_a_delete_is_200_and_empty() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    let answer = bed.bearer("DELETE", &session.path, &[], b"").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    answer.is_framed();
    assert_eq!(bed.worker.deleted(), [DeleteReason::Client]);
    assert_eq!(bed.worker.sessions(), 0);
}

#[tokio::test]
async fn f3_f5_if_match_and_other_headers_and_a_body_are_ignored() {
    let bed = Bed::start().await;
    let odd = [
        ("If-Match", "\"anything\""),
        ("Range", "bytes=0-"),
        ("Icy-MetaData", "1"),
        ("Content-Type", "a/b"),
    ];
    let session = bed.publish("cam").await;
    assert_eq!(bed.request("DELETE", &session.path, &odd, b"a body").await.status, 200);
}

#[tokio::test]
async fn f4_what_has_ended_is_404_and_a_late_delete_is_200_while_the_worker_remembers() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    assert_eq!(bed.request("DELETE", &session.path, &[], b"").await.status, 200);
    assert_eq!(bed.request("DELETE", &session.path, &[], b"").await.status, 200);
    bed.request("GET", &session.path, &[], b"")
        .await
        .is_problem(404, "no_such_session");
    bed.worker.state().forget_all();
    bed.request("DELETE", &session.path, &[], b"")
        .await
        .is_problem(404, "no_such_session");
    for path in [
        "/whip/cam/AAAAAAAAAAAAAAAAAAAAAA",
        "/whip/cam/BBBBBBBBBBBBBBBBBBBBBB",
        "/whip/../AAAAAAAAAAAAAAAAAAAAAA",
    ] {
        bed.bearer("DELETE", path, &[], b"")
            .await
            .is_problem(404, "no_such_session");
    }
}

#[tokio::test]
async fn a_hint_routes_while_the_directory_knows_nothing() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    let held = bed.holder("cam").await.unwrap();
    bed.directory.release(&held).await;
    assert_eq!(bed.request("GET", &session.path, &[], b"").await.status, 204);
    bed.bearer("DELETE", session.without_hint(), &[], b"")
        .await
        .is_problem(404, "no_such_session");
    assert_eq!(bed.request("DELETE", &session.path, &[], b"").await.status, 200);
}

#[tokio::test]
async fn a_worker_that_is_away_is_503() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    bed.worker.fail(Code::Unavailable);
    bed.request("DELETE", &session.path, &[], b"")
        .await
        .is_problem(503, "worker_away");
    assert_eq!(bed.request("DELETE", &session.path, &[], b"").await.status, 200);
}

#[tokio::test]
async fn a_session_belongs_to_its_stream() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    let elsewhere = session.path.replace("/cam/", "/other/");
    bed.request("DELETE", &elsewhere, &[], b"")
        .await
        .is_problem(404, "no_such_session");
    bed.bearer("DELETE", &elsewhere, &[], b"")
        .await
        .is_problem(404, "no_such_session");
    assert_eq!(bed.worker.sessions(), 1);
}
