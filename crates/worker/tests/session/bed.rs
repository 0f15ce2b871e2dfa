//! A worker, the directory that it reports to, and what a gateway asks of it.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    path::PathBuf,
    time::{Duration, Instant},
};

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    Status,
    body::Body,
    codegen::{
        Service,
        http::{Request, Response},
    },
    transport::{Channel, Server},
};
use whipcord_proto::{
    directory::directory_service_server::DirectoryServiceServer,
    worker::{
        CreateSessionRequest, CreateSessionResponse, DeleteReason, DeleteSessionRequest, GetSessionRequest, Owner,
        PatchSessionRequest, Session, worker_service_client::WorkerServiceClient,
    },
};
use whipcord_whip::{Codec, DataPolicy, offer::Fingerprint};
use whipcord_worker::{Config, Gateways, Identity, Worker};

use crate::{
    directory::Directory,
    encoder::{Answer, Encoder},
};

pub(crate) struct Bed {
    pub(crate) worker: Worker,
    pub(crate) directory: Directory,
    pub(crate) client: WorkerServiceClient<Channel>,
    pub(crate) channel: Channel,
    pub(crate) shutdown: CancellationToken,
    pub(crate) recordings: tempfile::TempDir,
    pub(crate) owner: Owner,
}

impl Bed {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(configure: impl FnOnce(&mut Config)) -> Self {
        let directory = Directory::default();
        let to_directory = serve(DirectoryServiceServer::new(directory.clone())).await;
        let shutdown = CancellationToken::new();
        let (worker, recordings) = start(configure, to_directory, shutdown.clone()).await;
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
            client: WorkerServiceClient::new(to_worker.clone()),
            channel: to_worker,
            shutdown,
            recordings,
            owner,
        }
    }

    pub(crate) async fn create(&self, number: u8, offer: &str) -> Result<CreateSessionResponse, Status> {
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
    pub(crate) async fn publish(&self, number: u8) -> Encoder {
        let mut encoder = Encoder::new();
        let created = self.create(number, &encoder.offer()).await.unwrap();
        blocking(|| encoder.connect(&Answer::parse(&created.answer), &fingerprint(&created.answer)));
        encoder
    }

    pub(crate) async fn get(&self, number: u8) -> Result<Session, Status> {
        let request = GetSessionRequest {
            session_id: vec![number; 16],
            owner: Some(self.owner.clone()),
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

    pub(crate) async fn delete(&self, number: u8, owner: Owner) -> Result<(), Status> {
        let request = DeleteSessionRequest {
            session_id: vec![number; 16],
            owner: Some(owner),
            reason: DeleteReason::Client.into(),
        };
        self.client.clone().delete_session(request).await.map(|_| ())
    }

    pub(crate) async fn patch(
        &self,
        number: u8,
        fragment: &str,
        if_match: &[&str],
    ) -> Result<Option<(String, String)>, Status> {
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

    pub(crate) fn recording(&self, session: &Session) -> PathBuf {
        self.recordings.path().join(&session.recording)
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        within(self.worker.join()).await;
    }
}

/// A worker that reports there, with a folder for its recordings.
pub(crate) async fn start(
    configure: impl FnOnce(&mut Config),
    to_directory: Channel,
    shutdown: CancellationToken,
) -> (Worker, tempfile::TempDir) {
    let recordings = tempfile::tempdir().unwrap();
    let mut config = Config {
        media: "127.0.0.1:0".parse().unwrap(),
        advertise: Vec::new(),
        recordings: Some(recordings.path().to_owned()),
        codecs: vec![Codec::H264, Codec::Vp8, Codec::Opus],
        stream_metrics: 0,
        sessions_max: 10,
        data_channel: DataPolicy::Accept,
    };
    configure(&mut config);
    let identity = Identity {
        cluster_id: "test".parse().unwrap(),
        worker: "worker-0".parse().unwrap(),
        ice_keys: whipcord_identity::IceKeys::generate([7; 32]),
        address: "pipe:0".parse().unwrap(),
    };
    let gateways = Gateways::new(move || to_directory.clone());
    let worker = Worker::start(config, identity, gateways, shutdown).await.unwrap();
    (worker, recordings)
}

/// A gRPC server for one service, and the way to it.
pub(crate) async fn serve<S>(service: S) -> Channel
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

pub(crate) fn fingerprint(answer: &str) -> Fingerprint {
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

pub(crate) fn blocking<T>(act: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(act)
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("in time")
}

/// Asks again until it holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::task::yield_now().await;
    }
}
