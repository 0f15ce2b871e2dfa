//! `/log` on the admin address: what is logged, changed while the process runs. It tells of no session what another page does not, but a
//! full disk is an outage: only who is on the process's own machine may change it. `kubectl port-forward` and `docker exec` are.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{
        HeaderMap, HeaderName, StatusCode,
        header::{FORWARDED, HOST, VIA},
        uri::Authority,
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use tracing::warn;
use tracing_subscriber::{EnvFilter, reload};

use super::log::{self, FilterError};
use crate::process::admin::Ends;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Of a filter: dozens of targets with levels.
const FILTER_BYTES_MAX: usize = 1024;

/// What is logged. Cheap to clone: clones share it.
#[derive(Clone)]
pub(crate) struct Levels(Arc<Shared>);

struct Shared {
    apply: Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>,
    /// What the process was started with.
    first: String,
    /// Held for one change, never across an await.
    current: Mutex<String>,
}

/// Why the filter stays what it was.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("give a level, or targets with levels, as in whipcord_worker=debug,info")]
    NoTargets,
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error("the log is gone: {0}")]
    Gone(#[from] reload::Error),
}

impl Levels {
    /// `first` is what is logged now; `apply` changes it.
    pub(super) fn new(
        first: String,
        apply: impl Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            apply: Box::new(apply),
            current: Mutex::new(first.clone()),
            first,
        }))
    }

    /// GET, PUT and DELETE /log, for the admin address.
    pub(super) fn router(self) -> Router {
        let methods = get(async |State(levels): State<Self>| format!("{}\n", levels.current()))
            .put(async |State(levels): State<Self>, body: String| levels.answer(&body))
            .delete(async |State(levels): State<Self>| levels.answer(&levels.0.first));
        Router::new()
            .route("/log", methods)
            .layer(DefaultBodyLimit::max(FILTER_BYTES_MAX))
            .layer(middleware::from_fn(admit))
            .with_state(self)
    }

    fn answer(&self, filter: &str) -> Response {
        match self.set(filter.trim()) {
            Ok(()) => format!("{}\n", self.current()).into_response(),
            Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
        }
    }

    fn set(&self, filter: &str) -> Result<(), Error> {
        if filter.is_empty() || filter.contains(['[', '{']) {
            return Err(Error::NoTargets);
        }
        let parsed = log::filter(filter)?;
        let mut current = self.current();
        (self.0.apply)(parsed)?;
        // With both, each change can be undone; as it is written, it is one line.
        warn!(from = ?*current, to = ?filter, "the log filter was changed");
        filter.clone_into(&mut current);
        Ok(())
    }

    fn current(&self) -> MutexGuard<'_, String> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Levels").field(&*self.current()).finish()
    }
}

/// Who is here, and is no page in a browser here: one that had its own name point here would send that as Host. A proxy that brings
/// others' requests comes from 127.0.0.0/8 to the pod's own address (a mesh's does), or says that it is one.
async fn admit(ends: Option<Extension<Ends>>, request: Request, next: Next) -> Response {
    let is_here = ends.is_some_and(|Extension(Ends { peer, local })| {
        [peer, local].iter().all(|address| address.to_canonical().is_loopback())
    });
    let headers = request.headers();
    let is_direct = [FORWARDED, VIA, X_FORWARDED_FOR]
        .iter()
        .all(|name| !headers.contains_key(name));
    if is_here && is_direct && names_no_other(headers) {
        return next.run(request).await;
    }
    let sentence = "only from this machine: by its 127.0.0.1, kubectl port-forward, or docker exec\n";
    (StatusCode::FORBIDDEN, sentence).into_response()
}

/// An address, or this machine's own name.
fn names_no_other(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = host.and_then(|host| host.parse::<Authority>().ok());
    authority.is_some_and(|authority| {
        let name = authority.host().trim_matches(['[', ']']);
        name == "localhost" || name.parse::<IpAddr>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use tower::ServiceExt as _;

    use super::*;

    /// Applies nothing, and counts.
    fn levels() -> (Levels, Arc<Mutex<usize>>) {
        let applied = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&applied);
        let apply = move |_| {
            *counted.lock().unwrap() += 1;
            Ok(())
        };
        (Levels::new("info".to_owned(), apply), applied)
    }

    async fn ask(levels: &Levels, method: &str, body: &str) -> (u16, String) {
        let request = Request::builder().method(method).header(HOST, "127.0.0.1:1");
        send(
            levels,
            ("127.0.0.1", "127.0.0.1"),
            request.body(Body::from(body.to_owned())).unwrap(),
        )
        .await
    }

    async fn send(levels: &Levels, (peer, local): (&str, &str), mut request: Request) -> (u16, String) {
        let ends = Ends {
            peer: peer.parse().unwrap(),
            local: local.parse().unwrap(),
        };
        *request.uri_mut() = "/log".parse().unwrap();
        let router = levels.clone().router().layer(Extension(ends));
        let response = router.oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn only_who_is_here_changes_what_is_logged() {
        let table = [
            ("127.0.0.1", "127.0.0.1", "host: 127.0.0.1:9090", 200),
            ("::1", "::1", "host: [::1]:9090", 200),
            ("::ffff:127.0.0.1", "::ffff:127.0.0.1", "host: localhost:9090", 200),
            ("10.0.0.7", "127.0.0.1", "host: 127.0.0.1:9090", 403),
            ("10.0.0.7", "10.0.0.9", "host: 10.0.0.9:9090", 403),
            // By a mesh's proxy, which is in the same pod.
            ("127.0.0.6", "10.0.0.9", "host: 10.0.0.9:9090", 403),
            ("127.0.0.1", "127.0.0.1", "host: rebound.example.com:9090", 403),
            ("127.0.0.1", "127.0.0.1", "", 403),
            (
                "127.0.0.1",
                "127.0.0.1",
                "host: localhost, x-forwarded-for: 10.0.0.7",
                403,
            ),
            (
                "127.0.0.1",
                "127.0.0.1",
                "host: localhost, forwarded: for=10.0.0.7",
                403,
            ),
            ("127.0.0.1", "127.0.0.1", "host: localhost, via: 1.1 proxy", 403),
        ];
        for (peer, local, headers, expected) in table {
            let (levels, applied) = levels();
            let mut request = Request::builder().method("PUT");
            for (name, value) in headers.split(", ").filter_map(|header| header.split_once(": ")) {
                request = request.header(name, value);
            }
            let (status, _) = send(&levels, (peer, local), request.body("debug".into()).unwrap()).await;
            assert_eq!(status, expected, "{peer} {local} {headers}");
            assert_eq!(
                *applied.lock().unwrap(),
                usize::from(expected == 200),
                "{peer} {local} {headers}"
            );
        }
    }

    #[tokio::test]
    async fn it_is_read_changed_and_taken_back() {
        let (levels, applied) = levels();
        let long = "a".repeat(FILTER_BYTES_MAX + 1);
        let table = [
            ("GET", "", 200, "info\n"),
            (
                "PUT",
                " whipcord_worker=debug,info\n",
                200,
                "whipcord_worker=debug,info\n",
            ),
            ("PUT", "whipcord=loud", 400, ""),
            ("PUT", "[session{sid=\"a\"}]=trace", 400, ""),
            ("PUT", "", 400, ""),
            ("PUT", long.as_str(), 413, ""),
            ("GET", "", 200, "whipcord_worker=debug,info\n"),
            ("DELETE", "", 200, "info\n"),
            ("POST", "debug", 405, ""),
        ];
        for (method, body, status, answer) in table {
            let answered = ask(&levels, method, body).await;
            assert_eq!(answered.0, status, "{method} {body}: {answered:?}");
            assert!(
                answer.is_empty() || answered.1 == answer,
                "{method} {body}: {answered:?}"
            );
        }
        assert_eq!(*applied.lock().unwrap(), 2);
    }
}
