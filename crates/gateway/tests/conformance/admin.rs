//! The operators' API, called as its listener calls it.

use axum::body::Body;
use expect_test::expect_file;
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use whipcord_gateway::auth::Scope;
use whipcord_identity::Incarnation;
use whipcord_proto::worker::DeleteReason;

use crate::{
    bed::{Bed, Published},
    worker::Behaviour,
};

/// Status and JSON of the answer; `null` where there is no body.
pub(crate) async fn call(
    bed: &Bed,
    token: Option<&str>,
    method: Method,
    path: &str,
    body: Value,
) -> (StatusCode, Value) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let body = if body == Value::Null {
        Body::empty()
    } else {
        request = request.header(header::CONTENT_TYPE, "application/json");
        Body::from(body.to_string())
    };
    let response = bed.gateway.admin().oneshot(request.body(body).unwrap()).await.unwrap();
    assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

pub(crate) async fn get(bed: &Bed, path: &str) -> Value {
    let token = bed.mint_with(&["*"], Scope::Admin);
    let (status, body) = call(bed, Some(&token), Method::GET, path, Value::Null).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

#[tokio::test]
async fn only_an_admins_token_is_let_in() {
    let bed = Bed::start().await;
    for path in ["/api/workers", "/api/sessions", "/api/streams", "/api/openapi.json"] {
        for (token, status, reason) in [
            (None, 401, "no_token"),
            (Some("guess"), 401, "invalid_token"),
            (Some(bed.token.as_str()), 403, "not_admin"),
        ] {
            let (found, problem) = call(&bed, token, Method::GET, path, Value::Null).await;
            assert_eq!((found.as_u16(), &problem["reason"]), (status, &json!(reason)), "{path}");
        }
    }
}

#[tokio::test]
async fn workers_sessions_and_streams_are_listed() {
    let bed = Bed::start().await;
    let (one, two) = (bed.publish("live/1").await, bed.publish("live/2").await);
    let workers = get(&bed, "/api/workers").await;
    assert_eq!(
        workers,
        json!({"workers": [{
            "worker": "worker-0", "incarnation": "0000000000000000", "address": "pipe:0", "health": "alive",
            "sessions": 2, "sessions_max": 100, "packets_per_second": 0, "cpu_percent": 0,
        }]})
    );
    let sessions = get(&bed, "/api/sessions").await;
    let names: Vec<_> = sessions["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|session| (session["stream"].as_str().unwrap(), session["worker"].as_str().unwrap()))
        .collect();
    assert_eq!(names, [("live/1", "worker-0"), ("live/2", "worker-0")]);
    assert_eq!(sessions["sessions"][0]["connection_state"], "connected");
    let filtered = get(&bed, "/api/sessions?stream=live/2").await;
    assert_eq!(filtered["sessions"][0]["sid"], two.sid());
    assert_eq!(
        get(&bed, "/api/sessions?worker=other").await,
        json!({"sessions": [], "unanswered": [], "cut": false})
    );
    assert_eq!(
        get(&bed, "/api/streams").await,
        json!({"streams": {"live/1": [one.sid()], "live/2": [two.sid()]}, "unanswered": [], "cut": false})
    );
    assert_eq!(
        get(&bed, &format!("/api/sessions/{}", one.sid())).await["stream"],
        "live/1"
    );
    let admin = bed.mint_with(&[], Scope::Admin);
    for (path, reason) in [
        ("/api/sessions/AAAAAAAAAAAAAAAAAAAAAA", "no_such_session"),
        ("/api/sessions/x", "no_such_session"),
        ("/api/sessions?streams=a", "query"),
    ] {
        let (_, problem) = call(&bed, Some(&admin), Method::GET, path, Value::Null).await;
        assert_eq!(problem["reason"], reason, "{path}");
    }
}

#[tokio::test]
async fn a_session_is_ended_and_a_worker_drained() {
    let bed = Bed::start().await;
    let published = bed.publish("cam").await;
    let admin = bed.mint_with(&[], Scope::Admin);
    let path = format!("/api/sessions/{}", published.sid());
    let (status, _) = call(&bed, Some(&admin), Method::DELETE, &path, Value::Null).await;
    assert_eq!(
        (status.as_u16(), bed.worker.deleted()),
        (204, vec![DeleteReason::Operator])
    );
    let drain = async |worker: &str, body: Value| {
        let path = format!("/api/workers/{worker}/drain");
        let (status, body) = call(&bed, Some(&admin), Method::POST, &path, body).await;
        (status.as_u16(), body["reason"].as_str().map(str::to_owned))
    };
    assert_eq!(drain("worker-0", json!({"deadline_seconds": 60})).await, (200, None));
    assert_eq!(bed.worker.state().drained, [60]);
    assert_eq!(
        drain("worker-9", json!({"deadline_seconds": 60})).await,
        (404, Some("no_such_worker".to_owned()))
    );
    assert_eq!(
        drain("worker-0", json!({"deadline": 60})).await,
        (400, Some("json".to_owned()))
    );
}

/// Three workers, of which the first has a session.
async fn three(behaviour: Behaviour) -> (Bed, Published) {
    let bed = Bed::start().await;
    let published = bed.publish("cam").await;
    for n in [1, 2] {
        bed.hello_of(n).await;
    }
    bed.worker.state().behaviour.insert(1, behaviour);
    (bed, published)
}

#[tokio::test]
async fn what_a_silent_worker_may_have_is_not_said_to_be_gone() {
    let (bed, published) = three(Behaviour::Away).await;
    let admin = bed.mint_with(&[], Scope::Admin);
    let unknown = "/api/sessions/AAAAAAAAAAAAAAAAAAAAAA";
    for method in [Method::GET, Method::DELETE] {
        let (status, problem) = call(&bed, Some(&admin), method, unknown, Value::Null).await;
        assert_eq!((status.as_u16(), &problem["reason"]), (503, &json!("worker_away")));
    }
    let found = get(&bed, &format!("/api/sessions/{}", published.sid())).await;
    assert_eq!(found["worker"], "worker-0");
    for path in ["/api/sessions", "/api/streams"] {
        let listed = get(&bed, path).await;
        assert_eq!(listed["unanswered"], json!(["worker-1"]), "{listed}");
    }
    let asked_alone = get(&bed, "/api/sessions?worker=worker-0").await;
    assert_eq!(
        (&asked_alone["unanswered"], &asked_alone["sessions"][0]["stream"]),
        (&json!([]), &json!("cam"))
    );
    // The one that is gone has nothing that could be missing.
    bed.worker.state().behaviour.insert(1, Behaviour::Dead);
    assert_eq!(get(&bed, "/api/sessions").await["unanswered"], json!([]));
    assert!(bed.directory.worker(Incarnation(1)).await.is_none(), "it is buried");
    let (status, _) = call(&bed, Some(&admin), Method::GET, unknown, Value::Null).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_list_without_end_is_left() {
    let (bed, _) = three(Behaviour::Endless).await;
    bed.worker.hold(&[7; 16], "other", 0);
    let listed = get(&bed, "/api/sessions").await;
    assert_eq!(listed["unanswered"], json!(["worker-1"]), "{listed}");
    let of = |worker: &str| {
        let sessions = listed["sessions"].as_array().unwrap().iter();
        sessions.filter(|session| session["worker"] == worker).count()
    };
    assert_eq!([of("worker-0"), of("worker-1"), of("worker-2")], [2, 1, 1]);
}

#[tokio::test]
async fn a_worker_that_claims_anothers_session_does_not_swallow_its_end() {
    for claimed in ["cam", "elsewhere"] {
        let (bed, published) = three(Behaviour::Claims(claimed)).await;
        bed.worker.state().behaviour.insert(2, Behaviour::Claims(claimed));
        let path = format!("/api/sessions/{}", published.sid());
        assert_eq!(get(&bed, &path).await["worker"], "worker-0", "{claimed}");
        let admin = bed.mint_with(&[], Scope::Admin);
        let (status, _) = call(&bed, Some(&admin), Method::DELETE, &path, Value::Null).await;
        let ended: Vec<_> = bed
            .worker
            .state()
            .deleted
            .iter()
            .map(|ended| ended.owner.clone())
            .collect();
        let ended: Vec<u64> = ended.into_iter().map(|owner| owner.unwrap().incarnation).collect();
        assert_eq!((status.as_u16(), ended), (204, vec![0]), "{claimed}");
    }
}

/// Two starts of one worker are listed while the first one's lease lives.
#[tokio::test]
async fn a_drain_goes_on_after_an_error_and_says_who_did_not_hear_it() {
    let bed = Bed::start().await;
    bed.publish("cam").await;
    for incarnation in [8, 9] {
        bed.hello_as(0, incarnation).await;
    }
    let admin = bed.mint_with(&[], Scope::Admin);
    let drain = async || {
        let body = json!({"deadline_seconds": 60});
        call(&bed, Some(&admin), Method::POST, "/api/workers/worker-0/drain", body).await
    };
    bed.worker.state().behaviour.insert(8, Behaviour::Dead);
    let (status, body) = drain().await;
    assert_eq!((status.as_u16(), &body["unanswered"]), (200, &json!([])), "{body}");
    assert_eq!(bed.worker.state().drained, [60; 2]);
    bed.worker.state().behaviour.insert(9, Behaviour::Away);
    let (status, body) = drain().await;
    let silent = json!(["0000000000000009"]);
    assert_eq!((status.as_u16(), &body["unanswered"]), (200, &silent), "{body}");
    assert_eq!(bed.worker.state().drained, [60; 3]);
    bed.worker.state().behaviour.insert(0, Behaviour::Away);
    let (status, problem) = drain().await;
    assert_eq!((status.as_u16(), &problem["reason"]), (503, &json!("worker_away")));
}

/// What the document describes is there, and asks for a token.
#[tokio::test]
async fn the_document_describes_what_is_there() {
    let bed = Bed::start().await;
    let document = get(&bed, "/api/openapi.json").await;
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            routes.push((method.to_uppercase(), path.clone()));
        }
    }
    assert_eq!(routes.len(), 8, "{routes:?}");
    for (method, path) in routes {
        let method: Method = method.parse().unwrap();
        let path = path
            .replace("{sid}", "AAAAAAAAAAAAAAAAAAAAAA")
            .replace("{worker}", "worker-9")
            .replace("{stream}", "cam");
        let (status, problem) = call(&bed, None, method.clone(), &path, Value::Null).await;
        assert_eq!(
            (status.as_u16(), &problem["reason"]),
            (401, &json!("no_token")),
            "{method} {path}"
        );
    }
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    let track = &document["components"]["schemas"]["Track"]["properties"];
    assert!(track["keyframe_age_seconds"].is_object(), "{document}");
}

/// What `whipcord workers`, `streams` and `sessions` are tested with is what is answered here, but for ids: UPDATE_EXPECT=1 writes it.
#[tokio::test]
async fn the_answers_are_those_that_the_commands_read() {
    let bed = Bed::start().await;
    let published = bed.publish("live/1").await;
    for (path, recorded) in [
        ("/api/workers", expect_file!["answers/workers.json"]),
        ("/api/streams", expect_file!["answers/streams.json"]),
        ("/api/sessions", expect_file!["answers/sessions.json"]),
    ] {
        let answer = format!("{:#}\n", get(&bed, path).await);
        recorded.assert_eq(&answer.replace(published.sid(), "dhoa_Is_r2unJVxASz3tkA"));
    }
}
