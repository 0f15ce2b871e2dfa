//! A directory that keeps what it is told.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use tokio::sync::mpsc;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};
use whipcord_proto::directory::{
    Ack, DrainCommand, Hello, ReportRequest, ReportResponse, directory_service_server::DirectoryService,
    report_request::Report, report_response,
};

#[derive(Clone, Debug, Default)]
pub(crate) struct Directory(pub(crate) Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) hellos: Vec<Hello>,
    /// Ids of all sessions, as told by snapshot and deltas.
    pub(crate) sessions: BTreeSet<Vec<u8>>,
    pub(crate) heartbeats: u32,
    /// Refuse this many hellos because the number is taken.
    pub(crate) clashes: u32,
    /// The open stream, to drain it or to break it.
    pub(crate) stream: Option<mpsc::Sender<Result<ReportResponse, Status>>>,
}

impl Directory {
    pub(crate) fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.0.lock().unwrap())
    }

    pub(crate) fn drain(&self, deadline_seconds: u32) {
        let stream = self.read(|state| state.stream.clone()).unwrap();
        let response = report_response::Response::Drain(DrainCommand { deadline_seconds });
        stream
            .try_send(Ok(ReportResponse {
                response: Some(response),
            }))
            .unwrap();
    }

    /// As if the gateway were gone.
    pub(crate) fn break_stream(&self) {
        let stream = self.0.lock().unwrap().stream.take().unwrap();
        stream.try_send(Err(Status::unavailable("gone"))).unwrap();
    }

    fn take(&self, request: ReportRequest) {
        let mut state = self.0.lock().unwrap();
        match request.report.unwrap() {
            Report::Hello(hello) => {
                state.hellos.push(hello);
                state.sessions.clear();
            }
            Report::Snapshot(snapshot) => state
                .sessions
                .extend(snapshot.sessions.into_iter().map(|s| s.session_id)),
            Report::Delta(delta) => {
                state.sessions.extend(delta.added.into_iter().map(|s| s.session_id));
                delta
                    .removed
                    .iter()
                    .for_each(|sid| assert!(state.sessions.remove(sid), "removed but never told"));
            }
            Report::Heartbeat(_) => state.heartbeats += 1,
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
        {
            let mut state = self.0.lock().unwrap();
            if state.clashes > 0 {
                state.clashes -= 1;
                return Err(Status::already_exists("the worker number is taken"));
            }
            state.stream = Some(sender.clone());
        }
        let directory = self.clone();
        tokio::spawn(async move {
            let mut expected = 2;
            while let Some(Ok(request)) = requests.next().await {
                assert_eq!(request.sequence, expected, "without gaps");
                expected += 1;
                let sequence = request.sequence;
                directory.take(request);
                let ack = report_response::Response::Ack(Ack {
                    sequence,
                    ..Ack::default()
                });
                if sender.send(Ok(ReportResponse { response: Some(ack) })).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
