//! A session from its offer to its file, and what it lives through.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use whipcord_identity::{Epoch, SessionId};
use whipcord_proto::{digest, worker::ConnectionState};

use crate::{
    bed::{Bed, blocking, eventually},
    encoder::Encoder,
};

#[tokio::test(flavor = "multi_thread")]
async fn keyframes_are_seen_where_nothing_is_recorded() {
    let bed = Bed::with(|config| config.recordings = None).await;
    let mut encoder = bed.publish(1).await;
    blocking(|| encoder.send(Duration::from_secs(4)));
    eventually("media arrives", async || {
        bed.get(1).await.unwrap().packets_received == 300
    })
    .await;
    let session = bed.get(1).await.unwrap();
    let video = session.tracks.iter().find(|track| track.kind == "video").unwrap();
    assert_eq!((video.keyframes, video.keyframe_age_ms.is_some()), (1, true));
    let audio = session.tracks.iter().find(|track| track.kind == "audio").unwrap();
    assert_eq!((audio.keyframes, audio.keyframe_age_ms), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn media_is_decrypted_counted_and_recorded_until_the_client_deletes_it() {
    let bed = Bed::start().await;
    let mut encoder = bed.publish(1).await;
    blocking(|| encoder.send(Duration::from_secs(4)));
    eventually("every packet is counted", async || {
        bed.get(1).await.unwrap().packets_received == 300
    })
    .await;
    eventually("a file grows", async || {
        bed.get(1).await.unwrap().recording.ends_with(".webm")
    })
    .await;
    let session = bed.get(1).await.unwrap();
    assert_eq!(session.state(), ConnectionState::Connected);
    assert_eq!(
        (session.stream.as_str(), session.metadata["prompts"].as_str()),
        ("live/cam", "a cat")
    );
    assert!(session.remote_address.starts_with("127.0.0.1:"));
    let tracks: Vec<_> = session
        .tracks
        .iter()
        .map(|t| (t.kind.as_str(), t.codec.as_str(), t.packets_received))
        .collect();
    assert_eq!(tracks.len(), 2);
    assert!(
        tracks.contains(&("audio", "opus", 200)) || tracks.contains(&("audio", "OPUS", 200)),
        "{tracks:?}"
    );
    assert!(tracks.contains(&("video", "VP8", 100)), "{tracks:?}");
    let video = session.tracks.iter().find(|track| track.kind == "video").unwrap();
    assert_eq!((video.width, video.height, video.keyframes), (320, 240, 1));
    assert_eq!(bed.directory.read(|state| state.sessions.len()), 1);

    bed.delete(1, bed.owner.clone()).await.unwrap();
    eventually("close_notify arrives", async || blocking(|| encoder.drain())).await;
    assert!(encoder.feedback > 0, "a keyframe was asked for, and reports were sent");
    eventually("it is over", async || {
        bed.get(1).await.unwrap().state() == ConnectionState::Closed
    })
    .await;
    let session = bed.get(1).await.unwrap();
    assert_eq!(
        (session.end_reason.as_str(), session.packets_received),
        ("deleted", 300)
    );
    bed.delete(1, bed.owner.clone()).await.expect("again, within a minute");
    eventually("the directory hears of it", async || {
        bed.directory.read(|state| state.sessions.is_empty())
    })
    .await;
    let path = bed.recording(&session);
    eventually("every picture is in the file", async || {
        std::fs::read(&path).unwrap().len() > 100 * 500
    })
    .await;
    assert!(
        std::fs::read(&path).unwrap().starts_with(&[0x1a, 0x45, 0xdf, 0xa3]),
        "EBML"
    );
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_goodbye_ends_its_session() {
    let bed = Bed::start().await;
    let mut encoder = bed.publish(1).await;
    blocking(|| {
        encoder.send(Duration::from_secs(1));
        encoder.close();
    });
    eventually("it is over", async || {
        bed.get(1).await.unwrap().end_reason == "closed_by_peer"
    })
    .await;
    assert_eq!(
        bed.get(1).await.unwrap().packets_received,
        75,
        "also what came within the last second"
    );
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_forgeries_are_dropped_and_cost_nothing_but_a_count() {
    let bed = Bed::start().await;
    let mut encoder = bed.publish(1).await;
    let to: SocketAddr = bed.worker.media_addresses()[0];
    blocking(|| {
        encoder.send(Duration::from_secs(1));
        for n in 0..500_u16 {
            // Garbage of each of RFC 7983's ranges, and RTP of our own SSRC that nobody sealed.
            let [high, low] = n.to_be_bytes();
            encoder.raw(to, &[low, high, 0, 8, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3]);
            encoder.raw(
                to,
                &[&[0x80, 96, high, low, 0, 0, 0, 1, 0, 0, 0x22, 0x22], &[0; 40][..]].concat(),
            );
        }
        encoder.send(Duration::from_secs(1));
    });
    eventually("no media is lost", async || {
        bed.get(1).await.unwrap().packets_received == 150
    })
    .await;
    let session = bed.get(1).await.unwrap();
    assert!(session.dropped["unauthentic"] >= 400, "{:?}", session.dropped);
    assert_eq!(session.state(), ConnectionState::Connected);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_directory_knows_already_is_not_told_again() {
    let bed = Bed::start().await;
    bed.create(1, &Encoder::new().offer()).await.unwrap();
    eventually("the directory hears of it", async || {
        bed.directory.read(|state| state.sessions.len() == 1)
    })
    .await;
    bed.directory.0.lock().unwrap().knows = true;
    bed.directory.break_stream();
    eventually("it says hello again", async || {
        bed.directory.read(|state| state.hellos.len() == 2)
    })
    .await;
    bed.create(2, &Encoder::new().offer()).await.unwrap();
    eventually("it tells of what is new", async || {
        bed.directory.read(|state| state.sessions.len() == 2)
    })
    .await;
    let (snapshots, digests) = bed.directory.read(|state| {
        let digests = state.hellos.iter().map(|hello| hello.sessions_digest.clone());
        (state.snapshots, digests.collect::<Vec<_>>())
    });
    assert_eq!(snapshots, 1, "the first one, of nothing");
    let stream = "live/cam".parse().unwrap();
    let one = [(SessionId::new([1; 16]), Epoch(1), &stream)];
    let expected = [&one[..0], &one].map(|listed| digest::sessions(listed.iter().copied()));
    assert_eq!(digests, expected);
    bed.delete(1, bed.owner.clone()).await.unwrap();
    eventually("it tells of what has ended", async || {
        bed.directory
            .read(|state| state.sessions == BTreeSet::from([vec![2; 16]]))
    })
    .await;
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_is_told_when_an_encoder_is_first_heard_of() {
    let bed = Bed::start().await;
    bed.create(1, &Encoder::new().offer()).await.unwrap();
    let _encoder = bed.publish(2).await;
    eventually("the directory hears of it", async || {
        bed.directory.read(|state| !state.heard.is_empty())
    })
    .await;
    assert_eq!(
        bed.directory.read(|state| state.heard.clone()),
        BTreeSet::from([vec![2; 16]])
    );
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_gateway_and_a_taken_number_are_survived() {
    let bed = Bed::start().await;
    bed.create(1, &Encoder::new().offer()).await.unwrap();
    eventually("the directory hears of it", async || {
        bed.directory.read(|state| state.sessions.len() == 1)
    })
    .await;
    let number = bed.directory.read(|state| state.hellos[0].worker_number);
    bed.directory.0.lock().unwrap().clashes = 1;
    bed.directory.break_stream();
    eventually("it says hello again, twice", async || {
        bed.directory.read(|state| state.hellos.len() == 3)
    })
    .await;
    let numbers = bed
        .directory
        .read(|state| state.hellos.iter().map(|hello| hello.worker_number).collect::<Vec<_>>());
    assert_eq!(numbers[1], number);
    assert_ne!(numbers[2], number, "drawn again");
    eventually("and all that lives", async || {
        bed.directory.read(|state| state.sessions.len() == 1)
    })
    .await;
    eventually("and goes on", async || bed.directory.read(|state| state.heartbeats > 1)).await;
    bed.stop().await;
}
