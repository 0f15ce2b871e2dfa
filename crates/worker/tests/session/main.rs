//! A whole worker from outside: gRPC on one side, a real encoder's packets on the other, a directory and a file behind.

#![allow(clippy::unwrap_used, reason = "tests")]

mod directory;
mod download;
mod encoder;
mod restart;
mod simulcast;

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Status,
    body::Body,
    codegen::{
        Service,
        http::{Request, Response},
    },
    transport::{Channel, Server},
};
use whipcord_proto::{
    convert,
    directory::directory_service_server::DirectoryServiceServer,
    worker::{
        ConnectionState, CreateSessionRequest, CreateSessionResponse, DeleteReason, DeleteSessionRequest, DrainRequest,
        GetSessionRequest, ListSessionsRequest, Owner, PatchSessionRequest, Session,
        worker_service_client::WorkerServiceClient,
    },
};
use whipcord_whip::{Codec, DataPolicy, offer::Fingerprint};
use whipcord_worker::{Config, Gateways, Identity, Worker};

use directory::Directory;
use encoder::{Answer, Encoder};

struct Bed {
    worker: Worker,
    directory: Directory,
    client: WorkerServiceClient<Channel>,
    shutdown: CancellationToken,
    recordings: tempfile::TempDir,
    owner: Owner,
}

impl Bed {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(configure: impl FnOnce(&mut Config)) -> Self {
        let shutdown = CancellationToken::new();
        let recordings = tempfile::tempdir().unwrap();
        let directory = Directory::default();
        let to_directory = serve(DirectoryServiceServer::new(directory.clone())).await;
        let mut config = Config {
            media: "127.0.0.1:0".parse().unwrap(),
            advertise: Vec::new(),
            recordings: Some(recordings.path().to_owned()),
            codecs: vec![Codec::H264, Codec::Vp8, Codec::Opus],
            sessions_max: 10,
            data_channel: DataPolicy::Accept,
        };
        configure(&mut config);
        let identity = Identity {
            cluster_id: "test".into(),
            worker: "worker-0".parse().unwrap(),
            ice_keys: whipcord_identity::IceKeys::generate([7; 32]),
            address: "pipe".parse().unwrap(),
        };
        let worker = Worker::start(
            config,
            identity,
            Gateways::new(move || to_directory.clone()),
            shutdown.clone(),
        )
        .await
        .unwrap();
        let to_worker = serve(worker.service()).await;
        within(worker.registered()).await;
        let hello = directory.read(|state| state.hellos.last().unwrap().clone());
        let owner = Owner {
            worker_id: hello.worker_id,
            incarnation: hello.incarnation,
            epoch: 1,
        };
        Self {
            worker,
            directory,
            client: WorkerServiceClient::new(to_worker),
            shutdown,
            recordings,
            owner,
        }
    }

    async fn create(&self, number: u8, offer: &str) -> Result<CreateSessionResponse, Status> {
        let request = CreateSessionRequest {
            session_id: vec![number; 16],
            stream: "live/cam".into(),
            offer: offer.as_bytes().to_vec(),
            owner: Some(self.owner.clone()),
            metadata: HashMap::from([("prompts".into(), "a cat".into())]),
        };
        Ok(self.client.clone().create_session(request).await?.into_inner())
    }

    /// An encoder that is connected.
    async fn publish(&self, number: u8) -> Encoder {
        let mut encoder = Encoder::new();
        let created = self.create(number, &encoder.offer()).await.unwrap();
        blocking(|| encoder.connect(&Answer::parse(&created.answer), &fingerprint(&created.answer)));
        encoder
    }

    async fn get(&self, number: u8) -> Result<Session, Status> {
        let request = GetSessionRequest {
            session_id: vec![number; 16],
        };
        Ok(self
            .client
            .clone()
            .get_session(request)
            .await?
            .into_inner()
            .session
            .unwrap())
    }

    async fn delete(&self, number: u8, owner: Owner) -> Result<(), Status> {
        let request = DeleteSessionRequest {
            session_id: vec![number; 16],
            owner: Some(owner),
            reason: DeleteReason::Client.into(),
        };
        self.client.clone().delete_session(request).await.map(|_| ())
    }

    async fn patch(&self, number: u8, fragment: &str, if_match: &[&str]) -> Result<Option<(String, String)>, Status> {
        let request = PatchSessionRequest {
            session_id: vec![number; 16],
            owner: Some(self.owner.clone()),
            fragment: fragment.as_bytes().to_vec(),
            if_match: if_match.iter().map(ToString::to_string).collect(),
            match_any: if_match.is_empty(),
        };
        let restart = self.client.clone().patch_session(request).await?.into_inner().restart;
        Ok(restart.map(|restart| (restart.fragment, restart.ice_session)))
    }

    fn recording(&self, session: &Session) -> PathBuf {
        self.recordings.path().join(&session.recording)
    }

    async fn stop(self) {
        self.shutdown.cancel();
        within(self.worker.join()).await;
    }
}

/// A gRPC server for one service, and the way to it.
async fn serve<S>(service: S) -> Channel
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(Server::builder().serve_with_incoming(service, TcpListenerStream::new(listener)));
    Channel::from_shared(format!("http://{address}"))
        .unwrap()
        .connect()
        .await
        .unwrap()
}

fn fingerprint(answer: &str) -> Fingerprint {
    // An answer's fingerprint line is written as an offer's.
    let line = answer
        .lines()
        .find_map(|line| line.strip_prefix("a=fingerprint:"))
        .unwrap();
    let (_, digest) = line.trim().split_once(' ').unwrap();
    let digest = digest
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    Fingerprint {
        algorithm: whipcord_whip::offer::HashAlgorithm::Sha256,
        digest,
    }
}

fn blocking<T>(act: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(act)
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("in time")
}

/// Asks again until it holds.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::task::yield_now().await;
    }
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
    assert_eq!(bed.delete(1, stale).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(
        bed.delete(9, bed.owner.clone()).await.unwrap_err().code(),
        Code::NotFound
    );
    assert_eq!(bed.get(9).await.unwrap_err().code(), Code::NotFound);
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
    };
    assert_eq!(
        bed.client.clone().list_sessions(wrong).await.unwrap_err().code(),
        Code::InvalidArgument
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

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_admits_none_and_ends_what_is_left_at_its_deadline() {
    let bed = Bed::with(|config| config.sessions_max = 1000).await;
    let mut encoder = bed.publish(1).await;
    bed.directory.drain(3600);
    // Those that come before the command arrives are admitted, each with an id of its own.
    let mut number = 1;
    eventually("none is admitted", async || {
        number += 1;
        let refused = bed.create(number, &encoder.offer()).await;
        refused.is_err_and(|status| status.code() == Code::Unavailable)
    })
    .await;
    blocking(|| encoder.send(Duration::from_secs(1)));
    eventually("media goes on", async || {
        bed.get(1).await.unwrap().packets_received == 75
    })
    .await;
    let drained = bed
        .client
        .clone()
        .drain(DrainRequest { deadline_seconds: 0 })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(drained.sessions, u32::from(number) - 1);
    eventually("it is ended", async || {
        bed.get(1).await.unwrap().end_reason == "drained"
    })
    .await;
    bed.stop().await;
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
            cluster_id: "test".into(),
            worker: "worker-0".parse().unwrap(),
            ice_keys: whipcord_identity::IceKeys::generate([7; 32]),
            address: "pipe".parse().unwrap(),
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
