//! A worker without media: it has sessions because it says so, answers every offer the same, and reports as a real one does.
//!
//! The real reporter (`crates/worker/src/report.rs`) is bound to a shard and its socket; this one keeps to the same order, the same
//! pauses, and the same messages.

use std::{
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Channel};
use whipcord_identity::{Epoch, SessionId, StreamName};
use whipcord_proto::{
    digest,
    directory::{
        Capacity, Delta, Heartbeat, Hello, ReportRequest, ReportResponse, SessionEntry, Snapshot,
        directory_service_client::DirectoryServiceClient, report_request::Report, report_response::Response,
    },
};

const HEARTBEAT: Duration = Duration::from_secs(1);
const SILENCE_MAX: Duration = Duration::from_secs(3);
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);
const CONNECT_MAX: Duration = Duration::from_secs(5);
const ENTRIES_MAX: usize = 3000;
const OUTGOING_MAX: usize = 8;
/// Room for all sessions on the smallest cluster.
const SESSIONS_MAX: u32 = 100_000;

/// No report has this number.
const UNTOLD: u64 = u64::MAX;

/// One worker.
pub(crate) struct Worker {
    pub(crate) id: String,
    pub(crate) incarnation: u64,
    number: u32,
    /// Where gateways call it.
    pub(crate) address: SocketAddr,
    sessions: Mutex<Sessions>,
    changed: Notify,
    /// The report after which the directory knows all, and the last one acknowledged.
    complete: AtomicU64,
    acknowledged: AtomicU64,
    /// Report streams that broke.
    pub(crate) broken: AtomicU64,
    /// Sessions that a gateway ended.
    pub(crate) ended: AtomicU64,
}

#[derive(Default)]
struct Sessions {
    live: Vec<SessionEntry>,
    /// Not yet told to the gateway that it reports to.
    added: Vec<SessionEntry>,
    removed: Vec<Vec<u8>>,
}

/// One report stream.
struct Conversation<'w> {
    worker: &'w Worker,
    outgoing: mpsc::Sender<ReportRequest>,
    incoming: Streaming<ReportResponse>,
    sequence: u64,
    acknowledged: Instant,
}

impl Worker {
    pub(crate) fn new(n: u32, address: SocketAddr) -> Self {
        Self {
            id: format!("worker-{n}"),
            // Spread over all there are, as random ones are.
            incarnation: u64::from(n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            number: n,
            address,
            sessions: Mutex::default(),
            changed: Notify::new(),
            complete: AtomicU64::new(UNTOLD),
            acknowledged: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }

    /// The directory has acknowledged all that it has.
    pub(crate) fn is_known(&self) -> bool {
        self.acknowledged.load(Ordering::Relaxed) >= self.complete.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().live.len()
    }

    /// It has this session now, and tells so.
    pub(crate) fn add(&self, entry: SessionEntry) {
        let mut sessions = self.lock();
        self.complete.store(UNTOLD, Ordering::Relaxed);
        sessions.added.push(entry.clone());
        sessions.live.push(entry);
        drop(sessions);
        self.changed.notify_one();
    }

    /// A gateway ends a session.
    pub(crate) fn end(&self, session_id: Vec<u8>) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        let mut sessions = self.lock();
        sessions.live.retain(|entry| entry.session_id != session_id);
        self.complete.store(UNTOLD, Ordering::Relaxed);
        sessions.removed.push(session_id);
        drop(sessions);
        self.changed.notify_one();
    }

    /// Until it is dropped. Begins its first beat so much later than others.
    pub(crate) async fn report(&self, dial: impl Fn() -> Channel, after: Duration) {
        sleep(after).await;
        let mut wait = RETRY_FIRST;
        loop {
            let Err(_) = self.converse(dial()).await;
            self.broken.fetch_add(1, Ordering::Relaxed);
            if self.acknowledged.swap(0, Ordering::Relaxed) > 1 {
                wait = RETRY_FIRST;
            }
            sleep(self.jittered(wait)).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    async fn converse(&self, channel: Channel) -> Result<std::convert::Infallible, Status> {
        let (mut conversation, is_known) = self.open(channel).await?;
        if is_known {
            conversation.told();
        } else {
            conversation.snapshot().await?;
        }
        let mut beat = interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                response = conversation.incoming.message() => match response?.and_then(|response| response.response) {
                    Some(Response::Ack(ack)) => {
                        conversation.acknowledged = Instant::now();
                        self.acknowledged.store(ack.sequence, Ordering::Relaxed);
                    }
                    // It does not list the feature.
                    Some(Response::Addresses(_)) => {}
                    None => return Err(Status::unavailable("the stream ended")),
                },
                () = self.changed.notified() => conversation.delta().await?,
                _ = beat.tick() => {
                    if conversation.acknowledged.elapsed() > SILENCE_MAX {
                        return Err(Status::deadline_exceeded("the gateway does not acknowledge"));
                    }
                    conversation.beat().await?;
                }
            }
        }
    }

    /// With whether the directory has all that there is.
    async fn open(&self, channel: Channel) -> Result<(Conversation<'_>, bool), Status> {
        let (outgoing, receiver) = mpsc::channel(OUTGOING_MAX);
        let hello = Hello {
            cluster_id: "whipcord".to_owned(),
            worker_id: self.id.clone(),
            incarnation: self.incarnation,
            worker_number: self.number,
            features: Vec::new(),
            capacity: Some(Capacity {
                sessions_max: SESSIONS_MAX,
            }),
            address: self.address.to_string(),
            sessions_digest: self.digest(),
        };
        let first = ReportRequest {
            sequence: 1,
            report: Some(Report::Hello(hello)),
        };
        let sent = outgoing.send(first).await;
        sent.map_err(|_| Status::internal("our own channel closed"))?;
        let mut client = DirectoryServiceClient::new(channel);
        let response = timeout(CONNECT_MAX, client.report(ReceiverStream::new(receiver))).await;
        let response = response.map_err(|_| Status::deadline_exceeded("no gateway answers"))??;
        let mut incoming = response.into_inner();
        let acknowledged = timeout(CONNECT_MAX, incoming.message()).await;
        let acknowledged = acknowledged.map_err(|_| Status::deadline_exceeded("no gateway answers"))??;
        let Some(Response::Ack(ack)) = acknowledged.and_then(|response| response.response) else {
            return Err(Status::unavailable("the stream ended"));
        };
        let conversation = Conversation {
            worker: self,
            outgoing,
            incoming,
            sequence: 1,
            acknowledged: Instant::now(),
        };
        Ok((conversation, ack.sessions_known))
    }

    fn digest(&self) -> Vec<u8> {
        let sessions = self.lock();
        let named = sessions.live.iter().filter_map(|entry| {
            let sid = SessionId::try_from(entry.session_id.as_slice()).ok()?;
            Some((sid, Epoch(entry.epoch), entry.stream.parse::<StreamName>().ok()?))
        });
        let mut named: Vec<_> = named.collect();
        named.sort_unstable_by_key(|(sid, ..)| *sid);
        digest::sessions(named.iter().map(|(sid, epoch, stream)| (*sid, *epoch, stream)))
    }

    /// By half up and down, as a real one; of the worker's own number, so that a run is as the one before.
    fn jittered(&self, wait: Duration) -> Duration {
        wait / 2 + wait * (self.number % 256) / 255
    }

    /// No panic leaves it half changed.
    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Conversation<'_> {
    async fn snapshot(&mut self) -> Result<(), Status> {
        let all = {
            let mut sessions = self.worker.lock();
            self.worker.complete.store(UNTOLD, Ordering::Relaxed);
            sessions.added.clear();
            sessions.removed.clear();
            sessions.live.clone()
        };
        let mut chunks = all.chunks(ENTRIES_MAX).peekable();
        loop {
            let sessions = chunks.next().unwrap_or_default().to_vec();
            let last = chunks.peek().is_none();
            self.send(Report::Snapshot(Snapshot { sessions, last })).await?;
            if last {
                self.told();
                return Ok(());
            }
        }
    }

    /// Up to this report the directory is told of all, unless more has come meanwhile.
    fn told(&self) {
        let sessions = self.worker.lock();
        if sessions.added.is_empty() && sessions.removed.is_empty() {
            self.worker.complete.store(self.sequence, Ordering::Relaxed);
        }
    }

    async fn delta(&mut self) -> Result<(), Status> {
        let (added, removed) = {
            let mut sessions = self.worker.lock();
            (
                std::mem::take(&mut sessions.added),
                std::mem::take(&mut sessions.removed),
            )
        };
        let removed = removed.chunks(ENTRIES_MAX).map(|removed| Delta {
            removed: removed.to_vec(),
            added: Vec::new(),
        });
        let added = added.chunks(ENTRIES_MAX).map(|added| Delta {
            added: added.to_vec(),
            removed: Vec::new(),
        });
        for delta in removed.chain(added) {
            self.send(Report::Delta(delta)).await?;
        }
        self.told();
        Ok(())
    }

    async fn beat(&mut self) -> Result<(), Status> {
        let sessions = self.worker.count() as u32;
        let heartbeat = Heartbeat {
            sessions,
            // Of some 3 Mbit/s each, and 1 % of a core each for a hundred.
            packets_per_second: u64::from(sessions) * 330,
            cpu_percent: (sessions / 10).min(70),
            ..Heartbeat::default()
        };
        self.send(Report::Heartbeat(heartbeat)).await
    }

    async fn send(&mut self, report: Report) -> Result<(), Status> {
        self.sequence += 1;
        let request = ReportRequest {
            sequence: self.sequence,
            report: Some(report),
        };
        match timeout(SILENCE_MAX, self.outgoing.send(request)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Status::unavailable("the stream ended")),
            Err(_) => Err(Status::deadline_exceeded("the gateway does not read")),
        }
    }
}
