//! The operators' API, `/api/...`: what the workers and their sessions are doing, and what may be done to them. On an address of its
//! own, for tokens with the scope `admin`.
//!
//! Nothing is kept here: workers come from the directory, sessions and their figures from the workers, asked at that moment.

mod explain;
mod sessions;
mod workers;

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::time::timeout;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Shared, auth::Scope, problem::Error, response};

/// Longer than a worker's answer takes; the slowest thing here asks several in turn.
const ANSWER_MAX: Duration = Duration::from_secs(30);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Whipcord's API for operators",
        description = "Needs a bearer token with the scope `admin`. Errors are application/problem+json (RFC 9457)."
    ),
    modifiers(&Bearer),
    security(("bearer" = []))
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("bearer", scheme);
    }
}

/// Every route, each with its description: there is no other place where either is written down.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let (router, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(workers::list))
        .routes(routes!(workers::drain))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::get, sessions::end))
        .routes(routes!(sessions::streams))
        .routes(routes!(explain::session))
        .routes(routes!(explain::stream))
        .split_for_parts();
    router
        .route("/api/openapi.json", get(async || Json(document)))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&shared), admit))
        .layer(middleware::map_response(as_typed))
        .with_state(shared)
}

async fn as_typed(mut response: Response) -> Response {
    response::as_typed(response.headers_mut());
    response
}

/// Nothing of a request is looked at before its token.
async fn admit(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Result<Response, Error> {
    let grant = shared.authorize(request.headers())?;
    if grant.scope != Scope::Admin {
        return Err(Error::NotAdmin);
    }
    timeout(ANSWER_MAX, next.run(request)).await.map_err(|_| Error::Slow)
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if self.status().is_server_error() {
            tracing::error!(error = &self as &dyn std::error::Error, "cannot serve an operator");
        }
        self.to_http().map(axum::body::Body::from)
    }
}
