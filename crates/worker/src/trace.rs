//! The spans of gateways' calls, after the semantic conventions of OpenTelemetry for gRPC servers.

use opentelemetry::{
    Context, KeyValue, global,
    trace::{FutureExt as _, SpanKind, Status as SpanStatus, TraceContextExt as _, Tracer as _},
};
use tonic::{Request, Response, Status};
use whipcord_proto::trace;

const TRACER: &str = "whipcord.worker";

/// Serves a call within a span of its own, which continues the caller's trace.
pub(crate) async fn serve<M, T>(
    method: &'static str,
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
        ]);
    let context = parent.with_span(tracer.build_with_context(span, &parent));
    let outcome = serve(request.into_inner()).with_context(context.clone()).await;
    end(&context, outcome.as_ref().err());
    outcome.map(Response::new)
}

fn end(context: &Context, error: Option<&Status>) {
    let span = context.span();
    let code = error.map_or("OK", |status| trace::status_name(status.code()));
    span.set_attribute(KeyValue::new("rpc.response.status_code", code));
    if error.is_some() {
        span.set_attribute(KeyValue::new("error.type", code));
        span.set_status(SpanStatus::error(""));
    }
    span.end();
}
