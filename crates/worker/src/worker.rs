//! The role as a whole: what starts, in which order it ends.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU32},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};
use whipcord_identity::{ClusterId, Incarnation, WorkerAddress, WorkerId, WorkerNumber, key::IceKeys};
use whipcord_peer::{Certificate, dtls};
use whipcord_proto::worker::worker_service_server::WorkerServiceServer;
use whipcord_udp::{Options, Socket};
use whipcord_whip::Preferences;

use crate::{
    Config, Service, StreamSeries, advertise,
    chronicle::Chronicle,
    control::{Control, Downloads, Grace},
    metrics, random,
    report::{Gateways, Reporter},
    sessions::Sessions,
    shard::{self, Command},
    sinks::record::{Recorder, Writers},
    stories::Stories,
    voice::Voice,
};

/// Below this, a burst of a few milliseconds from many encoders is lost before it is read.
const RECEIVE_BUFFER_WANTED: usize = 4 << 20;

/// For everything to end well after a shutdown; an orchestrator kills after 10 s or more.
const SHUTDOWN_MAX: Duration = Duration::from_secs(8);

/// Who this worker is.
#[derive(Debug)]
pub struct Identity {
    pub cluster_id: ClusterId,
    pub worker: WorkerId,
    pub ice_keys: IceKeys,
    /// Where gateways reach its WorkerService.
    pub address: WorkerAddress,
}

/// A running worker. It ends when the token given to [`Worker::start`] is cancelled.
#[derive(Debug)]
pub struct Worker {
    control: Arc<Control>,
    registered: watch::Receiver<bool>,
    stream_metrics: u32,
    ending: tokio::task::JoinHandle<()>,
}

/// Why a worker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen for media on UDP {address}: {error}; {}choose another with --media", advice(.error))]
    Bind { address: SocketAddr, error: io::Error },
    #[error(transparent)]
    Advertise(#[from] advertise::Error),
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] dtls::Error),
    #[error("cannot make the recordings folder {}: {error}; choose another with --recordings", folder.display())]
    Recordings { folder: PathBuf, error: io::Error },
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "free it, or ",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: ",
        _ => "",
    }
}

/// What ends one after the other.
struct Ending {
    control: Arc<Control>,
    shutdown: CancellationToken,
    shard: JoinHandle<()>,
    notices: tokio::task::JoinHandle<()>,
    writers: Option<Writers>,
    report: tokio::task::JoinHandle<()>,
    /// Cancelled when the sessions are gone, so that the directory is told.
    reported: CancellationToken,
}

impl Worker {
    /// Binds the media port and starts everything. No gateway need be there yet.
    ///
    /// # Errors
    /// What cannot be bound, advertised or made.
    pub async fn start(
        config: Config,
        identity: Identity,
        gateways: Gateways,
        shutdown: CancellationToken,
    ) -> Result<Self, StartError> {
        let (socket, receive_buffer) = bind(config.media)?;
        let addresses = advertise::known(&config.advertise, socket.local_address())?;
        let certificate = Certificate::generate()?;
        let voice = Voice::new();
        let recordings = config.recordings.map(|folder| start_recorder(folder, &voice));
        let (recorder, writers) = recordings.transpose()?.unzip();
        let (notices, noticed) = mpsc::channel(shard::NOTICES_MAX);
        let setup = shard::Setup {
            socket,
            certificate: certificate.clone(),
            sessions_max: config.sessions_max as usize,
            notices,
            voice: voice.clone(),
        };
        let (handle, thread) = shard::spawn(setup).map_err(StartError::Thread)?;
        let control = Arc::new(Control {
            worker: identity.worker,
            incarnation: Incarnation(u64::from_be_bytes(random::bytes())),
            number: AtomicU32::new(WorkerNumber::new(u32::from_be_bytes(random::bytes())).get()),
            ice_keys: identity.ice_keys,
            certificate,
            addresses,
            preferences: Preferences::in_order(&config.codecs, config.data_channel),
            sessions: Sessions::new(config.sessions_max as usize),
            stories: Stories::default(),
            shard: handle,
            recorder,
            downloads: Downloads::default(),
            voice: voice.clone(),
            grace: watch::Sender::new(Grace::Endless),
            tasks: TaskTracker::new(),
            shutdown: shutdown.clone(),
            created: metrics::created(),
        });
        let (registered_sender, registered) = watch::channel(false);
        metrics::observe(&control, registered.clone(), config.sessions_max, receive_buffer);
        let reporter = Reporter::new(
            Arc::clone(&control),
            gateways,
            identity.cluster_id,
            identity.address,
            config.sessions_max,
            registered_sender,
        );
        let reported = CancellationToken::new();
        control.tasks.spawn(voice.watch(reported.clone()));
        let ending = Ending {
            control: Arc::clone(&control),
            shutdown,
            shard: thread,
            notices: tokio::spawn(Chronicle::new(Arc::clone(&control)).run(noticed)),
            writers,
            report: tokio::spawn(reporter.run(reported.clone())),
            reported,
        };
        Ok(Self {
            control,
            registered,
            stream_metrics: config.stream_metrics,
            ending: tokio::spawn(ending.run()),
        })
    }

    /// The gRPC service by which gateways reach this worker.
    pub fn service(&self) -> WorkerServiceServer<Service> {
        WorkerServiceServer::new(Service::new(Arc::clone(&self.control)))
    }

    /// The series of single streams; `None` where nobody asked for them.
    pub fn stream_series(&self) -> Option<StreamSeries> {
        let is_wanted = self.stream_metrics > 0;
        is_wanted.then(|| StreamSeries::new(Arc::clone(&self.control), self.stream_metrics))
    }

    /// This start of the worker, as requests must name it.
    pub fn incarnation(&self) -> Incarnation {
        self.control.incarnation
    }

    /// The UDP addresses in answers; none before a controller has told them.
    pub fn media_addresses(&self) -> Vec<SocketAddr> {
        self.control.addresses.last().to_vec()
    }

    /// Waits until it knows where encoders reach it. Returns at once if it ends before that.
    pub async fn addressed(&self) {
        self.control.addresses.changes().addressed().await;
    }

    /// Waits until the directory has acknowledged this worker: from then on it is given sessions. Returns at once if it ends
    /// before that.
    pub async fn registered(&self) {
        // The sender is gone only when the worker ends.
        let _ = self.registered.clone().wait_for(|registered| *registered).await;
    }

    /// Waits until it takes no more sessions, whoever said so. Returns at once if it ends before that.
    pub async fn draining(&self) {
        let mut changes = self.control.sessions.changes();
        while !self.control.sessions.is_draining() && changes.changed().await.is_ok() {}
    }

    /// Takes no more sessions, serves those that live until they end or the deadline passes, and ends the rest. Returns when there
    /// are none.
    pub async fn drain(&self, deadline: Duration) {
        let mut changes = self.control.sessions.changes();
        self.control.drain(deadline);
        // The sender is gone only with the sessions.
        while !self.control.sessions.all().is_empty() && changes.changed().await.is_ok() {}
    }

    /// Waits for the end, after the shutdown token was cancelled: sessions ended well, recordings finished, threads gone. It takes
    /// a bounded time.
    pub async fn join(self) {
        if self.ending.await.is_err() {
            error!("the worker's shutdown failed by a defect; please report it");
        }
    }
}

impl Ending {
    async fn run(self) {
        let Self {
            control,
            shutdown,
            shard,
            notices,
            writers,
            report,
            reported,
        } = self;
        shutdown.cancelled().await;
        let deadline = Instant::now() + SHUTDOWN_MAX;
        control.sessions.drain();
        if within(deadline, control.shard.send_surely(Command::Stop))
            .await
            .is_none()
        {
            error!("the shard does not take commands; its sessions are not ended");
        }
        if within(deadline, tokio::task::spawn_blocking(move || shard.join()))
            .await
            .is_none()
        {
            error!("the shard does not end");
        }
        // Its channel closed with the shard.
        if within(deadline, notices).await.is_none() {
            warn!("not every session's end was logged");
        }
        if let Some(writers) = writers {
            let control = Arc::clone(&control);
            let finish = move || {
                control.recorder.iter().for_each(Recorder::finish);
                writers.join(deadline);
            };
            within(deadline, tokio::task::spawn_blocking(finish)).await;
        }
        reported.cancel();
        within(deadline, report).await;
        control.tasks.close();
        within(deadline, control.tasks.wait()).await;
    }
}

async fn within<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    tokio::time::timeout_at(deadline.into(), future).await.ok()
}

/// With the size of its receive buffer.
fn bind(address: SocketAddr) -> Result<(Socket, usize), StartError> {
    let bind = || {
        let socket = Socket::bind(address, Options::default())?;
        let granted = socket.receive_buffer()?;
        Ok((socket, granted))
    };
    let (socket, granted) = bind().map_err(|error| StartError::Bind { address, error })?;
    info!(address = %socket.local_address(), receive_buffer = granted, "listening for media on UDP");
    if granted < RECEIVE_BUFFER_WANTED {
        warn!(
            receive_buffer = granted,
            "the receive buffer is small; raise the sysctl net.core.rmem_max to 8388608"
        );
    }
    Ok((socket, granted))
}

fn start_recorder(folder: PathBuf, voice: &Voice) -> Result<(Recorder, Writers), StartError> {
    Recorder::start(folder.clone(), voice).map_err(|error| StartError::Recordings { folder, error })
}
