//! Calls to workers: a channel by address, a deadline on each, and the one mapping from `tonic::Status`.

use std::{fmt, time::Duration};

use tokio::time::timeout;
use tonic::{Code, Request, Response, Status, transport::Channel};
use whipcord_identity::{Owner, SessionId, WorkerAddress};
use whipcord_proto::{
    convert,
    worker::{
        CreateSessionRequest, CreateSessionResponse, DeleteReason, DeleteSessionRequest, GetSessionRequest,
        ListSessionsRequest, ListSessionsResponse, PatchSessionRequest, PatchSessionResponse, Refusal, Session,
        worker_service_client::WorkerServiceClient,
    },
};

use crate::limits::CALL_TIMEOUT;

/// How workers are reached. Cheap to clone.
#[derive(Clone)]
pub struct Workers(Transport);

#[derive(Clone)]
enum Transport {
    /// The one worker of this process; its address is not looked at.
    Pipe(Channel),
}

/// What a call came to when it came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("refused: {}", .0.message)]
    Refused(Refusal),
    #[error("no such session")]
    NotFound,
    #[error("another ICE session is current")]
    Stale,
    #[error("another incarnation answered")]
    NotOwner,
    #[error("at capacity")]
    Full,
    #[error("unavailable")]
    Unavailable,
    #[error("no answer in time")]
    TimedOut,
    #[error("{code:?}: {message}")]
    Defect { code: Code, message: String },
}

impl Workers {
    /// One worker, behind this channel.
    pub fn pipe(channel: Channel) -> Self {
        Self(Transport::Pipe(channel))
    }

    pub(crate) async fn create(
        &self,
        address: &WorkerAddress,
        request: CreateSessionRequest,
        limit: Duration,
    ) -> Result<CreateSessionResponse, CallError> {
        let mut client = self.client(address);
        within(limit, client.create_session(bounded(request, limit))).await
    }

    pub(crate) async fn patch(
        &self,
        address: &WorkerAddress,
        request: PatchSessionRequest,
    ) -> Result<PatchSessionResponse, CallError> {
        let mut client = self.client(address);
        within(CALL_TIMEOUT, client.patch_session(bounded(request, CALL_TIMEOUT))).await
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
        within(CALL_TIMEOUT, client.delete_session(bounded(request, CALL_TIMEOUT)))
            .await
            .map(|_| ())
    }

    pub(crate) async fn get(&self, address: &WorkerAddress, sid: SessionId) -> Result<Session, CallError> {
        let request = GetSessionRequest {
            session_id: sid.as_bytes().to_vec(),
        };
        let mut client = self.client(address);
        let response = within(CALL_TIMEOUT, client.get_session(bounded(request, CALL_TIMEOUT))).await?;
        response.session.ok_or(CallError::NotFound)
    }

    pub(crate) async fn list(
        &self,
        address: &WorkerAddress,
        page_token: String,
        page_size: u32,
    ) -> Result<ListSessionsResponse, CallError> {
        let request = ListSessionsRequest { page_size, page_token };
        let mut client = self.client(address);
        within(CALL_TIMEOUT, client.list_sessions(bounded(request, CALL_TIMEOUT))).await
    }

    fn client(&self, _address: &WorkerAddress) -> WorkerServiceClient<Channel> {
        let Transport::Pipe(channel) = &self.0;
        WorkerServiceClient::new(channel.clone())
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Transport::Pipe(_) = &self.0;
        f.write_str("Workers(Pipe)")
    }
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        if let Some(refusal) = convert::refusal(&status) {
            return Self::Refused(refusal);
        }
        match status.code() {
            Code::NotFound => Self::NotFound,
            Code::Aborted => Self::Stale,
            Code::FailedPrecondition => Self::NotOwner,
            Code::ResourceExhausted => Self::Full,
            Code::Unavailable => Self::Unavailable,
            Code::DeadlineExceeded | Code::Cancelled => Self::TimedOut,
            code => Self::Defect {
                code,
                message: status.message().to_owned(),
            },
        }
    }
}

/// The worker learns the deadline, so that it does not work for nobody.
fn bounded<T>(message: T, limit: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(limit);
    request
}

async fn within<T>(limit: Duration, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, CallError> {
    let response = timeout(limit, call).await.map_err(|_| CallError::TimedOut)?;
    Ok(response.map_err(CallError::from)?.into_inner())
}
