//! `DirectoryService`: what workers report, on its way into the directory.

use std::{fmt, sync::Arc};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::{info, warn};
use whipcord_directory::{Health, Hello, HelloError, LEASE, Lease, Load, ReportError, Reported, Session};
use whipcord_identity::{Epoch, Incarnation, Owner, SessionId, WorkerAddress, WorkerNumber};
use whipcord_proto::{
    convert, digest,
    directory::{
        self as proto, Ack, Heartbeat, ReportRequest, ReportResponse, SessionEntry,
        directory_service_server::DirectoryService, report_request::Report, report_response,
    },
    features,
};

use crate::{
    Shared,
    addresses::Told,
    limits::{REPORT_RESPONSES_MAX, REPORT_SILENCE},
    workers::CallError,
};

/// The gRPC service; made by [`crate::Gateway::directory_service`].
#[derive(Clone)]
pub struct Reports(Arc<Shared>);

/// One worker's report stream, after its hello.
struct Reporter {
    shared: Arc<Shared>,
    lease: Lease,
    /// The owner of every session it names, but for the epoch.
    owner: Owner,
    address: WorkerAddress,
    /// It is to be told where encoders reach it.
    wants_addresses: bool,
}

impl Reports {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reports")
    }
}

#[tonic::async_trait]
impl DirectoryService for Reports {
    type ReportStream = ReceiverStream<Result<ReportResponse, Status>>;

    async fn report(&self, request: Request<Streaming<ReportRequest>>) -> Result<Response<Self::ReportStream>, Status> {
        let (responses, stream) = mpsc::channel(REPORT_RESPONSES_MAX);
        let shared = Arc::clone(&self.0);
        self.0.tasks.spawn(async move {
            let shutdown = shared.shutdown.clone();
            let ended = tokio::select! {
                ended = run(shared, request.into_inner(), &responses) => ended,
                () = shutdown.cancelled() => Err(Status::unavailable("the gateway is stopping")),
            };
            if let Err(status) = ended {
                // Nobody reads it when the worker itself is gone.
                let _ = responses.try_send(Err(status));
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

async fn run(
    shared: Arc<Shared>,
    mut requests: Streaming<ReportRequest>,
    responses: &mpsc::Sender<Result<ReportResponse, Status>>,
) -> Result<(), Status> {
    let Some(Report::Hello(hello)) = next(&mut requests, 1).await? else {
        return Err(Status::failed_precondition("the first report must be a hello"));
    };
    let told = hello.sessions_digest.clone();
    let taken = Reporter::hello(Arc::clone(&shared), hello).await;
    shared.metrics.reported("hello", taken.is_ok());
    let reporter = taken?;
    let sessions_known = reporter.holds(&told).await;
    let ended = reporter.follow(&mut requests, responses, sessions_known).await;
    reporter.shared.directory.suspect(&reporter.lease).await;
    reporter.probe(ended.is_ok());
    let worker = &reporter.owner.worker;
    match &ended {
        Ok(()) => info!(%worker, "a worker ended its report stream"),
        Err(status) => warn!(%worker, reason = status.message(), "a worker's report stream broke"),
    }
    ended
}

impl Reporter {
    async fn hello(shared: Arc<Shared>, message: proto::Hello) -> Result<Self, Status> {
        if message.cluster_id != shared.config.cluster_id.as_str() {
            return Err(Status::failed_precondition("this gateway serves another cluster"));
        }
        let wants_addresses = message.features.iter().any(|feature| feature == features::ADDRESSES);
        let hello = hello(message)?;
        let owner = Owner {
            worker: hello.worker.clone(),
            incarnation: hello.incarnation,
            epoch: Epoch(0),
        };
        let address = hello.address.clone();
        let lease = shared.directory.hello(hello).await.map_err(|error| match error {
            HelloError::NumberTaken => Status::already_exists(error.to_string()),
            HelloError::Full => Status::resource_exhausted(error.to_string()),
            HelloError::Unavailable(_) => Status::unavailable(error.to_string()),
        })?;
        info!(worker = %owner.worker, incarnation = %owner.incarnation, %address, "a worker reports");
        if let Some(other) = shared.namesake(&owner, &address) {
            warn!(worker = %owner.worker, %address, %other, "two workers have one name: give each its own --worker-id");
        }
        Ok(Self {
            shared,
            lease,
            owner,
            address,
            wants_addresses,
        })
    }

    /// Whether the directory has just the sessions that this digest names.
    async fn holds(&self, told: &[u8]) -> bool {
        if told.is_empty() {
            // A worker of a version that does not say.
            return false;
        }
        let Some(mut held) = self.shared.directory.held(&self.lease).await else {
            return false;
        };
        held.sort_unstable_by_key(|session| session.sid);
        let held = held
            .iter()
            .map(|session| (session.sid, session.owner.epoch, &session.stream));
        digest::sessions(held) == told
    }

    /// Whether a worker whose stream ended is there still: a dead one's sessions need not wait for the end of its lease.
    /// One that ended it itself has left.
    fn probe(&self, is_planned: bool) {
        let (shared, address, owner) = (Arc::clone(&self.shared), self.address.clone(), self.owner.clone());
        self.shared.tasks.spawn(async move {
            if let Err(CallError::Dead) = shared.workers.list(&address, &owner, String::new(), 1).await {
                if is_planned {
                    info!(worker = %owner.worker, incarnation = %owner.incarnation, "a worker has left");
                } else {
                    warn!(worker = %owner.worker, incarnation = %owner.incarnation, "a worker is dead");
                }
                shared.directory.bury(owner.incarnation).await;
            }
        });
    }

    /// Applies and acknowledges reports until the stream ends, or is silent for too long.
    async fn follow(
        &self,
        requests: &mut Streaming<ReportRequest>,
        responses: &mpsc::Sender<Result<ReportResponse, Status>>,
        sessions_known: bool,
    ) -> Result<(), Status> {
        let (mut sequence, mut told) = (1, None);
        let mut ack = Ack {
            sequence,
            sessions_known,
            replaced: Vec::new(),
        };
        loop {
            let mut answers = vec![report_response::Response::Ack(ack)];
            // A beat comes each second, and is acknowledged: nobody has to be woken for it.
            if let Some(addresses) = self.addresses().filter(|known| told.as_ref() != Some(known)) {
                told = Some(Arc::clone(&addresses));
                answers.push(report_response::Response::Addresses(proto::Addresses {
                    addresses: addresses.to_vec(),
                }));
            }
            for response in answers.into_iter().map(Some) {
                if responses.send(Ok(ReportResponse { response })).await.is_err() {
                    return Ok(());
                }
            }
            let acknowledged = sequence;
            sequence += 1;
            let Some(report) = next(requests, sequence).await? else {
                return Ok(());
            };
            let kind = kind(&report);
            let taken = self.apply_slowly(report, acknowledged, responses).await;
            self.shared.metrics.reported(kind, taken.is_ok());
            let replaced = taken?;
            ack = Ack {
                sequence,
                sessions_known: false,
                replaced,
            };
        }
    }

    /// What a controller told of this worker, for those that want it.
    fn addresses(&self) -> Option<Told> {
        let known = self.shared.addresses.of(&self.owner.worker, Instant::now());
        known.filter(|_| self.wants_addresses)
    }

    /// A snapshot waits for those of other workers where many come at once. Its worker would take silence for a gateway that is
    /// gone, so what is acknowledged already is acknowledged again meanwhile.
    async fn apply_slowly(
        &self,
        report: Report,
        acknowledged: u64,
        responses: &mpsc::Sender<Result<ReportResponse, Status>>,
    ) -> Result<Vec<Vec<u8>>, Status> {
        let mut applied = std::pin::pin!(self.apply(report));
        loop {
            if let Ok(applied) = timeout(LEASE / 3, &mut applied).await {
                return applied;
            }
            let response = Some(report_response::Response::Ack(Ack {
                sequence: acknowledged,
                ..Ack::default()
            }));
            // Where it is full there is enough to be read.
            let _ = responses.try_send(Ok(ReportResponse { response }));
        }
    }

    /// Gives the ids of the worker's own sessions that lost their stream.
    async fn apply(&self, report: Report) -> Result<Vec<Vec<u8>>, Status> {
        let directory = &self.shared.directory;
        let mut replaced = Vec::new();
        let applied = match report {
            Report::Hello(_) => return Err(Status::failed_precondition("hello comes once")),
            Report::Heartbeat(heartbeat) => {
                let load = Load {
                    sessions: heartbeat.sessions,
                    packets_per_second: heartbeat.packets_per_second,
                    cpu: u8::try_from(heartbeat.cpu_percent).unwrap_or(u8::MAX).min(100),
                };
                match heartbeat {
                    Heartbeat { draining: true, .. } => directory.beat_draining(&self.lease, load).await,
                    Heartbeat { unaddressed: true, .. } => directory.beat_unaddressed(&self.lease, load).await,
                    Heartbeat { .. } => directory.beat(&self.lease, load).await,
                }
            }
            Report::Delta(delta) => {
                let removed = delta.removed.iter().map(|sid| convert::session_id(sid));
                let removed: Vec<SessionId> = removed.collect::<Result<_, _>>()?;
                replaced = self.add(delta.added).await?;
                directory.remove(&self.lease, &removed).await
            }
            Report::Snapshot(snapshot) => {
                replaced = self.add(snapshot.sessions).await?;
                if snapshot.last {
                    directory.end_snapshot(&self.lease).await
                } else {
                    Ok(())
                }
            }
        };
        applied.map_err(status)?;
        Ok(replaced)
    }

    /// A session whose stream another holds is ended: it was taken over while its worker was away. This worker is told in its
    /// acknowledgement, so that it does not go on in between; that of any other is called.
    async fn add(&self, entries: Vec<SessionEntry>) -> Result<Vec<Vec<u8>>, Status> {
        let sessions = entries
            .into_iter()
            .map(|entry| self.session(&entry))
            .collect::<Result<Vec<_>, _>>()?;
        let mut own = Vec::new();
        for lost in self.shared.directory.add(&self.lease, sessions).await.map_err(status)? {
            if lost.owner.incarnation == self.owner.incarnation {
                own.push(lost.sid.as_bytes().to_vec());
            } else {
                self.shared.end_replaced(lost).await;
            }
        }
        Ok(own)
    }

    fn session(&self, entry: &SessionEntry) -> Result<Reported, convert::Error> {
        let session = Session {
            sid: convert::session_id(&entry.session_id)?,
            stream: convert::stream(&entry.stream)?,
            owner: Owner {
                epoch: Epoch(entry.epoch),
                ..self.owner.clone()
            },
        };
        let takeover = self.shared.config.takeover(&session.stream);
        Ok(Reported {
            session,
            takeover,
            heard: entry.heard,
        })
    }
}

impl Shared {
    /// Where another worker of the same name reports from. A former start of the same one would be suspect, or at its address.
    fn namesake(&self, owner: &Owner, address: &WorkerAddress) -> Option<WorkerAddress> {
        let workers = self.directory.workers().workers;
        let mut others = workers
            .iter()
            .filter(|other| other.health == Health::Alive)
            .map(|other| &other.hello);
        let other = others.find(|other| {
            other.worker == owner.worker && other.incarnation != owner.incarnation && other.address != *address
        });
        other.map(|other| other.address.clone())
    }
}

/// The next report, which must have this sequence number; `None` when the worker closed the stream.
async fn next(requests: &mut Streaming<ReportRequest>, sequence: u64) -> Result<Option<Report>, Status> {
    let message = timeout(REPORT_SILENCE, requests.message()).await;
    let silent = |_| Status::deadline_exceeded("no report for 2 s");
    match message.map_err(silent)?? {
        None => Ok(None),
        Some(ReportRequest { sequence: sent, .. }) if sent != sequence => Err(Status::invalid_argument(format!(
            "report {sent} came instead of {sequence}"
        ))),
        // A report of a later version: it counts, and is not understood.
        Some(ReportRequest { report: None, .. }) => Ok(Some(Report::Delta(proto::Delta::default()))),
        Some(ReportRequest { report, .. }) => Ok(report),
    }
}

/// Its word in metrics.
fn kind(report: &Report) -> &'static str {
    match report {
        Report::Hello(_) => "hello",
        Report::Snapshot(_) => "snapshot",
        Report::Delta(_) => "delta",
        Report::Heartbeat(_) => "beat",
    }
}

fn hello(message: proto::Hello) -> Result<Hello, convert::Error> {
    Ok(Hello {
        worker: message.worker_id.parse()?,
        incarnation: Incarnation(message.incarnation),
        number: WorkerNumber::try_from(message.worker_number)?,
        address: message.address.parse()?,
        sessions_max: message.capacity.map_or(0, |capacity| capacity.sessions_max),
    })
}

fn status(error: ReportError) -> Status {
    match error {
        ReportError::Expired => Status::failed_precondition(error.to_string()),
        ReportError::TooManySessions => Status::resource_exhausted(error.to_string()),
    }
}
