//! A worker by script: it keeps sessions as the contract says, and does otherwise where it is told.

mod session;

use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::sync::oneshot;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Code, Request, Response, Status};
use whipcord_proto::worker::{
    CreateSessionRequest, CreateSessionResponse, DeleteReason, DeleteSessionRequest, DeleteSessionResponse,
    DrainRequest, DrainResponse, ExplainSessionRequest, ExplainSessionResponse, GetSessionRequest, GetSessionResponse,
    IceRestart, ListSessionsRequest, ListSessionsResponse, Owner, PatchSessionRequest, PatchSessionResponse,
    ReadRecordingRequest, ReadRecordingResponse, RecordingFile, RecordingFormat, Session,
    explain_session_request::Subject,
    read_recording_response::Part,
    worker_service_server::{WorkerService, WorkerServiceServer},
};

use session::session;

pub(crate) const ANSWER: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-pwd:planted0answer0password\r\n";
/// In a fragment, stands for new credentials.
pub(crate) const RESTART: &str = "a=ice-ufrag:restarted\r\na=ice-pwd:planted0restart0password\r\n";
pub(crate) const RESTARTED: &str = "a=ice-ufrag:ours\r\na=ice-pwd:planted0our0new0password\r\n";

#[derive(Clone, Default)]
pub(crate) struct Worker(Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    sessions: HashMap<Vec<u8>, Live>,
    /// Ended ones.
    tombstones: Vec<Vec<u8>>,
    pub(crate) created: Vec<CreateSessionRequest>,
    pub(crate) patched: Vec<PatchSessionRequest>,
    pub(crate) deleted: Vec<DeleteSessionRequest>,
    /// Deadlines of drains.
    pub(crate) drained: Vec<u32>,
    /// Of each session, once there are some.
    pub(crate) recorded: Recorded,
    pub(crate) read: Vec<ReadRecordingRequest>,
    /// What one incarnation does instead, whenever it is asked by its name.
    pub(crate) behaviour: HashMap<u64, Behaviour>,
    /// What the next calls of any kind do instead.
    script: VecDeque<Step>,
    serial: u32,
}

/// Every recording's file.
#[derive(Clone, Copy, Default)]
pub(crate) struct Recorded {
    pub(crate) size: u64,
    /// Where it cannot be read on.
    pub(crate) broken_at: Option<u64>,
}

impl Recorded {
    pub(crate) fn byte(at: u64) -> u8 {
        b"0123456789abcdefghijklmnopqrstuvwxyz"[(at % 36) as usize]
    }

    fn piece(self, from: u64, to: u64) -> Result<ReadRecordingResponse, Status> {
        if self.broken_at.is_some_and(|at| at < to) {
            return Err(Status::data_loss("scripted"));
        }
        let piece = Part::Piece((from..to).map(Self::byte).collect());
        Ok(ReadRecordingResponse { part: Some(piece) })
    }
}

#[derive(Clone)]
struct Live {
    /// Who has it, if it is not whoever is asked.
    incarnation: Option<u64>,
    stream: String,
    ice_session: String,
    metadata: HashMap<String, String>,
    silent_ms: u64,
}

#[derive(Clone)]
pub(crate) enum Behaviour {
    /// Another answers at its address.
    Dead,
    /// It does not serve.
    Away,
    /// It says that it has every session, of this stream.
    Claims(&'static str),
    /// Each page of its list is the first again.
    Endless,
}

pub(crate) enum Step {
    Fail(Status),
    /// Does what it should, and answers so much later.
    Late(Duration),
    /// Does what it should, and answers when it is told to.
    Held(oneshot::Receiver<()>),
}

impl Worker {
    pub(crate) fn service(&self) -> WorkerServiceServer<Self> {
        WorkerServiceServer::new(self.clone())
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn next(&self, step: Step) {
        self.state().script.push_back(step);
    }

    pub(crate) fn fail(&self, code: Code) {
        self.next(Step::Fail(Status::new(code, "scripted")));
    }

    /// A session made elsewhere, which has been silent for so long.
    pub(crate) fn hold(&self, sid: &[u8], stream: &str, silent_ms: u64) {
        let live = Live {
            incarnation: None,
            stream: stream.to_owned(),
            ice_session: "elsewhere".to_owned(),
            metadata: HashMap::new(),
            silent_ms,
        };
        self.state().sessions.insert(sid.to_vec(), live);
    }

    pub(crate) fn sessions(&self) -> usize {
        self.state().sessions.len()
    }

    pub(crate) fn deleted(&self) -> Vec<DeleteReason> {
        self.state().deleted.iter().map(DeleteSessionRequest::reason).collect()
    }

    /// What this incarnation does, if it answers.
    fn behave(&self, owner: Option<&Owner>) -> Result<Option<Behaviour>, Status> {
        let incarnation = owner.map_or(0, |owner| owner.incarnation);
        match self.state().behaviour.get(&incarnation) {
            Some(Behaviour::Dead) => Err(Status::failed_precondition("scripted")),
            Some(Behaviour::Away) => Err(Status::unavailable("scripted")),
            other => Ok(other.cloned()),
        }
    }

    async fn step(&self) -> Result<(), Status> {
        let step = self.state().script.pop_front();
        match step {
            Some(Step::Fail(status)) => Err(status),
            Some(Step::Late(delay)) => {
                tokio::time::sleep(delay).await;
                Ok(())
            }
            Some(Step::Held(told)) => told.await.map_err(|_| Status::aborted("the test has ended")),
            None => Ok(()),
        }
    }
}

impl Live {
    fn is_with(&self, owner: Option<&Owner>) -> bool {
        let asked = owner.map(|owner| owner.incarnation);
        self.incarnation.is_none() || self.incarnation == asked
    }
}

impl State {
    pub(crate) fn forget_all(&mut self) {
        self.sessions.clear();
        self.tombstones.clear();
    }

    fn ice_session(&mut self) -> String {
        self.serial += 1;
        format!("ice-{}", self.serial)
    }
}

#[tonic::async_trait]
impl WorkerService for Worker {
    async fn create_session(
        &self,
        request: Request<CreateSessionRequest>,
    ) -> Result<Response<CreateSessionResponse>, Status> {
        let request = request.into_inner();
        let ice_session = {
            let mut state = self.state();
            state.created.push(request.clone());
            state.ice_session()
        };
        let step = self.step().await;
        if step.is_ok() {
            let live = Live {
                incarnation: request.owner.map(|owner| owner.incarnation),
                stream: request.stream,
                ice_session: ice_session.clone(),
                metadata: request.metadata,
                silent_ms: 0,
            };
            self.state().sessions.insert(request.session_id, live);
        }
        step.map(|()| {
            Response::new(CreateSessionResponse {
                answer: ANSWER.to_owned(),
                ice_session,
            })
        })
    }

    async fn patch_session(
        &self,
        request: Request<PatchSessionRequest>,
    ) -> Result<Response<PatchSessionResponse>, Status> {
        let request = request.into_inner();
        self.state().patched.push(request.clone());
        self.step().await?;
        let mut state = self.state();
        let fresh = state.ice_session();
        let live = state
            .sessions
            .get_mut(&request.session_id)
            .ok_or_else(|| Status::not_found(""))?;
        if !request.match_any && !request.if_match.contains(&live.ice_session) {
            return Err(Status::aborted(""));
        }
        let is_restart = request.fragment.starts_with(RESTART.as_bytes());
        let restart = is_restart.then(|| {
            live.ice_session = fresh.clone();
            IceRestart {
                fragment: RESTARTED.to_owned(),
                ice_session: fresh,
            }
        });
        Ok(Response::new(PatchSessionResponse { restart }))
    }

    async fn delete_session(
        &self,
        request: Request<DeleteSessionRequest>,
    ) -> Result<Response<DeleteSessionResponse>, Status> {
        let request = request.into_inner();
        self.state().deleted.push(request.clone());
        self.step().await?;
        let mut state = self.state();
        if state.sessions.remove(&request.session_id).is_some() {
            state.tombstones.push(request.session_id);
        } else if !state.tombstones.contains(&request.session_id) {
            return Err(Status::not_found(""));
        }
        Ok(Response::new(DeleteSessionResponse {}))
    }

    async fn get_session(&self, request: Request<GetSessionRequest>) -> Result<Response<GetSessionResponse>, Status> {
        self.step().await?;
        let request = request.into_inner();
        let (sid, owner) = (request.session_id, request.owner.as_ref());
        if let Some(Behaviour::Claims(stream)) = self.behave(owner)? {
            let claimed = Session {
                session_id: sid,
                stream: stream.to_owned(),
                ..Session::default()
            };
            return Ok(Response::new(GetSessionResponse { session: Some(claimed) }));
        }
        let state = self.state();
        let session = match state.sessions.get(&sid).filter(|live| live.is_with(owner)) {
            Some(live) => session(&sid, live),
            None if state.tombstones.contains(&sid) => Session {
                session_id: sid,
                end_reason: "deleted".to_owned(),
                ..Session::default()
            },
            None => return Err(Status::not_found("")),
        };
        Ok(Response::new(GetSessionResponse { session: Some(session) }))
    }

    async fn explain_session(
        &self,
        request: Request<ExplainSessionRequest>,
    ) -> Result<Response<ExplainSessionResponse>, Status> {
        self.step().await?;
        let request = request.into_inner();
        if let Some(Behaviour::Claims(stream)) = self.behave(request.owner.as_ref())? {
            let claimed = Session {
                session_id: vec![9; 16],
                stream: stream.to_owned(),
                created_at_ms: u64::MAX,
                ..Session::default()
            };
            let mut told = crate::explain::well(claimed);
            told.timeline = told.timeline.into_iter().cycle().take(1000).collect();
            return Ok(Response::new(told));
        }
        let state = self.state();
        let asked = |(sid, live): &(&Vec<u8>, &Live)| match &request.subject {
            Some(Subject::SessionId(id)) => *sid == id,
            Some(Subject::Stream(stream)) => live.stream == *stream,
            None => false,
        };
        let mut held = state.sessions.iter();
        let (sid, live) = held
            .find(|held| asked(held) && held.1.is_with(request.owner.as_ref()))
            .ok_or_else(|| Status::not_found(""))?;
        Ok(Response::new(crate::explain::well(session(sid, live))))
    }

    /// Pages of two, whatever is asked.
    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        self.step().await?;
        let request = request.into_inner();
        let owner = request.owner.as_ref();
        let is_endless = matches!(self.behave(owner)?, Some(Behaviour::Endless));
        let state = self.state();
        let own = state.sessions.iter().filter(|(_, live)| live.is_with(owner));
        let mut all: Vec<_> = own.map(|(sid, live)| session(sid, live)).collect();
        all.sort_by(|a, b| a.session_id.cmp(&b.session_id));
        if is_endless {
            all.truncate(1);
            return Ok(Response::new(ListSessionsResponse {
                sessions: all,
                next_page_token: "more".to_owned(),
            }));
        }
        let start = request.page_token.parse().unwrap_or(0);
        let end = all.len().min(start + 2);
        let next_page_token = if end < all.len() {
            end.to_string()
        } else {
            String::new()
        };
        Ok(Response::new(ListSessionsResponse {
            sessions: all[start..end].to_vec(),
            next_page_token,
        }))
    }

    type ReadRecordingStream = Pin<Box<dyn Stream<Item = Result<ReadRecordingResponse, Status>> + Send>>;

    /// Pieces of 50,000 bytes.
    async fn read_recording(
        &self,
        request: Request<ReadRecordingRequest>,
    ) -> Result<Response<Self::ReadRecordingStream>, Status> {
        let request = request.into_inner();
        self.state().read.push(request.clone());
        self.step().await?;
        self.behave(request.owner.as_ref())?;
        let state = self.state();
        let known = match state.sessions.get(&request.session_id) {
            Some(live) => live.stream == request.stream,
            None => state.tombstones.contains(&request.session_id),
        };
        let recorded = state.recorded;
        if !known || recorded.size == 0 {
            return Err(Status::not_found(""));
        }
        let file = Part::File(RecordingFile {
            size: recorded.size,
            format: RecordingFormat::Webm.into(),
        });
        let end = recorded.size.min(request.offset.saturating_add(request.length));
        let starts = tokio_stream::iter((request.offset..end).step_by(50_000));
        let pieces = starts.map(move |from| recorded.piece(from, end.min(from + 50_000)));
        let first = tokio_stream::once(Ok(ReadRecordingResponse { part: Some(file) }));
        Ok(Response::new(Box::pin(first.chain(pieces))))
    }

    async fn drain(&self, request: Request<DrainRequest>) -> Result<Response<DrainResponse>, Status> {
        let request = request.into_inner();
        self.behave(request.owner.as_ref())?;
        let mut state = self.state();
        state.drained.push(request.deadline_seconds);
        let sessions = state.sessions.len() as u32;
        Ok(Response::new(DrainResponse { sessions }))
    }
}
