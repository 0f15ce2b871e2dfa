//! All workers of a run: an address each for gateways to call, a report stream each, and one service behind all the addresses.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use anyhow::ensure;
use tokio::{
    net::TcpListener,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use whipcord_proto::{
    directory::SessionEntry,
    worker::{
        CreateSessionRequest, CreateSessionResponse, DeleteSessionRequest, DeleteSessionResponse, DrainRequest,
        DrainResponse, ExplainSessionRequest, ExplainSessionResponse, GetSessionRequest, GetSessionResponse,
        ListSessionsRequest, ListSessionsResponse, Owner, PatchSessionRequest, PatchSessionResponse,
        ReadRecordingRequest, ReadRecordingResponse,
        worker_service_server::{WorkerService, WorkerServiceServer},
    },
};

use super::{
    ANSWER,
    redis::Redis,
    tls::{Tls, Traffic},
    worker::Worker,
};

/// A loaded machine gets this long for what takes seconds.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(100);
/// Connections accepted and not yet taken.
const ACCEPTED_MAX: usize = 16;

pub(crate) struct Fleet {
    workers: Vec<Arc<Worker>>,
    pub(crate) traffic: Arc<Traffic>,
    /// Ends them.
    _tasks: JoinSet<()>,
}

/// What has happened to it that should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mishaps {
    /// Report streams that broke.
    pub(crate) broken: u64,
    /// Sessions that were ended.
    pub(crate) ended: u64,
}

impl Fleet {
    /// So many, with sessions spread over them, none known to the gateway yet.
    pub(crate) async fn start(workers: usize, sessions: usize, gateway: SocketAddr, tls: &Tls) -> anyhow::Result<Self> {
        let mut tasks = JoinSet::new();
        let (accepted, incoming) = mpsc::channel(ACCEPTED_MAX);
        let traffic: Arc<Traffic> = Arc::default();
        let mut all = Vec::with_capacity(workers);
        for n in 0..workers {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let worker = Arc::new(Worker::new(n as u32, listener.local_addr()?));
            for k in (n..sessions).step_by(workers) {
                worker.add(entry(n, k));
            }
            let (tls, accepted) = (tls.clone(), accepted.clone());
            tasks.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (tls, accepted) = (tls.clone(), accepted.clone());
                    tokio::spawn(async move {
                        if let Ok(stream) = tls.accept(stream).await {
                            let _ = accepted.send(Ok::<_, std::io::Error>(stream)).await;
                        }
                    });
                }
            });
            all.push(worker);
        }
        let by_id = all
            .iter()
            .map(|worker| (worker.id.clone(), Arc::clone(worker)))
            .collect();
        let service = WorkerServiceServer::new(Service(Arc::new(by_id)));
        tasks.spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service);
            let _ = server.serve_with_incoming(ReceiverStream::new(incoming)).await;
        });
        for (n, worker) in all.iter().enumerate() {
            let (worker, tls, traffic) = (Arc::clone(worker), tls.clone(), Arc::clone(&traffic));
            // Beats of a cluster are spread over the second.
            let after = Duration::from_secs(1) * n as u32 / workers as u32;
            tasks.spawn(async move { worker.report(|| tls.dial(gateway, &traffic), after).await });
        }
        Ok(Self {
            workers: all,
            traffic,
            _tasks: tasks,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.workers.len()
    }

    pub(crate) fn sessions(&self) -> usize {
        self.workers.iter().map(|worker| worker.count()).sum()
    }

    pub(crate) fn mishaps(&self) -> Mishaps {
        let sum = |count: fn(&Worker) -> u64| self.workers.iter().map(|worker| count(worker)).sum();
        Mishaps {
            broken: sum(|worker| worker.broken.load(Ordering::Relaxed)),
            ended: sum(|worker| worker.ended.load(Ordering::Relaxed)),
        }
    }

    /// Waits until the directory has acknowledged all sessions, without asking Redis.
    pub(crate) async fn known(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !self.workers.iter().all(|worker| worker.is_known()) {
            ensure!(
                begun.elapsed() < PATIENCE,
                "after {PATIENCE:?} some reports are not acknowledged"
            );
            sleep(LOOK / 10).await;
        }
        Ok(())
    }

    /// Waits until Redis has every session under its worker, and every worker has been told that it is known. How long that took.
    pub(crate) async fn whole(&self, redis: &mut Redis) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let key = |worker: &Arc<Worker>| format!("whipcord:1:{{whipcord}}:sessions:{:016x}", worker.incarnation);
        let keys: Vec<String> = self.workers.iter().map(key).collect();
        loop {
            let sizes = redis.sizes(&keys).await?;
            let known = self
                .workers
                .iter()
                .zip(&sizes)
                .filter(|(worker, size)| worker.count() as u64 == **size);
            let known = known.filter(|(worker, _)| worker.is_known()).count();
            if known == self.workers.len() {
                return Ok(begun.elapsed());
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "after {PATIENCE:?} Redis knows {} of {} sessions, and all those of {known} workers",
                sizes.iter().sum::<u64>(),
                self.sessions(),
            );
            sleep(LOOK).await;
        }
    }
}

/// The nth worker's session of this number.
fn entry(n: usize, k: usize) -> SessionEntry {
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let mut session_id = vec![0x5e; 16];
    session_id[..8].copy_from_slice(&(k as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    SessionEntry {
        session_id,
        stream: format!("live/studio-{n}/camera-{k}"),
        epoch: clock.map_or(1, |clock| clock.as_secs() as u32),
        heard: true,
    }
}

/// Every worker's, by the owner that a request names.
struct Service(Arc<HashMap<String, Arc<Worker>>>);

impl Service {
    fn worker(&self, owner: Option<&Owner>) -> Result<&Worker, Status> {
        let owner = owner.ok_or_else(|| Status::invalid_argument("no owner"))?;
        let worker = self.0.get(&owner.worker_id);
        let worker = worker.filter(|worker| worker.incarnation == owner.incarnation);
        Ok(worker.ok_or_else(|| Status::failed_precondition("another incarnation"))?)
    }
}

#[tonic::async_trait]
impl WorkerService for Service {
    type ReadRecordingStream = tokio_stream::Empty<Result<ReadRecordingResponse, Status>>;

    async fn create_session(
        &self,
        request: Request<CreateSessionRequest>,
    ) -> Result<Response<CreateSessionResponse>, Status> {
        let request = request.into_inner();
        let worker = self.worker(request.owner.as_ref())?;
        worker.add(SessionEntry {
            session_id: request.session_id,
            stream: request.stream,
            epoch: request.owner.map_or(0, |owner| owner.epoch),
            // Its encoder has no answer yet.
            heard: false,
        });
        Ok(Response::new(CreateSessionResponse {
            answer: ANSWER.to_owned(),
            ice_session: "bench".to_owned(),
        }))
    }

    async fn delete_session(
        &self,
        request: Request<DeleteSessionRequest>,
    ) -> Result<Response<DeleteSessionResponse>, Status> {
        let request = request.into_inner();
        self.worker(request.owner.as_ref())?.end(request.session_id);
        Ok(Response::new(DeleteSessionResponse {}))
    }

    /// What a gateway asks to see whether a worker is there.
    async fn list_sessions(&self, _: Request<ListSessionsRequest>) -> Result<Response<ListSessionsResponse>, Status> {
        Ok(Response::new(ListSessionsResponse::default()))
    }

    async fn patch_session(&self, _: Request<PatchSessionRequest>) -> Result<Response<PatchSessionResponse>, Status> {
        Err(Status::unimplemented("nobody asks in this benchmark"))
    }

    async fn get_session(&self, _: Request<GetSessionRequest>) -> Result<Response<GetSessionResponse>, Status> {
        Err(Status::unimplemented("nobody asks in this benchmark"))
    }

    async fn explain_session(
        &self,
        _: Request<ExplainSessionRequest>,
    ) -> Result<Response<ExplainSessionResponse>, Status> {
        Err(Status::unimplemented("nobody asks in this benchmark"))
    }

    async fn read_recording(
        &self,
        _: Request<ReadRecordingRequest>,
    ) -> Result<Response<Self::ReadRecordingStream>, Status> {
        Err(Status::unimplemented("nobody asks in this benchmark"))
    }

    async fn drain(&self, _: Request<DrainRequest>) -> Result<Response<DrainResponse>, Status> {
        Err(Status::unimplemented("nobody asks in this benchmark"))
    }
}
