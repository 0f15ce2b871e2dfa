//! `/api/sessions` and `/api/streams`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whipcord_identity::{SessionId, WorkerId};

use crate::{Shared, problem::Error, stats::Stats};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sessions {
    sessions: Vec<Session>,
    /// Workers that did not answer, or not to the end: what they have is missing here.
    unanswered: Vec<String>,
    /// There are more than fit in one answer.
    cut: bool,
}

/// A session and its figures of this moment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    /// Its id, by which logs and traces name it too.
    sid: String,
    worker: String,
    #[serde(flatten)]
    stats: Stats,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Of this stream only.
    stream: Option<String>,
    /// On this worker only.
    worker: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Streams {
    /// By name; the ids of each one's sessions.
    streams: BTreeMap<String, Vec<String>>,
    /// Workers that did not answer, or not to the end: what they have is missing here.
    unanswered: Vec<String>,
    /// There are more than fit in one answer.
    cut: bool,
}

/// All live sessions, in the order of their streams' names.
#[utoipa::path(get, path = "/api/sessions", params(Filter), responses((status = 200, body = Sessions)))]
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Sessions>, Error> {
    let Query(Filter { stream, worker }) = filter.map_err(|_| Error::Query)?;
    let worker = worker.map(|worker| worker.parse()).transpose();
    let worker: Option<WorkerId> = worker.map_err(|_| Error::NoSuchWorker)?;
    let mut listed = list_of(&shared, worker.as_ref()).await;
    if let Some(stream) = stream {
        listed.sessions.retain(|session| session.stats.stream == stream);
    }
    Ok(Json(listed))
}

/// One session, also for a minute after its end.
#[utoipa::path(
    get,
    path = "/api/sessions/{sid}",
    params(("sid" = String, Path, description = "The session's id")),
    responses(
        (status = 200, body = Session),
        (status = 404, description = "No worker knows it"),
        (status = 503, description = "A worker that may know it does not answer")
    )
)]
pub(super) async fn get(State(shared): State<Arc<Shared>>, Path(sid): Path<String>) -> Result<Json<Session>, Error> {
    let sid: SessionId = sid.parse().map_err(|_| Error::NoSuchSession)?;
    let (worker, session) = shared.find(sid).await?;
    let (_, _, stats) = Stats::new(session).map_err(|_| Error::NoSuchSession)?;
    Ok(Json(Session {
        sid: sid.to_string(),
        worker: worker.hello.worker.to_string(),
        stats,
    }))
}

/// Ends a session for its encoder: it sees a closed connection.
#[utoipa::path(
    delete,
    path = "/api/sessions/{sid}",
    params(("sid" = String, Path, description = "The session's id")),
    responses(
        (status = 204),
        (status = 404, description = "No worker knows it"),
        (status = 503, description = "A worker that may know it does not answer")
    )
)]
pub(super) async fn end(State(shared): State<Arc<Shared>>, Path(sid): Path<String>) -> Result<StatusCode, Error> {
    let sid: SessionId = sid.parse().map_err(|_| Error::NoSuchSession)?;
    shared.end_for_operator(sid).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The streams that are live, and their sessions.
#[utoipa::path(get, path = "/api/streams", responses((status = 200, body = Streams)))]
pub(super) async fn streams(State(shared): State<Arc<Shared>>) -> Json<Streams> {
    let Sessions {
        sessions,
        unanswered,
        cut,
    } = list_of(&shared, None).await;
    let mut streams: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Session { sid, stats, .. } in sessions {
        streams.entry(stats.stream).or_default().push(sid);
    }
    Json(Streams {
        streams,
        unanswered,
        cut,
    })
}

async fn list_of(shared: &Shared, worker: Option<&WorkerId>) -> Sessions {
    let listing = shared.list(worker).await;
    let listed = listing.sessions.into_iter();
    let mut sessions: Vec<Session> = listed
        .filter_map(|(worker, session)| {
            let (sid, _, stats) = Stats::new(session).ok()?;
            Some(Session {
                sid: sid.to_string(),
                worker: worker.to_string(),
                stats,
            })
        })
        .collect();
    sessions.sort_by(|one, other| (&one.stats.stream, &one.sid).cmp(&(&other.stats.stream, &other.sid)));
    Sessions {
        sessions,
        unanswered: listing.unanswered.iter().map(ToString::to_string).collect(),
        cut: listing.cut,
    }
}
