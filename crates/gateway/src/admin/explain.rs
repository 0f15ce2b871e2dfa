//! `/api/sessions/{sid}/explain` and `/api/streams/{stream}/explain`.
//!
//! Never in an answer: tokens, session URLs, anything of an SDP but names of codecs and layers.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use utoipa::ToSchema;
use whipcord_identity::SessionId;

use crate::{
    Shared,
    explain::{self, Diagnosis, Subject, Told, printable},
    problem::Error,
    refusals::Noted,
};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explanation {
    #[serde(flatten)]
    diagnosis: Diagnosed,
    /// What was the matter before somebody ended it.
    before_end: Option<Diagnosed>,
    /// Absent where there was none, or where no worker that answers knows it.
    session: Option<Explained>,
    /// What encoders of this stream were refused within the last hour, the last first.
    refused: Vec<Refused>,
    /// `cluster`: by any gateway; `gateway`: by this one alone, and what others may have told: the directory does not answer, or lost its data a
    /// moment ago.
    refused_by: &'static str,
    /// Workers that did not answer: one of them may know more.
    unanswered: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Diagnosed {
    /// One word.
    diagnosis: &'static str,
    /// What is the matter.
    sentence: String,
    /// What to do about it.
    action: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
struct Explained {
    sid: String,
    stream: String,
    worker: String,
    /// Seconds since the Unix epoch.
    created_at: f64,
    /// Seconds that it has lasted.
    age_seconds: f64,
    /// Seconds since its end.
    ended_seconds_ago: Option<f64>,
    timeline: Vec<Moment>,
    /// Moments that are left out of the middle, because they were so many.
    left_out: u32,
}

#[derive(Debug, Serialize, ToSchema)]
struct Moment {
    /// Seconds since the session's creation.
    seconds: f64,
    /// One word.
    event: String,
    /// An address, a codec, a reason.
    detail: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Refused {
    #[serde(flatten)]
    diagnosis: Diagnosed,
    method: String,
    /// As in the answer.
    reason: String,
    /// Of the last one.
    seconds_ago: f64,
    /// A good token came with it, that may name the stream: no stranger's.
    proven: bool,
}

/// Why a session does not deliver, or that it does: one diagnosis, and what happened; also for an hour after its end.
#[utoipa::path(
    get,
    path = "/api/sessions/{sid}/explain",
    params(("sid" = String, Path, description = "The session's id")),
    responses((status = 200, body = Explanation), (status = 404, description = "Nothing is known of it"))
)]
pub(super) async fn session(
    State(shared): State<Arc<Shared>>,
    Path(sid): Path<String>,
) -> Result<Json<Explanation>, Error> {
    let sid: SessionId = sid.parse().map_err(|_| Error::NothingKnown)?;
    Ok(Json(shared.explain(Subject::Session(sid)).await?.into()))
}

/// The same of a stream: of its session that lives, else of what came last, its session's end or a refused POST.
#[utoipa::path(
    get,
    path = "/api/streams/{stream}/explain",
    params(("stream" = String, Path, description = "The stream's name; `/` is written `%2F`")),
    responses((status = 200, body = Explanation), (status = 404, description = "Nothing is known of it"))
)]
pub(super) async fn stream(
    State(shared): State<Arc<Shared>>,
    Path(stream): Path<String>,
) -> Result<Json<Explanation>, Error> {
    let stream = stream.parse()?;
    Ok(Json(shared.explain(Subject::Stream(stream)).await?.into()))
}

impl From<explain::Explanation> for Explanation {
    fn from(explanation: explain::Explanation) -> Self {
        Self {
            diagnosis: (&explanation.diagnosis).into(),
            before_end: explanation.before_end.as_ref().map(Diagnosed::from),
            session: explanation.session.map(Explained::from),
            refused: explanation.refused.into_iter().map(Refused::from).collect(),
            refused_by: if explanation.refused_is_complete {
                "cluster"
            } else {
                "gateway"
            },
            unanswered: explanation.unanswered.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<&Diagnosis> for Diagnosed {
    fn from(diagnosis: &Diagnosis) -> Self {
        Self {
            diagnosis: diagnosis.word(),
            sentence: diagnosis.sentence(),
            action: diagnosis.action(),
        }
    }
}

impl From<Told> for Explained {
    fn from(told: Told) -> Self {
        let ended = told.ended();
        let Told {
            worker,
            sid,
            stream,
            response,
        } = told;
        let moments = response.timeline.into_iter().map(|moment| Moment {
            seconds: seconds(moment.age_ms),
            event: printable(&moment.event),
            detail: Some(printable(&moment.detail)).filter(|detail| !detail.is_empty()),
        });
        Self {
            sid: sid.to_string(),
            stream: stream.to_string(),
            worker: worker.to_string(),
            created_at: seconds(response.session.map_or(0, |session| session.created_at_ms)),
            age_seconds: seconds(response.age_ms),
            ended_seconds_ago: ended.as_ref().map(Duration::as_secs_f64),
            timeline: moments.collect(),
            left_out: response.left_out,
        }
    }
}

impl From<Noted> for Refused {
    fn from(Noted { kind, proven, age }: Noted) -> Self {
        Self {
            diagnosis: (&Diagnosis::Refused(kind.cause)).into(),
            method: kind.method.to_string(),
            reason: kind.word,
            seconds_ago: seconds(age.as_millis() as u64),
            proven,
        }
    }
}

fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}
