//! No token, hint or password reaches a log or an error body.

use tonic::Code;

use crate::{
    bed::{Bed, FRAGMENT, OFFER, SDP, SDP_FRAGMENT, log},
    worker::RESTART,
};

#[tokio::test]
async fn planted_secrets_are_found_nowhere() {
    let bed = Bed::start().await;
    let session = bed.publish("secrets/cam").await;
    let mut secrets = vec![bed.token.clone(), session.hint().to_owned(), "planted".to_owned()];

    let mut answers = Vec::new();
    for bad in ["planted-token", &bed.token.replacen('.', ".e", 1)] {
        let authorization = format!("Bearer {bad}");
        let headers = [SDP, ("Authorization", authorization.as_str())];
        answers.push(
            bed.request("POST", "/whip/secrets/cam?token=planted", &headers, OFFER.as_bytes())
                .await,
        );
        answers.push(bed.request("DELETE", &session.path, &headers, b"").await);
        secrets.push(bad.to_owned());
    }
    let garbage = OFFER.replace("a=rtcp-mux\r\n", "");
    answers.push(
        bed.bearer("POST", "/whip/secrets/cam", &[SDP], garbage.as_bytes())
            .await,
    );
    answers.push(
        bed.bearer("POST", "/whip/secrets/cam", &[SDP], b"a=ice-pwd:planted")
            .await,
    );
    answers.push(bed.request("PUT", &session.path, &[], b"").await);
    answers.push(
        bed.request("PATCH", &session.path, &[SDP_FRAGMENT], FRAGMENT.as_bytes())
            .await,
    );
    answers.push(bed.request("GET", &format!("{}x", session.path), &[], b"").await);
    let recording = session.path.replacen("/whip/", "/recordings/", 1);
    bed.worker.state().recorded.size = 9;
    answers.push(bed.request("GET", &recording, &[("Range", "bytes=9-")], b"").await);
    answers.push(bed.request("GET", &format!("{recording}x"), &[], b"").await);
    answers.push(bed.request("PUT", &recording, &[], b"").await);
    bed.worker.fail(Code::Internal);
    answers.push(bed.request("GET", &recording, &[], b"").await);
    let plain = recording.rsplit_once('.').unwrap().0;
    let link = bed
        .bearer("HEAD", plain, &[], b"")
        .await
        .header("content-location")
        .unwrap();
    secrets.push(link.rsplit_once('.').unwrap().1.to_owned());
    bed.worker.state().recorded.size = 200_000;
    bed.worker.state().recorded.broken_at = Some(150_000);
    assert!(bed.bytes("GET", &recording, &[]).await.is_err());
    for code in [Code::Internal, Code::Unavailable, Code::FailedPrecondition] {
        bed.worker.fail(code);
        let headers = [SDP_FRAGMENT, ("If-Match", "*")];
        answers.push(bed.request("PATCH", &session.path, &headers, RESTART.as_bytes()).await);
    }
    for answer in &answers {
        assert!(answer.status >= 400, "{answer:?}");
        for secret in &secrets {
            assert!(!answer.body.contains(secret.as_str()), "{answer:?}");
        }
    }

    let log = log();
    let mut lines = log.lines();
    assert!(lines.any(|line| line.contains("session placed") && line.contains(session.sid())));
    for secret in &secrets {
        let line = log.lines().find(|line| line.contains(secret.as_str()));
        assert_eq!(line, None);
    }
}
