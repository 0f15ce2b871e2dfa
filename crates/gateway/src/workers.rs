//! Calls to workers: a channel by address, a deadline on each, and the one mapping from `tonic::Status`.

use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use opentelemetry::metrics::Histogram;
use tokio::time::timeout;
use tokio_stream::Stream as _;
use tonic::{
    Code, Request, Response, Status, Streaming,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};
use whipcord_directory::{Hello, WORKERS_MAX};
use whipcord_identity::{Epoch, Owner, SessionId, WorkerAddress};
use whipcord_proto::{
    convert,
    limits::PIECE_BYTES_MAX,
    worker::{
        CreateSessionRequest, CreateSessionResponse, DeleteReason, DeleteSessionRequest, DrainRequest,
        GetSessionRequest, ListSessionsRequest, ListSessionsResponse, PatchSessionRequest, PatchSessionResponse,
        ReadRecordingRequest, ReadRecordingResponse, RecordingFormat, Refusal, Session, read_recording_response::Part,
        worker_service_client::WorkerServiceClient,
    },
};

use crate::{
    limits::{CALL_TIMEOUT, DOWNLOADS_MAX},
    metrics, trace,
};

/// How workers are reached: a channel by address, kept for the next call. Cheap to clone.
#[derive(Clone)]
pub struct Workers {
    dial: Arc<dyn Fn(&WorkerAddress) -> Channel + Send + Sync>,
    /// Owned by `Workers`; held for one look-up, never across an await.
    channels: Arc<Mutex<HashMap<WorkerAddress, Channel>>>,
    calls: Histogram<f64>,
}

type Interceptor = fn(Request<()>) -> Result<Request<()>, Status>;
type Client = WorkerServiceClient<InterceptedService<Channel, Interceptor>>;

/// As many as the directory holds workers. Those of workers long gone are among them: at the limit all are forgotten, and those
/// in use dialled again.
const CHANNELS_MAX: usize = WORKERS_MAX;

/// What a call came to when it came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("refused: {}", .0.message)]
    Refused(Refusal),
    #[error("no such session")]
    NotFound,
    #[error("another ICE session is current")]
    Stale,
    #[error("the incarnation is dead: another answers at its address, or nobody listens there")]
    Dead,
    #[error("at capacity")]
    Full,
    #[error("an older worker, which does not know this call")]
    Unknown,
    #[error("unavailable")]
    Unavailable,
    #[error("no answer in time")]
    TimedOut,
    #[error("{code:?}: {message}")]
    Defect { code: Code, message: String },
}

/// A recording's file, and what was asked of it.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) size: u64,
    pub(crate) format: RecordingFormat,
    pub(crate) pieces: Pieces,
}

/// Bytes of a recording, in order.
#[derive(Debug)]
pub(crate) struct Pieces(Streaming<ReadRecordingResponse>);

/// Two pieces of a recording: one is read while the next one comes.
const STREAM_WINDOW: u32 = 2 * PIECE_BYTES_MAX as u32;
/// Twice what all downloads of this gateway can leave unread, 32 · 128 KiB = 4 MiB: the other half is for calls.
const CONNECTION_WINDOW: u32 = 2 * DOWNLOADS_MAX as u32 * STREAM_WINDOW;

impl Pieces {
    pub(crate) fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, CallError>>> {
        let message = ready!(Pin::new(&mut self.0).poll_next(context));
        Poll::Ready(message.map(|message| match message?.part {
            Some(Part::Piece(bytes)) => Ok(bytes.into()),
            // Nothing that we know of: a later worker's.
            Some(Part::File(_)) | None => Ok(Bytes::new()),
        }))
    }
}

impl Workers {
    /// `dial` returns at once: the channel connects when it is used.
    pub fn new(dial: impl Fn(&WorkerAddress) -> Channel + Send + Sync + 'static) -> Self {
        Self {
            dial: Arc::new(dial),
            channels: Arc::default(),
            calls: metrics::calls(),
        }
    }

    pub(crate) async fn create(
        &self,
        address: &WorkerAddress,
        request: CreateSessionRequest,
        limit: Duration,
    ) -> Result<CreateSessionResponse, CallError> {
        let mut client = self.client(address);
        self.within(
            "whipcord.worker.v1.WorkerService/CreateSession",
            address,
            limit,
            client.create_session(bounded(request, limit)),
        )
        .await
    }

    pub(crate) async fn patch(
        &self,
        address: &WorkerAddress,
        request: PatchSessionRequest,
    ) -> Result<PatchSessionResponse, CallError> {
        let mut client = self.client(address);
        self.within(
            "whipcord.worker.v1.WorkerService/PatchSession",
            address,
            CALL_TIMEOUT,
            client.patch_session(bounded(request, CALL_TIMEOUT)),
        )
        .await
    }

    pub(crate) async fn delete(
        &self,
        address: &WorkerAddress,
        sid: SessionId,
        owner: &Owner,
        reason: DeleteReason,
    ) -> Result<(), CallError> {
        let request = DeleteSessionRequest {
            session_id: sid.as_bytes().to_vec(),
            owner: Some(owner.into()),
            reason: reason.into(),
        };
        let mut client = self.client(address);
        self.within(
            "whipcord.worker.v1.WorkerService/DeleteSession",
            address,
            CALL_TIMEOUT,
            client.delete_session(bounded(request, CALL_TIMEOUT)),
        )
        .await
        .map(|_| ())
    }

    /// Of an owner with epoch 0 a session of any epoch.
    pub(crate) async fn get(
        &self,
        address: &WorkerAddress,
        sid: SessionId,
        owner: &Owner,
    ) -> Result<Session, CallError> {
        let request = GetSessionRequest {
            session_id: sid.as_bytes().to_vec(),
            owner: Some(owner.into()),
        };
        let mut client = self.client(address);
        let response = self
            .within(
                "whipcord.worker.v1.WorkerService/GetSession",
                address,
                CALL_TIMEOUT,
                client.get_session(bounded(request, CALL_TIMEOUT)),
            )
            .await?;
        response.session.ok_or(CallError::NotFound)
    }

    /// How many sessions lived on it when the drain began.
    pub(crate) async fn drain(
        &self,
        address: &WorkerAddress,
        owner: &Owner,
        deadline_seconds: u32,
    ) -> Result<u32, CallError> {
        let request = DrainRequest {
            deadline_seconds,
            owner: Some(owner.into()),
        };
        let mut client = self.client(address);
        let call = client.drain(bounded(request, CALL_TIMEOUT));
        let response = self
            .within("whipcord.worker.v1.WorkerService/Drain", address, CALL_TIMEOUT, call)
            .await?;
        Ok(response.sessions)
    }

    pub(crate) async fn list(
        &self,
        address: &WorkerAddress,
        owner: &Owner,
        page_token: String,
        page_size: u32,
    ) -> Result<ListSessionsResponse, CallError> {
        let request = ListSessionsRequest {
            page_size,
            page_token,
            owner: Some(owner.into()),
        };
        let mut client = self.client(address);
        self.within(
            "whipcord.worker.v1.WorkerService/ListSessions",
            address,
            CALL_TIMEOUT,
            client.list_sessions(bounded(request, CALL_TIMEOUT)),
        )
        .await
    }

    /// Its first message within the limit of a call; the pieces as they are taken.
    pub(crate) async fn read_recording(
        &self,
        address: &WorkerAddress,
        request: ReadRecordingRequest,
    ) -> Result<Recording, CallError> {
        let mut client = self.client(address);
        let begin = async {
            let mut messages = client.read_recording(request).await?.into_inner();
            Ok(Response::new((messages.message().await?, messages)))
        };
        let (first, messages) = self
            .within(
                "whipcord.worker.v1.WorkerService/ReadRecording",
                address,
                CALL_TIMEOUT,
                begin,
            )
            .await?;
        let Some(Part::File(file)) = first.and_then(|message| message.part) else {
            return Err(CallError::NotFound);
        };
        Ok(Recording {
            size: file.size,
            format: file.format(),
            pieces: Pieces(messages),
        })
    }

    /// Bounds what waits unread on a channel to workers, so that downloads nobody takes do not hold up calls.
    pub fn bound(endpoint: Endpoint) -> Endpoint {
        endpoint
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
    }

    fn client(&self, address: &WorkerAddress) -> Client {
        let mut channels = self.lock();
        if channels.len() >= CHANNELS_MAX && !channels.contains_key(address) {
            channels.clear();
        }
        let channel = channels.entry(address.clone()).or_insert_with(|| (self.dial)(address));
        WorkerServiceClient::with_interceptor(channel.clone(), trace::hand_on as Interceptor)
    }

    /// The call's outcome within `limit`. A worker that did not answer may be behind a connection whose other end is gone
    /// without a word: the next call makes another.
    async fn within<T>(
        &self,
        method: &'static str,
        address: &WorkerAddress,
        limit: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, CallError> {
        let call = async {
            let late = Err(Status::deadline_exceeded("no answer"));
            timeout(limit, call).await.unwrap_or(late)
        };
        let response = trace::call(&self.calls, method, address.as_str(), call).await;
        let outcome = response.map(Response::into_inner).map_err(CallError::from);
        if let Err(CallError::TimedOut) = outcome {
            self.lock().remove(address);
        }
        outcome
    }

    /// No panic leaves the table half changed.
    fn lock(&self) -> MutexGuard<'_, HashMap<WorkerAddress, Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Workers")
    }
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        if let Some(refusal) = convert::refusal(&status) {
            return Self::Refused(refusal);
        }
        // What the worker said was read off the wire, and has no source.
        let is_ours = std::error::Error::source(&status).is_some();
        match status.code() {
            _ if is_connection_refused(&status) => Self::Dead,
            Code::DeadlineExceeded | Code::Cancelled => Self::TimedOut,
            _ if is_ours => Self::Unavailable,
            Code::NotFound => Self::NotFound,
            Code::Aborted => Self::Stale,
            Code::FailedPrecondition => Self::Dead,
            Code::ResourceExhausted => Self::Full,
            Code::Unimplemented => Self::Unknown,
            Code::Unavailable => Self::Unavailable,
            code => Self::Defect {
                code,
                message: status.message().to_owned(),
            },
        }
    }
}

/// A listed worker's incarnation, as calls name it: the owner of its sessions, of whatever epoch.
pub(crate) fn incarnation(hello: &Hello) -> Owner {
    Owner {
        worker: hello.worker.clone(),
        incarnation: hello.incarnation,
        epoch: Epoch(0),
    }
}

/// Nobody listens at the address: the process that did has ended. A host that is away answers nothing.
fn is_connection_refused(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused) {
            return true;
        }
        source = error.source();
    }
    false
}

/// The worker learns the deadline, so that it does not work for nobody.
fn bounded<T>(message: T, limit: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(limit);
    request
}

mod explain;
#[cfg(test)]
mod tests;
