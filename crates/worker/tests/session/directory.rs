//! A directory that keeps what it is told.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use tokio::sync::mpsc;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};
use whipcord_proto::directory::{
    Ack, Addresses, Hello, MediaAddress, ReportRequest, ReportResponse, directory_service_server::DirectoryService,
    report_request::Report, report_response,
};

#[derive(Clone, Debug, Default)]
pub(crate) struct Directory(pub(crate) Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) hellos: Vec<Hello>,
    /// Ids of all sessions, as told by snapshot and deltas.
    pub(crate) sessions: BTreeSet<Vec<u8>>,
    /// Of those, whose encoder was.
    pub(crate) heard: BTreeSet<Vec<u8>>,
    pub(crate) heartbeats: u32,
    /// As the last of them says.
    pub(crate) unaddressed: bool,
    /// Refuse this many hellos because the number is taken.
    pub(crate) clashes: u32,
    /// Say of each hello that its sessions are known.
    pub(crate) knows: bool,
    pub(crate) snapshots: u32,
    /// The open stream, to break it.
    pub(crate) stream: Option<mpsc::Sender<Result<ReportResponse, Status>>>,
}

impl Directory {
    pub(crate) fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.0.lock().unwrap())
    }

    /// As if the gateway were gone.
    pub(crate) fn break_stream(&self) {
        let stream = self.0.lock().unwrap().stream.take().unwrap();
        stream.try_send(Err(Status::unavailable("gone"))).unwrap();
    }

    /// As a controller told.
    pub(crate) fn tell(&self, addresses: &[(&str, u32)]) {
        let addresses = addresses.iter().map(|(ip, port)| MediaAddress {
            ip: (*ip).to_owned(),
            port: *port,
        });
        let told = report_response::Response::Addresses(Addresses {
            addresses: addresses.collect(),
        });
        let stream = self.0.lock().unwrap().stream.clone().unwrap();
        stream.try_send(Ok(ReportResponse { response: Some(told) })).unwrap();
    }

    fn take(&self, request: ReportRequest) {
        let mut state = self.0.lock().unwrap();
        match request.report.unwrap() {
            Report::Hello(hello) => {
                state.hellos.push(hello);
                if !state.knows {
                    state.sessions.clear();
                }
            }
            Report::Snapshot(snapshot) => {
                state.snapshots += 1;
                state
                    .sessions
                    .extend(snapshot.sessions.into_iter().map(|s| s.session_id));
            }
            Report::Delta(delta) => {
                let heard = delta.added.iter().filter(|added| added.heard);
                state.heard.extend(heard.map(|added| added.session_id.clone()));
                state.sessions.extend(delta.added.into_iter().map(|s| s.session_id));
                delta
                    .removed
                    .iter()
                    .for_each(|sid| assert!(state.sessions.remove(sid), "removed but never told"));
            }
            Report::Heartbeat(heartbeat) => {
                state.heartbeats += 1;
                state.unaddressed = heartbeat.unaddressed;
            }
        }
    }
}

#[tonic::async_trait]
impl DirectoryService for Directory {
    type ReportStream = ReceiverStream<Result<ReportResponse, Status>>;

    async fn report(&self, request: Request<Streaming<ReportRequest>>) -> Result<Response<Self::ReportStream>, Status> {
        let mut requests = request.into_inner();
        let (sender, receiver) = mpsc::channel(64);
        let first = requests.message().await?.unwrap();
        assert_eq!(first.sequence, 1);
        self.take(first);
        let sessions_known = {
            let mut state = self.0.lock().unwrap();
            if state.clashes > 0 {
                state.clashes -= 1;
                return Err(Status::already_exists("the worker number is taken"));
            }
            state.stream = Some(sender.clone());
            state.knows
        };
        sender.try_send(ack(1, sessions_known)).unwrap();
        let directory = self.clone();
        tokio::spawn(async move {
            let mut expected = 2;
            while let Some(Ok(request)) = requests.next().await {
                assert_eq!(request.sequence, expected, "without gaps");
                expected += 1;
                let sequence = request.sequence;
                directory.take(request);
                if sender.send(ack(sequence, false)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

fn ack(sequence: u64, sessions_known: bool) -> Result<ReportResponse, Status> {
    let ack = report_response::Response::Ack(Ack {
        sequence,
        sessions_known,
        replaced: Vec::new(),
    });
    Ok(ReportResponse { response: Some(ack) })
}
