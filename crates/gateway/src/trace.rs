//! The spans of a request, after the semantic conventions of OpenTelemetry for HTTP servers and gRPC clients. Never in one: a token,
//! and the path of a session, which gives leave to end it.

use std::{fmt::Display, time::Instant};

use http::{HeaderMap, Method, StatusCode, header, request::Parts};
use opentelemetry::{
    Context, KeyValue, global,
    metrics::Histogram,
    propagation::Extractor,
    trace::{FutureExt as _, Span as _, SpanKind, Status as SpanStatus, TraceContextExt as _, Tracer as _},
};
use tonic::{Code, Request, Status};
use whipcord_identity::StreamName;
use whipcord_proto::trace;

use crate::{client::Client, problem::Error};

/// Marks a context that continues an encoder's trace: whether to record that is not for the encoder to say.
#[derive(Clone, Copy, Debug)]
pub struct FromOutside;

const TRACER: &str = "whipcord.gateway";
/// User agents are chosen by strangers; real ones are shorter.
const USER_AGENT_BYTES_MAX: usize = 128;

/// The span of a request, and of all that is done for it.
pub(crate) fn request(parts: &Parts, route: Option<&'static str>, scheme: &'static str, client: &Client) -> Context {
    let method = known(&parts.method);
    let name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
    let mut attributes = vec![
        KeyValue::new("http.request.method", method),
        KeyValue::new("url.scheme", scheme),
        KeyValue::new("client.address", client.address.to_string()),
    ];
    attributes.extend(route.map(|route| KeyValue::new("http.route", route)));
    attributes.extend(user_agent(&parts.headers).map(|agent| KeyValue::new("user_agent.original", agent)));
    let parent = global::get_text_map_propagator(|w3c| w3c.extract(&Headers(&parts.headers))).with_value(FromOutside);
    let tracer = global::tracer(TRACER);
    let span = tracer
        .span_builder(name)
        .with_kind(SpanKind::Server)
        .with_attributes(attributes);
    let span = tracer.build_with_context(span, &parent);
    parent.with_span(span)
}

/// Ends a request's span.
pub(crate) fn answered(request: &Context, status: StatusCode, error: Option<&Error>) {
    let span = request.span();
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    if let Some(error) = error {
        span.set_attribute(KeyValue::new("error.type", error.reason().to_owned()));
    }
    if status.is_server_error() {
        span.set_status(SpanStatus::error(""));
    }
    span.end();
}

/// A step within the request of the current context, as long as it takes.
pub(crate) fn step<T, E: Display>(name: &'static str, step: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let mut span = global::tracer(TRACER).start(name);
    let outcome = step();
    if let Err(error) = &outcome {
        span.set_status(SpanStatus::error(error.to_string()));
    }
    span.end();
    outcome
}

/// The search for a worker, within the request of the current context: what is asked of the directory and of workers is within it.
pub(crate) async fn place<T>(
    stream: &StreamName,
    place: impl Future<Output = (Result<T, Error>, usize)>,
) -> Result<T, Error> {
    let tracer = global::tracer(TRACER);
    let span = tracer
        .span_builder("whipcord.placement")
        .with_attributes([KeyValue::new("whipcord.stream.id", stream.to_string())])
        .start(&tracer);
    let context = Context::current_with_span(span);
    let (outcome, attempts) = place.with_context(context.clone()).await;
    let span = context.span();
    span.set_attribute(KeyValue::new("whipcord.placement.attempts", attempts as i64));
    if let Err(error) = &outcome {
        span.set_attribute(KeyValue::new("error.type", error.kind()));
        span.set_status(SpanStatus::error(""));
    }
    span.end();
    outcome
}

/// A call to a worker, which learns of the trace by [`hand_on`].
pub(crate) async fn call<T>(
    durations: &Histogram<f64>,
    method: &'static str,
    address: &str,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    let tracer = global::tracer(TRACER);
    let span = tracer
        .span_builder(method)
        .with_kind(SpanKind::Client)
        .with_attributes([
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", method),
            KeyValue::new("server.address", address.to_owned()),
        ])
        .start(&tracer);
    let context = Context::current_with_span(span);
    let begun = Instant::now();
    let outcome = call.with_context(context.clone()).await;
    let code = outcome.as_ref().map_or_else(Status::code, |_| Code::Ok);
    let span = context.span();
    span.set_attribute(KeyValue::new("rpc.response.status_code", trace::status_name(code)));
    if code != Code::Ok {
        span.set_attribute(KeyValue::new("error.type", trace::status_name(code)));
        span.set_status(SpanStatus::error(""));
    }
    span.end();
    let attributes = [
        KeyValue::new("rpc.system.name", "grpc"),
        KeyValue::new("rpc.method", method),
        KeyValue::new("rpc.response.status_code", trace::status_name(code)),
    ];
    durations.record(begun.elapsed().as_secs_f64(), &attributes);
    outcome
}

/// An interceptor: writes the current context into a call.
pub(crate) fn hand_on(mut call: Request<()>) -> Result<Request<()>, Status> {
    trace::inject(call.metadata_mut());
    Ok(call)
}

/// Methods of strangers would each be a name of their own.
pub(crate) fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 6] = ["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"];
    KNOWN
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or("_OTHER")
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    let agent = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(agent.chars().take(USER_AGENT_BYTES_MAX).collect())
}

/// What an encoder says of its trace, but for `tracestate`: it may be all of a request's head, would be in each span and each call to a
/// worker, and nobody here reads it.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        if key.eq_ignore_ascii_case("tracestate") {
            return None;
        }
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
