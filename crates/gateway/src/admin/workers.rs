//! `/api/workers`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whipcord_directory::{Health, Worker as Listed};
use whipcord_identity::WorkerId;

use crate::{Shared, operators::Asking, problem::Error};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Workers {
    workers: Vec<Worker>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Worker {
    worker: String,
    /// One start of its process.
    incarnation: String,
    /// Where gateways reach it.
    address: String,
    /// `alive`; `suspect`: its report stream broke; `draining`: it takes no new sessions; `unaddressed`: no controller
    /// has told it yet where encoders reach it, and it takes none.
    health: &'static str,
    /// Live and being made.
    sessions: usize,
    sessions_max: u32,
    /// Received over the last second.
    packets_per_second: u64,
    /// Of all that it may use.
    cpu_percent: u8,
}

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Drain {
    /// How long live sessions may go on; 0 ends them at once.
    deadline_seconds: u32,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Draining {
    /// That live now.
    sessions: u32,
    /// Starts of the worker that did not answer: they may not drain.
    unanswered: Vec<String>,
}

/// The workers that report, by name.
#[utoipa::path(get, path = "/api/workers", responses((status = 200, body = Workers)))]
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Json<Workers> {
    let workers = shared.directory.workers().workers;
    let mut workers: Vec<Worker> = workers.iter().cloned().map(Worker::from).collect();
    workers.sort_by(|one, other| (&one.worker, &one.incarnation).cmp(&(&other.worker, &other.incarnation)));
    Json(Workers { workers })
}

/// No new sessions on a worker; those that live go on until they end or the deadline passes.
#[utoipa::path(
    post,
    path = "/api/workers/{worker}/drain",
    params(("worker" = String, Path, description = "The worker's name")),
    request_body = Drain,
    responses(
        (status = 200, body = Draining),
        (status = 404, description = "No such worker reports"),
        (status = 503, description = "It does not answer")
    )
)]
pub(super) async fn drain(
    State(shared): State<Arc<Shared>>,
    Path(worker): Path<String>,
    body: Result<Json<Drain>, JsonRejection>,
) -> Result<Json<Draining>, Error> {
    let Json(Drain { deadline_seconds }) = body.map_err(|rejection| Error::Json(rejection.body_text()))?;
    let worker: WorkerId = worker.parse().map_err(|_| Error::NoSuchWorker)?;
    let drained = shared.drain(&worker, deadline_seconds, Asking::Operator).await?;
    Ok(Json(Draining {
        sessions: drained.sessions,
        unanswered: drained.unanswered.iter().map(ToString::to_string).collect(),
    }))
}

impl From<Listed> for Worker {
    fn from(
        Listed {
            hello,
            health,
            sessions,
            load,
        }: Listed,
    ) -> Self {
        Self {
            worker: hello.worker.to_string(),
            incarnation: hello.incarnation.to_string(),
            address: hello.address.to_string(),
            health: match health {
                Health::Alive => "alive",
                Health::Suspect => "suspect",
                Health::Draining => "draining",
                Health::Unaddressed => "unaddressed",
            },
            sessions,
            sessions_max: hello.sessions_max,
            packets_per_second: load.packets_per_second,
            cpu_percent: load.cpu,
        }
    }
}
