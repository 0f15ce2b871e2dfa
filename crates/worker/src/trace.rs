//! The spans of gateways' calls, after the semantic conventions of OpenTelemetry for gRPC servers.

pub(crate) mod session;

use std::{sync::Arc, time::Instant};

use opentelemetry::{
    Context, KeyValue, global,
    metrics::Histogram,
    trace::{FutureExt as _, Link, SpanKind, Status as SpanStatus, TraceContextExt as _, Tracer as _},
};
use tonic::{Request, Response, Status};
use whipcord_proto::trace;

use crate::snapshot::Info;

const TRACER: &str = "whipcord.worker";

/// A span keeps no more (OpenTelemetry's own default).
pub(crate) const LINKS_MAX: usize = 128;

/// Serves a call within a span of its own, which continues the caller's trace. Where it is about a session that lives, it is linked to
/// that one's way to media.
pub(crate) async fn serve<M, T>(
    calls: &Histogram<f64>,
    method: &'static str,
    session: Option<&Info>,
    request: Request<M>,
    serve: impl AsyncFnOnce(M) -> Result<T, Status>,
) -> Result<Response<T>, Status> {
    let parent = trace::extract(request.metadata());
    let tracer = global::tracer(TRACER);
    let span = tracer
        .span_builder(method)
        .with_kind(SpanKind::Server)
        .with_attributes([
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", method),
        ])
        .with_links(session.map(|info| link(&info.trace)).into_iter().collect());
    let context = parent.with_span(tracer.build_with_context(span, &parent));
    let serving = serve(request.into_inner()).with_context(context.clone());
    let outcome = measure(calls, method, serving).await;
    end(&context, outcome.as_ref().err());
    outcome.map(Response::new)
}

/// How long a call takes to be served. What only reads is measured, and leaves no span: pages and commands ask again and again.
pub(crate) async fn measure<T>(
    calls: &Histogram<f64>,
    method: &'static str,
    serving: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    let begun = Instant::now();
    let outcome = serving.await;
    let attributes = [
        KeyValue::new("rpc.system.name", "grpc"),
        KeyValue::new("rpc.method", method),
        KeyValue::new("rpc.response.status_code", code(outcome.as_ref().err())),
    ];
    calls.record(begun.elapsed().as_secs_f64(), &attributes);
    outcome
}

/// The span of a drain, linked to sessions that it finds.
pub(crate) fn drain<'a>(linked: impl Iterator<Item = &'a Arc<Info>>, sessions: usize) -> Context {
    let tracer = global::tracer(TRACER);
    let span = tracer
        .span_builder("whipcord.drain")
        .with_attributes([KeyValue::new("whipcord.session.count", sessions as i64)])
        .with_links(linked.map(|info| link(&info.trace)).collect());
    Context::current_with_span(span.start(&tracer))
}

fn link(trace: &Context) -> Link {
    Link::with_context(trace.span().span_context().clone())
}

fn end(context: &Context, error: Option<&Status>) {
    let span = context.span();
    let code = code(error);
    span.set_attribute(KeyValue::new("rpc.response.status_code", code));
    if error.is_some() {
        span.set_attribute(KeyValue::new("error.type", code));
        span.set_status(SpanStatus::error(""));
    }
    span.end();
}

fn code(error: Option<&Status>) -> &'static str {
    error.map_or("OK", |status| trace::status_name(status.code()))
}
