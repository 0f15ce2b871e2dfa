//! D. PATCH of a session, E. ICE restart.

use tonic::Code;
use whipcord_proto::convert;
use whipcord_whip::Refusal;

use crate::{
    bed::{Bed, FRAGMENT, SDP, SDP_FRAGMENT},
    worker::{RESTART, RESTARTED, Step},
};

#[tokio::test]
async fn d1_wrong_content_type_is_415() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    for media_type in [("Content-Type", "application/json"), SDP, ("X-None", "")] {
        let headers = [media_type, ("If-Match", session.etag.as_str())];
        bed.request("PATCH", &session.path, &headers, FRAGMENT.as_bytes())
            .await
            .is_problem(415, "content_type");
    }
}

#[tokio::test]
async fn d2_a_malformed_fragment_is_what_the_worker_says() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    bed.worker
        .next(Step::Fail(convert::refusal_status(&Refusal::HalfCredentials)));
    let headers = [SDP_FRAGMENT, ("If-Match", session.etag.as_str())];
    bed.request("PATCH", &session.path, &headers, b"x")
        .await
        .is_problem(400, "half_credentials");
    assert_eq!(
        bed.request("PATCH", &session.path, &headers, FRAGMENT.as_bytes())
            .await
            .status,
        204
    );
}

#[tokio::test]
async fn d3_without_if_match_it_is_428_and_not_stored() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    for body in [FRAGMENT, RESTART] {
        let answer = bed
            .request("PATCH", &session.path, &[SDP_FRAGMENT], body.as_bytes())
            .await;
        answer.is_problem(428, "if_match_missing");
        assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
    }
    let with_etag = [SDP_FRAGMENT, ("ETag", session.etag.as_str())];
    bed.request("PATCH", &session.path, &with_etag, FRAGMENT.as_bytes())
        .await
        .is_problem(428, "if_match_missing");
    assert_eq!(bed.worker.state().patched.len(), 0);
}

#[tokio::test]
async fn d4_d5_a_stale_or_weak_etag_is_412() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    let weak = format!("W/{}", session.etag);
    for value in ["\"other\"", weak.as_str(), "garbage", ""] {
        let headers = [SDP_FRAGMENT, ("If-Match", value)];
        bed.request("PATCH", &session.path, &headers, FRAGMENT.as_bytes())
            .await
            .is_problem(412, "if_match_stale");
    }
}

#[tokio::test]
async fn d6_d7_d19_candidates_are_204_for_the_tag_a_list_and_a_star() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    let list = format!("\"x\", {}", session.etag);
    let table: [&[(&str, &str)]; 5] = [
        &[("If-Match", &session.etag)],
        &[("If-Match", &list)],
        &[("If-Match", "\"x\""), ("If-Match", &session.etag)],
        &[("If-Match", "*")],
        &[("If-Match", "\"*\"")],
    ];
    for headers in table {
        let headers = [headers, &[SDP_FRAGMENT]].concat();
        let answer = bed.request("PATCH", &session.path, &headers, FRAGMENT.as_bytes()).await;
        assert_eq!(
            (answer.status, answer.body.as_str(), answer.header("etag")),
            (204, "", None),
            "{headers:?}"
        );
        answer.is_framed();
    }
    assert_eq!(bed.worker.state().patched[0].fragment, FRAGMENT.as_bytes());
}

#[tokio::test]
async fn d16_overlapping_patches_are_all_answered() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    let headers = [SDP_FRAGMENT, ("If-Match", session.etag.as_str())];
    let patch = || bed.request("PATCH", &session.path, &headers, FRAGMENT.as_bytes());
    let (one, two, three) = tokio::join!(patch(), patch(), patch());
    assert_eq!([one.status, two.status, three.status], [204; 3]);
    assert_eq!(bed.worker.state().patched.len(), 3);
}

#[tokio::test]
async fn d21_checks_come_in_their_order() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    let wrong = ("Authorization", "Bearer wrong");
    // Everything is wrong, and with each line one thing less.
    let gone = session.path.replace(session.sid(), "AAAAAAAAAAAAAAAAAAAAAA");
    bed.request("PATCH", &gone, &[wrong, SDP], b"")
        .await
        .is_problem(401, "invalid_token");
    bed.bearer("PATCH", &gone, &[SDP], b"")
        .await
        .is_problem(404, "no_such_session");
    bed.bearer("PATCH", "/whip/cam", &[SDP], b"")
        .await
        .is_problem(405, "method");
    bed.bearer("PATCH", &session.path, &[SDP], b"")
        .await
        .is_problem(415, "content_type");
    bed.bearer("PATCH", &session.path, &[SDP_FRAGMENT], b"")
        .await
        .is_problem(428, "if_match_missing");
    let stale = [SDP_FRAGMENT, ("If-Match", "\"other\"")];
    bed.bearer("PATCH", &session.path, &stale, b"")
        .await
        .is_problem(412, "if_match_stale");
}

#[tokio::test]
async fn d21_a_session_the_directory_does_not_know_is_asked_for_before_428() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    let held = bed.holder("cam").await.unwrap();
    bed.directory.release(&held).await;
    bed.request("PATCH", &session.path, &[SDP_FRAGMENT], b"")
        .await
        .is_problem(428, "if_match_missing");
    bed.worker.state().forget_all();
    bed.request("PATCH", &session.path, &[SDP_FRAGMENT], b"")
        .await
        .is_problem(404, "no_such_session");
}

#[tokio::test]
async fn e1_e4_e8_a_restart_is_200_with_a_new_etag() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    let mut etag = session.etag.clone();
    for if_match in ["*", "\"*\"", ""] {
        let if_match = if if_match.is_empty() {
            etag.clone()
        } else {
            if_match.to_owned()
        };
        let headers = [SDP_FRAGMENT, ("If-Match", if_match.as_str())];
        let answer = bed.request("PATCH", &session.path, &headers, RESTART.as_bytes()).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, RESTARTED));
        assert_eq!(
            answer.header("content-type").as_deref(),
            Some("application/trickle-ice-sdpfrag")
        );
        answer.is_framed();
        let fresh = answer.header("etag").unwrap();
        assert_ne!(fresh, etag);
        let old = [SDP_FRAGMENT, ("If-Match", etag.as_str())];
        bed.request("PATCH", &session.path, &old, FRAGMENT.as_bytes())
            .await
            .is_problem(412, "if_match_stale");
        let new = [SDP_FRAGMENT, ("If-Match", fresh.as_str())];
        assert_eq!(
            bed.request("PATCH", &session.path, &new, FRAGMENT.as_bytes())
                .await
                .status,
            204
        );
        etag = fresh;
    }
}

#[tokio::test]
async fn g9_a_worker_that_is_away_is_503_and_one_that_is_dead_is_404() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    let headers = [SDP_FRAGMENT, ("If-Match", session.etag.as_str())];
    bed.worker.fail(Code::Unavailable);
    let away = bed.request("PATCH", &session.path, &headers, FRAGMENT.as_bytes()).await;
    away.is_problem(503, "worker_away");
    assert_eq!(away.header("retry-after").as_deref(), Some("2"));
    bed.worker.fail(Code::Internal);
    bed.request("PATCH", &session.path, &headers, FRAGMENT.as_bytes())
        .await
        .is_problem(500, "internal");
    bed.worker.fail(Code::FailedPrecondition);
    bed.request("PATCH", &session.path, &headers, FRAGMENT.as_bytes())
        .await
        .is_problem(404, "no_such_session");
    bed.request("PATCH", &session.path, &headers, FRAGMENT.as_bytes())
        .await
        .is_problem(404, "no_such_session");
    assert_eq!(
        bed.worker.state().patched.len(),
        3,
        "after it was found dead it is not asked again"
    );
}

#[tokio::test]
async fn l7_a_large_fragment_is_413() {
    let bed = Bed::start().await;
    let session = bed.publish("cam").await;
    let headers = [SDP_FRAGMENT, ("If-Match", session.etag.as_str())];
    let body = vec![b'a'; 16 * 1024 + 1];
    bed.request("PATCH", &session.path, &headers, &body)
        .await
        .is_problem(413, "too_large");
}
