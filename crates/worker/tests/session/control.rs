//! What a gateway may ask of a worker, and what it is refused.

use std::time::Duration;

use tonic::Code;
use whipcord_proto::{
    convert,
    worker::{ConnectionState, DrainRequest, GetSessionRequest, ListSessionsRequest, Owner, ReadRecordingRequest},
};
use whipcord_whip::Codec;

use crate::{
    bed::{Bed, blocking, eventually, fingerprint},
    encoder::{Answer, Encoder},
};

#[tokio::test(flavor = "multi_thread")]
async fn creation_is_idempotent_and_bounded() {
    let bed = Bed::with(|config| config.sessions_max = 2).await;
    let (first, second) = (Encoder::new().offer(), Encoder::new().offer());
    let created = bed.create(1, &first).await.unwrap();
    assert_eq!(bed.create(1, &first).await.unwrap(), created);
    assert_eq!(bed.create(1, &second).await.unwrap_err().code(), Code::AlreadyExists);
    bed.create(2, &second).await.unwrap();
    assert_eq!(bed.create(3, &first).await.unwrap_err().code(), Code::ResourceExhausted);
    bed.delete(1, bed.owner.clone()).await.unwrap();
    eventually("its place is free", async || bed.create(3, &first).await.is_ok()).await;
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_served_is_refused_with_its_own_code() {
    let bed = Bed::start().await;
    let offer = Encoder::new().offer();
    let refused = bed.create(1, "garbage").await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(convert::refusal(&refused).is_some(), "a refusal for the encoder's user");
    let stale = Owner {
        incarnation: bed.owner.incarnation ^ 1,
        ..bed.owner.clone()
    };
    bed.create(1, &offer).await.unwrap();
    assert_eq!(bed.delete(1, stale).await.unwrap_err().code(), Code::FailedPrecondition);
    let stale = Owner {
        epoch: 0,
        ..bed.owner.clone()
    };
    // The incarnation lives: it has no session of that epoch.
    assert_eq!(bed.delete(1, stale).await.unwrap_err().code(), Code::NotFound);
    bed.get(1).await.expect("it is still there");
    assert_eq!(
        bed.delete(9, bed.owner.clone()).await.unwrap_err().code(),
        Code::NotFound
    );
    assert_eq!(bed.get(9).await.unwrap_err().code(), Code::NotFound);
    bed.stop().await;
}

/// A successor at the address must not answer for the one before, whatever it is asked.
#[tokio::test(flavor = "multi_thread")]
async fn reads_and_drains_are_answered_by_the_incarnation_that_they_name() {
    let bed = Bed::start().await;
    bed.create(1, &Encoder::new().offer()).await.unwrap();
    let ask = async |owner: Option<Owner>| {
        let [mut get, mut list, mut read, mut drain] = std::array::from_fn(|_| bed.client.clone());
        let session_id = vec![1; 16];
        let got = get.get_session(GetSessionRequest {
            session_id: session_id.clone(),
            owner: owner.clone(),
        });
        let listed = list.list_sessions(ListSessionsRequest {
            owner: owner.clone(),
            ..ListSessionsRequest::default()
        });
        let read = read.read_recording(ReadRecordingRequest {
            session_id,
            stream: "live/cam".to_owned(),
            owner: owner.clone(),
            ..ReadRecordingRequest::default()
        });
        let drained = drain.drain(DrainRequest {
            deadline_seconds: 3600,
            owner,
        });
        [
            got.await.err(),
            listed.await.err(),
            read.await.err(),
            drained.await.err(),
        ]
        .map(|error| error.map(|status| status.code()))
    };
    let before = Owner {
        incarnation: bed.owner.incarnation ^ 1,
        ..bed.owner.clone()
    };
    assert_eq!(ask(Some(before)).await, [Some(Code::FailedPrecondition); 4]);
    // There is no recording of it yet.
    let all = [None, None, Some(Code::NotFound), None];
    let any_epoch = Owner {
        epoch: 0,
        ..bed.owner.clone()
    };
    for owner in [Some(any_epoch), Some(bed.owner.clone()), None] {
        assert_eq!(ask(owner.clone()).await, all, "{owner:?}");
    }
    let other_epoch = Owner {
        epoch: 2,
        ..bed.owner.clone()
    };
    let other_epoch = ask(Some(other_epoch)).await;
    assert_eq!(other_epoch, [Some(Code::NotFound), None, Some(Code::NotFound), None]);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codecs_are_those_configured_in_their_order() {
    const VIDEO: &str = "m=video 9 UDP/TLS/RTP/SAVPF 96";
    const H264: &str = "a=rtpmap:98 H264/90000\r\na=fmtp:98 packetization-mode=1\r\n";
    let offer = Encoder::new()
        .offer()
        .replace(&format!("{VIDEO}\r\n"), &format!("{VIDEO} 98\r\n"));
    let offer = offer.replace("a=rtpmap:96", &format!("{H264}a=rtpmap:96"));
    for (codecs, chosen) in [
        (
            vec![Codec::H264, Codec::Vp8, Codec::Opus],
            Some("a=rtpmap:98 H264/90000"),
        ),
        (
            vec![Codec::Opus, Codec::Vp8, Codec::H264],
            Some("a=rtpmap:96 VP8/90000"),
        ),
        (vec![Codec::Av1, Codec::Opus], None),
    ] {
        let bed = Bed::with(|config| config.codecs = codecs).await;
        let created = bed.create(1, &offer).await;
        match chosen {
            Some(chosen) => assert!(created.unwrap().answer.contains(chosen)),
            None => {
                let refusal = convert::refusal(&created.unwrap_err()).expect("a refusal for the encoder's user");
                assert_eq!(refusal.reason, "no_codec");
                assert_eq!(
                    bed.get(1).await.unwrap_err().code(),
                    Code::NotFound,
                    "nothing is left of it"
                );
            }
        }
        bed.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fragment_trickles_or_restarts_ice_by_its_credentials() {
    let bed = Bed::start().await;
    let mut encoder = Encoder::new();
    let created = bed.create(1, &encoder.offer()).await.unwrap();
    let answer = Answer::parse(&created.answer);
    blocking(|| encoder.connect(&answer, &fingerprint(&created.answer)));
    let trickle = "a=ice-ufrag:encd\r\na=ice-pwd:encoderencoderencoder1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
                   a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
    assert_eq!(bed.patch(1, trickle, &[&created.ice_session]).await.unwrap(), None);
    assert_eq!(
        bed.patch(1, trickle, &["another"]).await.unwrap_err().code(),
        Code::Aborted
    );
    let refused = bed.patch(1, "", &[]).await.unwrap_err();
    assert!(convert::refusal(&refused).is_some(), "{refused:?}");
    let stale = bed.patch(1, "", &["another"]).await.unwrap_err();
    assert_eq!(stale.code(), Code::Aborted, "the precondition comes before the body");
    assert_eq!(bed.patch(9, "", &[]).await.unwrap_err().code(), Code::NotFound);

    let restart = "a=ice-ufrag:newu\r\na=ice-pwd:newnewnewnewnewnewnewne\r\n";
    let (fragment, ice_session) = bed.patch(1, restart, &[]).await.unwrap().expect("a restart");
    assert_ne!(ice_session, created.ice_session);
    let renewed = Answer::parse(&fragment);
    assert!(renewed.ufrag != answer.ufrag && renewed.pwd != answer.pwd);
    assert_eq!(renewed.address, answer.address);
    encoder.ufrag = "newu".into();
    blocking(|| {
        encoder.check(&renewed);
        encoder.send(Duration::from_secs(1));
    });
    eventually("media goes on", async || {
        bed.get(1).await.unwrap().packets_received == 75
    })
    .await;
    assert_eq!(
        bed.patch(1, trickle, &[&created.ice_session]).await.unwrap_err().code(),
        Code::Aborted,
        "an old ETag"
    );
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_in_pages() {
    let bed = Bed::start().await;
    for number in 1..=3 {
        bed.create(number, &Encoder::new().offer()).await.unwrap();
    }
    let mut client = bed.client.clone();
    let mut page = async |token: String| {
        let request = ListSessionsRequest {
            page_size: 2,
            page_token: token,
            owner: None,
        };
        client.list_sessions(request).await.unwrap().into_inner()
    };
    let first = page(String::new()).await;
    assert_eq!(
        first.sessions.iter().map(|s| s.session_id[0]).collect::<Vec<_>>(),
        [1, 2]
    );
    let second = page(first.next_page_token).await;
    assert_eq!(second.sessions.iter().map(|s| s.session_id[0]).collect::<Vec<_>>(), [3]);
    assert_eq!(second.next_page_token, "");
    assert_eq!(second.sessions[0].state(), ConnectionState::New);
    let wrong = ListSessionsRequest {
        page_size: 2,
        page_token: "x".into(),
        owner: None,
    };
    assert_eq!(
        bed.client.clone().list_sessions(wrong).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    bed.stop().await;
}
