//! What this worker tells the directory: one stream to any gateway, opened again whenever it breaks.
//!
//! Hello, a snapshot of all sessions, then what changes, and a heartbeat each second. The sessions themselves are the truth:
//! what was said is compared with them, so that nothing has to be remembered between two streams. Not here: the messages of one
//! stream (conversation).

mod conversation;

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use opentelemetry::metrics::Histogram;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, transport::Channel};
use tracing::{info, warn};
use whipcord_identity::{ClusterId, WorkerAddress, WorkerNumber};
use whipcord_peer::EndReason;
use whipcord_proto::{
    convert, digest,
    directory::{Capacity, Hello, report_response::Response},
    features,
};

use crate::{control::Control, load::Load, metrics, random, sessions::Reported, shard::Command, voice::LEASE};
use conversation::Conversation;

const HEARTBEAT: Duration = Duration::from_secs(1);

/// A stream that is not acknowledged for so long is of no use.
const SILENCE_MAX: Duration = LEASE;

/// Between two attempts: the first soon, since a gateway that restarts is back in a second; never so often that 1000 workers
/// are a load. Each is multiplied by a random 0.5 to 1.5.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// For one attempt to reach a gateway.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Times a random 0.5 to 1.5, a stream is left for one to a gateway drawn anew: or else those that a rollout began with would keep all
/// workers, and those that came later have none. A move costs a hello.
const STREAM_AGE: Duration = Duration::from_secs(600);

/// For a move, during which the former stream does not beat: with the second since its last beat less than a lease.
const MOVE_MAX: Duration = Duration::from_secs(1);

/// Told of one outage: gateways that fail each in its own way.
const REASONS_MAX: usize = 8;

/// The way to the gateways: makes a channel to any of them, another one each time if there are several.
#[derive(Clone)]
pub struct Gateways {
    dial: Arc<dyn Fn() -> Channel + Send + Sync>,
    last: Arc<dyn Fn() -> String + Send + Sync>,
}

/// Tells the directory of this worker until `shutdown`, and then that its sessions are gone.
#[derive(Debug)]
pub(crate) struct Reporter {
    control: Arc<Control>,
    gateways: Gateways,
    cluster_id: ClusterId,
    address: WorkerAddress,
    sessions_max: u32,
    registered: watch::Sender<bool>,
    load: Load,
    lag: Histogram<f64>,
}

/// Why a stream is left that has not broken.
enum Left {
    /// All has been said.
    Shutdown,
    /// It has lasted long enough.
    Aged,
}

impl Gateways {
    /// `dial` returns at once: the channel connects when it is used.
    pub fn new(dial: impl Fn() -> Channel + Send + Sync + 'static) -> Self {
        Self {
            dial: Arc::new(dial),
            last: Arc::new(String::new),
        }
    }

    /// `last` tells the address that was dialled last, for the log.
    pub fn naming(self, last: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self {
            last: Arc::new(last),
            ..self
        }
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
        cluster_id: ClusterId,
        address: WorkerAddress,
        sessions_max: u32,
        registered: watch::Sender<bool>,
    ) -> Self {
        Self {
            control,
            gateways,
            cluster_id,
            address,
            sessions_max,
            registered,
            load: Load::new(),
            lag: metrics::report_lag(),
        }
    }

    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut wait = RETRY_FIRST;
        let mut said = Vec::new();
        while !shutdown.is_cancelled() {
            let Err(status) = self.report(&shutdown).await else {
                return;
            };
            if self.registered.send_replace(false) {
                wait = RETRY_FIRST;
                said.clear();
            }
            if status.code() == Code::AlreadyExists {
                self.redraw();
            } else {
                self.complain(&status, &mut said);
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

    /// Once of each reason since a gateway last took a report.
    fn complain(&self, status: &Status, said: &mut Vec<String>) {
        let reason = cause(status);
        if said.len() >= REASONS_MAX || said.contains(&reason) {
            return;
        }
        let gateway = (self.gateways.last)();
        warn!(gateway, code = ?status.code(), reason, "no report to the directory, trying again; {}", advice(status));
        said.push(reason);
    }

    /// Another incarnation has our number. Sessions keep the ufrags they have.
    fn redraw(&self) {
        let number = WorkerNumber::new(u32::from_be_bytes(random::bytes()));
        self.control.number.store(number.get(), Ordering::Relaxed);
        info!("the worker number was another's; drew again");
    }

    /// One stream after the other, until one breaks. Ok after the shutdown was reported.
    async fn report(&mut self, shutdown: &CancellationToken) -> Result<(), Status> {
        let mut changes = self.control.sessions.changes();
        let mut conversation = self.open().await?;
        loop {
            let age = jittered(STREAM_AGE);
            match self.converse(&mut conversation, &mut changes, age, shutdown).await? {
                Left::Shutdown => return Ok(()),
                // The former is kept until the next one's hello has been acknowledged, which voids its lease.
                Left::Aged => {
                    if let Ok(Ok(next)) = timeout(MOVE_MAX, self.open()).await {
                        conversation = next;
                    }
                }
            }
        }
    }

    /// One stream, until it breaks or is left.
    async fn converse(
        &mut self,
        conversation: &mut Conversation,
        changes: &mut watch::Receiver<u64>,
        age: Duration,
        shutdown: &CancellationToken,
    ) -> Result<Left, Status> {
        let mut beat = tokio::time::interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let until = Instant::now() + age;
        let mut is_known = false;
        let mut addressed = self.control.addresses.changes();
        loop {
            if !is_known && conversation.is_complete() {
                is_known = true;
                // After the sessions that were to be closed, by the same queue.
                let speak = Command::Speak(conversation.stops());
                let sent = self.control.shard.send_surely(speak).await;
                sent.map_err(|_| Status::cancelled("the shard is gone"))?;
                if !self.registered.send_replace(true) {
                    info!("the directory knows this worker");
                }
            }
            tokio::select! {
                heard = conversation.listen() => match heard? {
                    Some(Response::Ack(ack)) => self.end_replaced(&ack.replaced, conversation).await,
                    Some(Response::Addresses(told)) => self.control.addresses.tell(&told.addresses),
                    None => {}
                },
                // At once, so that something is placed here, or nothing more.
                () = addressed.changed() => beat.reset_immediately(),
                // What changes while a report is on its way goes into the next one: where sessions come faster than the directory takes
                // reports, no beat stands in line behind them all.
                changed = changes.changed(), if conversation.is_acknowledged() => {
                    changed.map_err(|_| Status::cancelled("the worker is gone"))?;
                    conversation.delta(&self.control.sessions.reported()).await?;
                    if self.control.sessions.is_draining() != conversation.told_draining() {
                        // At once, so that nothing more is placed here.
                        beat.reset_immediately();
                    }
                }
                _ = beat.tick() => {
                    if self.control.voice.stops() != conversation.stops() {
                        return Err(Status::aborted("this process stood still for longer than its lease"));
                    }
                    if conversation.silence() > SILENCE_MAX {
                        return Err(Status::deadline_exceeded("the gateway does not acknowledge"));
                    }
                    let draining = self.control.sessions.is_draining();
                    let unaddressed = self.control.addresses.current().is_none();
                    conversation.beat(self.load.measure(&self.control), draining, unaddressed).await?;
                }
                () = tokio::time::sleep_until(until) => return Ok(Left::Aged),
                () = shutdown.cancelled() => {
                    conversation.delta(&self.control.sessions.reported()).await?;
                    return Ok(Left::Shutdown);
                }
            }
        }
    }

    /// They lost their stream to a later publisher's while this worker could not be asked.
    async fn end_replaced(&self, replaced: &[Vec<u8>], conversation: &Conversation) {
        let sids = replaced.iter().filter_map(|sid| convert::session_id(sid).ok());
        for (sid, epoch) in sids.filter_map(|sid| Some((sid, conversation.told(sid)?))) {
            // One that has ended meanwhile is what was wanted.
            let _ = self.control.close(sid, epoch, EndReason::Replaced).await;
        }
    }

    /// A stream whose gateway has been told all there is, or knew it.
    async fn open(&self) -> Result<Conversation, Status> {
        // Before the sessions are listed: after another stop, a new stream must tell of them.
        let stops = self.control.voice.stops();
        let sessions = self.control.sessions.reported();
        // A connection of its own: one whose other end is gone without a word takes its successor nowhere.
        let opening = Conversation::open((self.gateways.dial)(), self.hello(&sessions), stops, self.lag.clone());
        let opened = timeout(CONNECT_MAX, opening).await;
        let (mut conversation, ack) = opened.map_err(|_| Status::deadline_exceeded("no gateway answers"))??;
        if ack.sessions_known {
            conversation.knows(&sessions);
        } else {
            conversation.snapshot(&self.control.sessions.reported()).await?;
        }
        Ok(conversation)
    }

    fn hello(&self, sessions: &Reported) -> Hello {
        let listed = sessions
            .iter()
            .map(|(sid, standing)| (*sid, standing.epoch, &standing.stream));
        Hello {
            cluster_id: self.cluster_id.to_string(),
            worker_id: self.control.worker.to_string(),
            incarnation: self.control.incarnation.0,
            worker_number: self.control.number.load(Ordering::Relaxed),
            features: if self.control.addresses.is_awaited() {
                vec![features::ADDRESSES.to_owned()]
            } else {
                Vec::new()
            },
            capacity: Some(Capacity {
                sessions_max: self.sessions_max,
            }),
            address: self.address.to_string(),
            sessions_digest: digest::sessions(listed),
        }
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

/// What to look at. A gateway's own words need none; a handshake that fails, or is none, has few causes.
fn advice(status: &Status) -> &'static str {
    match status.code() {
        Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled | Code::DeadlineExceeded => {
            "is there a gateway, is that its --grpc address, and do both have the same --internal-ca, or both --insecure-internal?"
        }
        _ => "the gateway refuses it",
    }
}

fn jittered(wait: Duration) -> Duration {
    let [random] = random::bytes::<1>();
    wait / 2 + wait * u32::from(random) / 255
}

#[cfg(test)]
mod tests;
