//! What this worker tells the directory: one stream to any gateway, opened again whenever it breaks.
//!
//! Hello, a snapshot of all sessions, then what changes, and a heartbeat each second. The sessions themselves are the truth:
//! what was said is compared with them, so that nothing has to be remembered between two streams.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming, transport::Channel};
use tracing::{info, warn};
use whipcord_identity::{Epoch, SessionId, StreamName, WorkerAddress, WorkerNumber};
use whipcord_peer::EndReason;
use whipcord_proto::{
    convert,
    directory::{
        Capacity, Delta, Heartbeat, Hello, ReportRequest, ReportResponse, SessionEntry, Snapshot,
        directory_service_client::DirectoryServiceClient, report_request::Report, report_response::Response,
    },
};

use crate::{
    control::Control,
    load::{Load, Measured},
    random,
    sessions::Reported,
    shard::Command,
    voice::{LEASE, Stops},
};

const HEARTBEAT: Duration = Duration::from_secs(1);

/// A stream that is not acknowledged for so long is of no use.
const SILENCE_MAX: Duration = LEASE;

/// Between two attempts: the first soon, since a gateway that restarts is back in a second; never so often that 1000 workers
/// are a load. Each is multiplied by a random 0.5 to 1.5.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// For one attempt to reach a gateway.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Sessions in one message: 16 + 255 + some bytes each, so under the contract's 1 MiB.
const ENTRIES_MAX: usize = 3000;

/// Messages on their way to the gateway.
const OUTGOING_MAX: usize = 8;

/// The way to the gateways: makes a channel to any of them, another one each time if there are several.
#[derive(Clone)]
pub struct Gateways(Arc<dyn Fn() -> Channel + Send + Sync>);

/// Tells the directory of this worker until `shutdown`, and then that its sessions are gone.
#[derive(Debug)]
pub(crate) struct Reporter {
    control: Arc<Control>,
    gateways: Gateways,
    cluster_id: String,
    address: WorkerAddress,
    sessions_max: u32,
    registered: tokio::sync::watch::Sender<bool>,
    load: Load,
}

/// One stream.
struct Conversation {
    outgoing: mpsc::Sender<ReportRequest>,
    incoming: Streaming<ReportResponse>,
    sequence: u64,
    /// What the gateway has been told.
    told: BTreeMap<SessionId, Epoch>,
    told_draining: bool,
    acknowledged: Instant,
    /// Before the sessions were listed: after another stop, a new stream must tell of them.
    stops: Stops,
}

impl Gateways {
    /// `dial` returns at once: the channel connects when it is used.
    pub fn new(dial: impl Fn() -> Channel + Send + Sync + 'static) -> Self {
        Self(Arc::new(dial))
    }
}

impl fmt::Debug for Gateways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gateways")
    }
}

impl Reporter {
    pub(crate) fn new(
        control: Arc<Control>,
        gateways: Gateways,
        cluster_id: String,
        address: WorkerAddress,
        sessions_max: u32,
        registered: tokio::sync::watch::Sender<bool>,
    ) -> Self {
        Self {
            control,
            gateways,
            cluster_id,
            address,
            sessions_max,
            registered,
            load: Load::new(),
        }
    }

    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut wait = RETRY_FIRST;
        let mut said = false;
        while !shutdown.is_cancelled() {
            let Err(status) = self.converse(&shutdown).await else {
                return;
            };
            if self.registered.send_replace(false) {
                (wait, said) = (RETRY_FIRST, false);
            }
            if status.code() == Code::AlreadyExists {
                self.redraw();
            } else if !said {
                warn!(code = ?status.code(), reason = cause(&status), "no report to the directory; trying again");
                said = true;
            }
            if shutdown
                .run_until_cancelled(tokio::time::sleep(jittered(wait)))
                .await
                .is_none()
            {
                return;
            }
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// Another incarnation has our number. Sessions keep the ufrags they have.
    fn redraw(&self) {
        let number = WorkerNumber::new(u32::from_be_bytes(random::bytes()));
        self.control.number.store(number.get(), Ordering::Relaxed);
        info!("the worker number was another's; drew again");
    }

    /// One stream, until it breaks. Ok after the shutdown was reported.
    async fn converse(&mut self, shutdown: &CancellationToken) -> Result<(), Status> {
        let mut changes = self.control.sessions.changes();
        let mut conversation = self.open().await?;
        conversation.snapshot(self.control.sessions.reported()).await?;
        // Acknowledged so far, the directory knows all there is.
        let complete = conversation.sequence;
        let mut beat = tokio::time::interval(HEARTBEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                response = conversation.incoming.message() => match response?.and_then(|response| response.response) {
                    Some(Response::Ack(ack)) => {
                        conversation.acknowledged = Instant::now();
                        self.end_replaced(&ack.replaced, &conversation.told).await;
                        if ack.sequence >= complete && !self.registered.send_replace(true) {
                            info!("the directory knows this worker");
                            // After the sessions that were to be closed, by the same queue.
                            let speak = Command::Speak(conversation.stops);
                            let sent = self.control.shard.send_surely(speak).await;
                            sent.map_err(|_| Status::cancelled("the shard is gone"))?;
                        }
                    }
                    Some(Response::Drain(drain)) => {
                        self.control.drain(Duration::from_secs(drain.deadline_seconds.into()));
                    }
                    // A newer gateway's message, or the end of the stream, which the next read tells.
                    None if conversation.outgoing.is_closed() => return Err(Status::unavailable("the stream ended")),
                    None => {}
                },
                changed = changes.changed() => {
                    changed.map_err(|_| Status::cancelled("the worker is gone"))?;
                    conversation.delta(&self.control.sessions.reported()).await?;
                    if self.control.sessions.is_draining() != conversation.told_draining {
                        // At once, so that nothing more is placed here.
                        beat.reset_immediately();
                    }
                }
                _ = beat.tick() => {
                    if self.control.voice.stops() != conversation.stops {
                        return Err(Status::aborted("this process stood still for longer than its lease"));
                    }
                    if conversation.acknowledged.elapsed() > SILENCE_MAX {
                        return Err(Status::deadline_exceeded("the gateway does not acknowledge"));
                    }
                    conversation.beat(&self.control, self.load.measure(&self.control)).await?;
                }
                () = shutdown.cancelled() => {
                    conversation.delta(&self.control.sessions.reported()).await?;
                    return Ok(());
                }
            }
        }
    }

    /// They lost their stream to a later publisher's while this worker could not be asked.
    async fn end_replaced(&self, replaced: &[Vec<u8>], told: &BTreeMap<SessionId, Epoch>) {
        let sids = replaced.iter().filter_map(|sid| convert::session_id(sid).ok());
        for (sid, epoch) in sids.filter_map(|sid| Some((sid, *told.get(&sid)?))) {
            // One that has ended meanwhile is what was wanted.
            let _ = self.control.close(sid, epoch, EndReason::Replaced).await;
        }
    }

    async fn open(&mut self) -> Result<Conversation, Status> {
        let stops = self.control.voice.stops();
        let (outgoing, receiver) = mpsc::channel(OUTGOING_MAX);
        let hello = Hello {
            cluster_id: self.cluster_id.clone(),
            worker_id: self.control.worker.to_string(),
            incarnation: self.control.incarnation.0,
            worker_number: self.control.number.load(Ordering::Relaxed),
            features: Vec::new(),
            capacity: Some(Capacity {
                sessions_max: self.sessions_max,
            }),
            address: self.address.to_string(),
        };
        // Before the call: a gateway may answer only when it has heard who calls.
        let first = ReportRequest {
            sequence: 1,
            report: Some(Report::Hello(hello)),
        };
        outgoing
            .send(first)
            .await
            .map_err(|_| Status::internal("our own channel closed"))?;
        // A connection of its own: one whose other end is gone without a word takes its successor nowhere.
        let mut client = DirectoryServiceClient::new((self.gateways.0)());
        let call = client.report(ReceiverStream::new(receiver));
        let response = tokio::time::timeout(CONNECT_MAX, call).await;
        let incoming = response
            .map_err(|_| Status::deadline_exceeded("no gateway answers"))??
            .into_inner();
        Ok(Conversation {
            outgoing,
            incoming,
            sequence: 1,
            told: BTreeMap::new(),
            told_draining: false,
            acknowledged: Instant::now(),
            stops,
        })
    }
}

impl Conversation {
    async fn snapshot(&mut self, sessions: Reported) -> Result<(), Status> {
        let entries: Vec<SessionEntry> = sessions
            .iter()
            .map(|(sid, (stream, epoch))| entry(sid, stream, *epoch))
            .collect();
        self.told = sessions.into_iter().map(|(sid, (_, epoch))| (sid, epoch)).collect();
        let chunks: Vec<&[SessionEntry]> = entries.chunks(ENTRIES_MAX).collect();
        for chunk in chunks.iter().take(chunks.len().saturating_sub(1)) {
            self.send(Report::Snapshot(Snapshot {
                sessions: chunk.to_vec(),
                last: false,
            }))
            .await?;
        }
        let last = chunks.last().map_or_else(Vec::new, |chunk| chunk.to_vec());
        self.send(Report::Snapshot(Snapshot {
            sessions: last,
            last: true,
        }))
        .await
    }

    /// What differs from what was told.
    async fn delta(&mut self, sessions: &Reported) -> Result<(), Status> {
        let removed: Vec<SessionId> = self
            .told
            .keys()
            .filter(|sid| !sessions.contains_key(sid))
            .copied()
            .collect();
        let added = sessions
            .iter()
            .filter(|(sid, (_, epoch))| self.told.get(sid) != Some(epoch));
        let added: Vec<SessionEntry> = added.map(|(sid, (stream, epoch))| entry(sid, stream, *epoch)).collect();
        for chunk in removed.chunks(ENTRIES_MAX) {
            let removed = chunk.iter().map(|sid| sid.as_bytes().to_vec()).collect();
            self.send(Report::Delta(Delta {
                added: Vec::new(),
                removed,
            }))
            .await?;
        }
        for chunk in added.chunks(ENTRIES_MAX) {
            self.send(Report::Delta(Delta {
                added: chunk.to_vec(),
                removed: Vec::new(),
            }))
            .await?;
        }
        self.told = sessions.iter().map(|(sid, (_, epoch))| (*sid, *epoch)).collect();
        Ok(())
    }

    async fn beat(&mut self, control: &Control, load: Measured) -> Result<(), Status> {
        self.told_draining = control.sessions.is_draining();
        let heartbeat = Heartbeat {
            sessions: self.told.len() as u32,
            packets_per_second: load.packets_per_second,
            cpu_percent: load.cpu_percent,
            draining: self.told_draining,
        };
        self.send(Report::Heartbeat(heartbeat)).await
    }

    async fn send(&mut self, report: Report) -> Result<(), Status> {
        self.sequence += 1;
        let request = ReportRequest {
            sequence: self.sequence,
            report: Some(report),
        };
        let sent = tokio::time::timeout(SILENCE_MAX, self.outgoing.send(request)).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            // Why it closed is said by the responses.
            Ok(Err(_)) => match self.incoming.message().await {
                Err(status) => Err(status),
                Ok(_) => Err(Status::unavailable("the stream ended")),
            },
            Err(_) => Err(Status::deadline_exceeded("the gateway does not read")),
        }
    }
}

fn entry(sid: &SessionId, stream: &StreamName, epoch: Epoch) -> SessionEntry {
    SessionEntry {
        session_id: sid.as_bytes().to_vec(),
        stream: stream.to_string(),
        epoch: epoch.0,
    }
}

/// What lies at the bottom of it, "Connection refused": the message of a broken connection says "transport error".
fn cause(status: &Status) -> String {
    let mut source = std::error::Error::source(status);
    let mut cause = status.message().to_owned();
    while let Some(error) = source {
        cause = error.to_string();
        source = error.source();
    }
    cause
}

fn jittered(wait: Duration) -> Duration {
    let [random] = random::bytes::<1>();
    wait / 2 + wait * u32::from(random) / 255
}
