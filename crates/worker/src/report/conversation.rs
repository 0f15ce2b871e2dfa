//! One report stream: what its gateway has been told, and has acknowledged.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use opentelemetry::{KeyValue, metrics::Histogram};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Channel};
use whipcord_identity::{Epoch, SessionId};
use whipcord_proto::{
    chunks,
    directory::{
        Ack, Delta, Heartbeat, Hello, ReportRequest, ReportResponse, SessionEntry, Snapshot,
        directory_service_client::DirectoryServiceClient, report_request::Report, report_response::Response,
    },
};

use super::SILENCE_MAX;
use crate::{
    load::Measured,
    sessions::{Reported, Standing},
    voice::Stops,
};

/// Messages on their way to the gateway.
const OUTGOING_MAX: usize = 8;

pub(super) struct Conversation {
    outgoing: mpsc::Sender<ReportRequest>,
    incoming: Streaming<ReportResponse>,
    sequence: u64,
    /// What the gateway has been told, or knew.
    told: BTreeMap<SessionId, (Epoch, bool)>,
    told_draining: bool,
    /// Acknowledged so far, the directory knows all there was at the beginning.
    complete: u64,
    acknowledged: (u64, Instant),
    /// What is not acknowledged yet, in the order of its sending.
    sent: VecDeque<Sent>,
    lag: Histogram<f64>,
    /// Of this process, before what is told was listed.
    stops: Stops,
}

/// A report on its way.
struct Sent {
    sequence: u64,
    kind: &'static str,
    at: Instant,
}

impl Conversation {
    /// Says hello, and waits for its acknowledgement.
    pub(super) async fn open(
        channel: Channel,
        hello: Hello,
        stops: Stops,
        lag: Histogram<f64>,
    ) -> Result<(Self, Ack), Status> {
        let (outgoing, receiver) = mpsc::channel(OUTGOING_MAX);
        // Before the call: a gateway may answer only when it has heard who calls.
        let first = ReportRequest {
            sequence: 1,
            report: Some(Report::Hello(hello)),
        };
        outgoing
            .send(first)
            .await
            .map_err(|_| Status::internal("our own channel closed"))?;
        let sent = Sent {
            sequence: 1,
            kind: "hello",
            at: Instant::now(),
        };
        let call = DirectoryServiceClient::new(channel)
            .report(ReceiverStream::new(receiver))
            .await?;
        let mut conversation = Self {
            outgoing,
            incoming: call.into_inner(),
            sequence: 1,
            told: BTreeMap::new(),
            told_draining: false,
            complete: 1,
            acknowledged: (0, Instant::now()),
            sent: VecDeque::from([sent]),
            lag,
            stops,
        };
        loop {
            if let Some(Response::Ack(ack)) = conversation.listen().await? {
                return Ok((conversation, ack));
            }
        }
    }

    /// Takes one response; None for one of a later version, which is passed over.
    pub(super) async fn listen(&mut self) -> Result<Option<Response>, Status> {
        let message = self.incoming.message().await?;
        let response = message.ok_or_else(|| Status::unavailable("the stream ended"))?.response;
        if let Some(Response::Ack(ack)) = &response {
            self.acknowledged = (ack.sequence, Instant::now());
            self.take_sent(ack.sequence);
        }
        Ok(response)
    }

    /// Those up to this one have arrived.
    fn take_sent(&mut self, acknowledged: u64) {
        while let Some(Sent { kind, at, .. }) = self.sent.pop_front_if(|sent| sent.sequence <= acknowledged) {
            self.lag
                .record(at.elapsed().as_secs_f64(), &[KeyValue::new("kind", kind)]);
        }
    }

    /// Whether the directory knows all that there was at the beginning.
    pub(super) fn is_complete(&self) -> bool {
        self.acknowledged.0 >= self.complete
    }

    /// Whether nothing is on its way.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.acknowledged.0 >= self.sequence
    }

    /// Since the last acknowledgement.
    pub(super) fn silence(&self) -> Duration {
        self.acknowledged.1.elapsed()
    }

    pub(super) fn stops(&self) -> Stops {
        self.stops
    }

    /// The epoch under which the gateway has been told of a session.
    pub(super) fn told(&self, sid: SessionId) -> Option<Epoch> {
        self.told.get(&sid).map(|(epoch, _)| *epoch)
    }

    pub(super) fn told_draining(&self) -> bool {
        self.told_draining
    }

    /// The directory has these already.
    pub(super) fn knows(&mut self, sessions: &Reported) {
        self.told = told(sessions);
    }

    pub(super) async fn snapshot(&mut self, sessions: &Reported) -> Result<(), Status> {
        let mut chunks = chunks::entries(sessions.iter().map(entry).collect());
        let last = chunks.pop().unwrap_or_default();
        for sessions in chunks {
            let last = false;
            self.send(Report::Snapshot(Snapshot { sessions, last })).await?;
        }
        self.send(Report::Snapshot(Snapshot {
            sessions: last,
            last: true,
        }))
        .await?;
        self.told = told(sessions);
        self.complete = self.sequence;
        Ok(())
    }

    /// What differs from what was told.
    pub(super) async fn delta(&mut self, sessions: &Reported) -> Result<(), Status> {
        let ended = self.told.keys().filter(|sid| !sessions.contains_key(sid));
        let ended = ended.map(|sid| sid.as_bytes().to_vec()).collect();
        let changed = sessions
            .iter()
            .filter(|(sid, standing)| self.told.get(sid) != Some(&(standing.epoch, standing.heard)));
        let changed = changed.map(entry).collect();
        for removed in chunks::ids(ended) {
            let added = Vec::new();
            self.send(Report::Delta(Delta { added, removed })).await?;
        }
        for added in chunks::entries(changed) {
            let removed = Vec::new();
            self.send(Report::Delta(Delta { added, removed })).await?;
        }
        self.told = told(sessions);
        Ok(())
    }

    pub(super) async fn beat(&mut self, load: Measured, draining: bool, unaddressed: bool) -> Result<(), Status> {
        self.told_draining = draining;
        let heartbeat = Heartbeat {
            sessions: self.told.len() as u32,
            packets_per_second: load.packets_per_second,
            cpu_percent: load.cpu_percent,
            draining,
            unaddressed,
        };
        self.send(Report::Heartbeat(heartbeat)).await
    }

    async fn send(&mut self, report: Report) -> Result<(), Status> {
        self.sequence += 1;
        self.sent.push_back(Sent {
            sequence: self.sequence,
            kind: kind(&report),
            at: Instant::now(),
        });
        let request = ReportRequest {
            sequence: self.sequence,
            report: Some(report),
        };
        let sent = timeout(SILENCE_MAX, self.outgoing.send(request)).await;
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

fn kind(report: &Report) -> &'static str {
    match report {
        Report::Hello(_) => "hello",
        Report::Snapshot(_) => "snapshot",
        Report::Delta(_) => "delta",
        Report::Heartbeat(_) => "beat",
    }
}

fn told(sessions: &Reported) -> BTreeMap<SessionId, (Epoch, bool)> {
    let told = sessions.iter();
    told.map(|(sid, standing)| (*sid, (standing.epoch, standing.heard)))
        .collect()
}

fn entry((sid, standing): (&SessionId, &Standing)) -> SessionEntry {
    SessionEntry {
        session_id: sid.as_bytes().to_vec(),
        stream: standing.stream.to_string(),
        epoch: standing.epoch.0,
        heard: standing.heard,
    }
}
