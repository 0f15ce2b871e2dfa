//! A worker that ends, or never begins.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic::{Code, transport::Channel};
use whipcord_proto::worker::DrainRequest;
use whipcord_whip::{Codec, DataPolicy};
use whipcord_worker::{Config, Gateways, Identity, Worker};

use crate::{
    bed::{Bed, blocking, eventually, within},
    encoder::Encoder,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_admits_none_and_ends_what_is_left_at_its_deadline() {
    let bed = Bed::start().await;
    let mut encoder = bed.publish(1).await;
    let drain = async |deadline_seconds| {
        let mut client = bed.client.clone();
        let drained = client.drain(DrainRequest {
            deadline_seconds,
            owner: Some(bed.owner.clone()),
        });
        drained.await.unwrap().into_inner().sessions
    };
    assert_eq!(drain(3600).await, 1);
    let refused = bed.create(2, &encoder.offer()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    blocking(|| encoder.send(Duration::from_secs(1)));
    eventually("media goes on", async || {
        bed.get(1).await.unwrap().packets_received == 75
    })
    .await;
    assert_eq!(drain(0).await, 1);
    within(bed.worker.draining()).await;
    eventually("it is ended", async || {
        bed.get(1).await.unwrap().end_reason == "drained"
    })
    .await;
    bed.stop().await;
}

/// Whoever named the first deadline relies on it.
#[tokio::test(flavor = "multi_thread")]
async fn of_several_drains_the_earliest_deadline_holds() {
    for deadlines in [[3600, 0], [0, 3600]] {
        let bed = Bed::start().await;
        bed.create(1, &Encoder::new().offer()).await.unwrap();
        for deadline_seconds in deadlines {
            let request = DrainRequest {
                deadline_seconds,
                owner: None,
            };
            bed.client.clone().drain(request).await.unwrap();
        }
        eventually("it is ended", async || {
            bed.get(1).await.unwrap().end_reason == "drained"
        })
        .await;
        bed.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_sessions_well_and_finishes_their_files() {
    let bed = Bed::start().await;
    let mut encoder = bed.publish(1).await;
    blocking(|| encoder.send(Duration::from_millis(200)));
    eventually("it arrived", async || bed.get(1).await.unwrap().packets_received == 15).await;
    bed.shutdown.cancel();
    within(bed.worker.join()).await;
    assert!(blocking(|| encoder.drain()), "close_notify");
    let folder = bed.recordings.path().join("live/cam");
    let files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .collect();
    assert!(
        files.len() == 1 && files[0] > 5 * 500,
        "what was not yet a fragment is written: {files:?}"
    );
    assert!(bed.directory.read(|state| state.sessions.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_cannot_start_says_why() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let config = Config {
        media: "127.0.0.1:0".parse().unwrap(),
        advertise: Vec::new(),
        recordings: None,
        codecs: vec![Codec::H264, Codec::Vp8, Codec::Opus],
        stream_metrics: 0,
        sessions_max: 1,
        data_channel: DataPolicy::Accept,
    };
    let table = [
        (
            "cannot listen for media on UDP",
            Config {
                media: taken.local_addr().unwrap(),
                ..config.clone()
            },
        ),
        (
            "cannot be advertised",
            Config {
                advertise: vec!["0.0.0.0".parse().unwrap()],
                ..config.clone()
            },
        ),
        (
            "cannot make the recordings folder",
            Config {
                recordings: Some(file.path().to_owned()),
                ..config
            },
        ),
    ];
    for (expected, config) in table {
        let identity = Identity {
            cluster_id: "test".parse().unwrap(),
            worker: "worker-0".parse().unwrap(),
            ice_keys: whipcord_identity::IceKeys::generate([7; 32]),
            address: "pipe:0".parse().unwrap(),
        };
        let nowhere = Channel::from_static("http://127.0.0.1:1").connect_lazy();
        let error = Worker::start(
            config,
            identity,
            Gateways::new(move || nowhere.clone()),
            CancellationToken::new(),
        )
        .await
        .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
