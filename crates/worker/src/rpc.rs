//! WorkerService: parse, one call, render.

mod status;

use std::{pin::Pin, sync::Arc, time::Duration};

use opentelemetry::metrics::Histogram;
use tokio_stream::{Stream, StreamExt as _, once, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};
use tracing::warn;
use whipcord_identity::{Epoch, SessionId};
use whipcord_media::Container;
use whipcord_peer::EndReason;
use whipcord_proto::{
    convert,
    limits::{METADATA_BYTES_MAX, PAGE_MAX},
    worker::{
        CreateSessionRequest, CreateSessionResponse, DeleteReason, DeleteSessionRequest, DeleteSessionResponse,
        DrainRequest, DrainResponse, ExplainSessionRequest, ExplainSessionResponse, GetSessionRequest,
        GetSessionResponse, IceRestart, ListSessionsRequest, ListSessionsResponse, Owner, PatchSessionRequest,
        PatchSessionResponse, ReadRecordingRequest, ReadRecordingResponse, RecordingFile, RecordingFormat, Session,
        explain_session_request::Subject, read_recording_response::Part, worker_service_server::WorkerService,
    },
};
use whipcord_whip::etag::IfMatch;

use crate::{
    control::{self, Control, Creation, Download, Restarted},
    metrics,
    sessions::{Created, LookUpError},
    snapshot::Info,
    trace,
};
use status::Error;

/// The service over this worker's sessions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Service {
    control: Arc<Control>,
    calls: Histogram<f64>,
}

impl Service {
    pub(crate) fn new(control: Arc<Control>) -> Self {
        Self {
            control,
            calls: metrics::calls(),
        }
    }

    /// The request's owner must be this incarnation; returns the epoch it names.
    fn check_owner(&self, owner: Option<Owner>) -> Result<Epoch, Error> {
        let owner = convert::owner(owner)?;
        if owner.worker == self.control.worker && owner.incarnation == self.control.incarnation {
            Ok(owner.epoch)
        } else {
            warn!(worker = %owner.worker, incarnation = %owner.incarnation, "a call was meant for another start of this worker");
            Err(Error::OtherOwner)
        }
    }

    /// A read or a drain names its owner unless an older gateway asks: then whoever is here is meant. Epoch 0 is any.
    fn check_if_named(&self, owner: Option<Owner>) -> Result<Epoch, Error> {
        match owner {
            Some(owner) => self.check_owner(Some(owner)),
            None => Ok(Epoch(0)),
        }
    }

    /// The live session that a request means, whether or not it may.
    fn session(&self, id: &[u8]) -> Option<Arc<Info>> {
        self.control.sessions.info(convert::session_id(id).ok()?)
    }

    fn creation(&self, request: CreateSessionRequest) -> Result<Creation, Error> {
        let CreateSessionRequest {
            session_id,
            stream,
            offer,
            owner,
            metadata,
        } = request;
        if metadata
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum::<usize>()
            > METADATA_BYTES_MAX
        {
            return Err(Error::Metadata);
        }
        Ok(Creation {
            epoch: self.check_owner(owner)?,
            sid: convert::session_id(&session_id)?,
            stream: convert::stream(&stream)?,
            offer,
            metadata,
        })
    }

    fn patch(&self, request: PatchSessionRequest) -> Result<Option<Restarted>, Error> {
        let PatchSessionRequest {
            session_id,
            owner,
            fragment,
            if_match,
            match_any,
        } = request;
        let epoch = self.check_owner(owner)?;
        let sid = convert::session_id(&session_id)?;
        let if_match = if match_any {
            IfMatch::Any
        } else {
            IfMatch::Sessions(if_match)
        };
        Ok(self.control.patch(sid, epoch, &fragment, &if_match)?)
    }

    async fn delete(&self, request: DeleteSessionRequest) -> Result<(), Error> {
        let reason = end_reason(request.reason());
        let epoch = self.check_owner(request.owner)?;
        Ok(self
            .control
            .close(convert::session_id(&request.session_id)?, epoch, reason)
            .await?)
    }

    async fn get(&self, request: GetSessionRequest) -> Result<Session, Error> {
        let epoch = self.check_if_named(request.owner)?;
        let session = self.control.get(convert::session_id(&request.session_id)?).await?;
        if epoch != Epoch(0) && session.epoch != epoch.0 {
            return Err(control::Error::from(LookUpError::NotFound).into());
        }
        Ok(session)
    }

    async fn list(&self, request: ListSessionsRequest) -> Result<ListSessionsResponse, Error> {
        self.check_if_named(request.owner)?;
        let after = match request.page_token.as_str() {
            "" => None,
            token => Some(token.parse::<SessionId>().map_err(|_| Error::PageToken)?),
        };
        let limit = match request.page_size {
            0 => PAGE_MAX,
            size => size.min(PAGE_MAX),
        };
        let (sessions, next) = self.control.list(after, limit as usize).await?;
        let next_page_token = next.map_or_else(String::new, |sid| sid.to_string());
        Ok(ListSessionsResponse {
            sessions,
            next_page_token,
        })
    }

    async fn explain(&self, request: ExplainSessionRequest) -> Result<ExplainSessionResponse, Error> {
        self.check_if_named(request.owner)?;
        let sid = match request.subject {
            Some(Subject::SessionId(id)) => Some(convert::session_id(&id)?),
            Some(Subject::Stream(name)) => self.control.session_of(&convert::stream(&name)?),
            None => None,
        };
        let sid = sid.ok_or_else(|| control::Error::from(LookUpError::NotFound))?;
        Ok(self.control.explain(sid).await?)
    }

    async fn read(&self, request: ReadRecordingRequest) -> Result<Download, Error> {
        let ReadRecordingRequest {
            session_id,
            stream,
            offset,
            length,
            owner,
        } = request;
        self.check_if_named(owner)?;
        let (sid, stream) = (convert::session_id(&session_id)?, convert::stream(&stream)?);
        Ok(self.control.read_recording(stream, sid, offset, length).await?)
    }
}

#[tonic::async_trait]
impl WorkerService for Service {
    type ReadRecordingStream = Pin<Box<dyn Stream<Item = Result<ReadRecordingResponse, Status>> + Send>>;

    async fn create_session(
        &self,
        request: Request<CreateSessionRequest>,
    ) -> Result<Response<CreateSessionResponse>, Status> {
        trace::serve(
            &self.calls,
            "whipcord.worker.v1.WorkerService/CreateSession",
            None,
            request,
            async |request| {
                let creation = self.creation(request)?;
                let Created { answer, ice_session } = self.control.create(creation).await.map_err(Error::from)?;
                Ok(CreateSessionResponse {
                    answer,
                    ice_session: ice_session.ice_session().to_owned(),
                })
            },
        )
        .await
    }

    async fn patch_session(
        &self,
        request: Request<PatchSessionRequest>,
    ) -> Result<Response<PatchSessionResponse>, Status> {
        let session = self.session(&request.get_ref().session_id);
        trace::serve(
            &self.calls,
            "whipcord.worker.v1.WorkerService/PatchSession",
            session.as_deref(),
            request,
            async |request| {
                let restart = self
                    .patch(request)?
                    .map(|Restarted { fragment, ice_session }| IceRestart {
                        fragment,
                        ice_session: ice_session.ice_session().to_owned(),
                    });
                Ok(PatchSessionResponse { restart })
            },
        )
        .await
    }

    async fn delete_session(
        &self,
        request: Request<DeleteSessionRequest>,
    ) -> Result<Response<DeleteSessionResponse>, Status> {
        let session = self.session(&request.get_ref().session_id);
        trace::serve(
            &self.calls,
            "whipcord.worker.v1.WorkerService/DeleteSession",
            session.as_deref(),
            request,
            async |request| {
                self.delete(request).await?;
                Ok(DeleteSessionResponse {})
            },
        )
        .await
    }

    async fn get_session(&self, request: Request<GetSessionRequest>) -> Result<Response<GetSessionResponse>, Status> {
        let method = "whipcord.worker.v1.WorkerService/GetSession";
        let getting = async { Ok(self.get(request.into_inner()).await?) };
        let session = trace::measure(&self.calls, method, getting).await?;
        Ok(Response::new(GetSessionResponse { session: Some(session) }))
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let method = "whipcord.worker.v1.WorkerService/ListSessions";
        let listing = async { Ok(self.list(request.into_inner()).await?) };
        Ok(Response::new(trace::measure(&self.calls, method, listing).await?))
    }

    async fn explain_session(
        &self,
        request: Request<ExplainSessionRequest>,
    ) -> Result<Response<ExplainSessionResponse>, Status> {
        let method = "whipcord.worker.v1.WorkerService/ExplainSession";
        let explaining = async { Ok(self.explain(request.into_inner()).await?) };
        Ok(Response::new(trace::measure(&self.calls, method, explaining).await?))
    }

    async fn read_recording(
        &self,
        request: Request<ReadRecordingRequest>,
    ) -> Result<Response<Self::ReadRecordingStream>, Status> {
        // Until its first bytes are there: they go as fast as they are taken.
        let method = "whipcord.worker.v1.WorkerService/ReadRecording";
        let reading = async { Ok(self.read(request.into_inner()).await?) };
        let Download {
            size,
            container,
            pieces,
        } = trace::measure(&self.calls, method, reading).await?;
        let file = Part::File(RecordingFile {
            size,
            format: format(container).into(),
        });
        let pieces = ReceiverStream::new(pieces).map(|piece| piece.map(Part::Piece).map_err(status::broken));
        let parts = once(Ok(file)).chain(pieces);
        let messages = parts.map(|part| part.map(|part| ReadRecordingResponse { part: Some(part) }));
        Ok(Response::new(Box::pin(messages)))
    }

    async fn drain(&self, request: Request<DrainRequest>) -> Result<Response<DrainResponse>, Status> {
        trace::serve(
            &self.calls,
            "whipcord.worker.v1.WorkerService/Drain",
            None,
            request,
            async |request| {
                let DrainRequest {
                    deadline_seconds,
                    owner,
                } = request;
                self.check_if_named(owner)?;
                let sessions = self.control.drain(Duration::from_secs(deadline_seconds.into()));
                Ok(DrainResponse {
                    sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
                })
            },
        )
        .await
    }
}

fn end_reason(reason: DeleteReason) -> EndReason {
    match reason {
        DeleteReason::Unspecified | DeleteReason::Client => EndReason::Deleted,
        DeleteReason::Replaced => EndReason::Replaced,
        DeleteReason::Operator => EndReason::Operator,
        DeleteReason::Abandoned => EndReason::Abandoned,
    }
}

fn format(container: Container) -> RecordingFormat {
    match container {
        Container::Mp4 => RecordingFormat::Mp4,
        Container::Webm => RecordingFormat::Webm,
    }
}
