//! How long each operation on Redis takes: measured for all, and a span for those that a request waits for, after the semantic
//! conventions of OpenTelemetry for Redis. Never in either: a key or an argument.
//!
//! What belongs to no request (beats, reports, the view of all workers) has no trace to be in, and begins none: it would be hundreds of
//! them a minute, each of one span.

use std::time::Instant;

use opentelemetry::{
    Context, KeyValue, global,
    metrics::Histogram,
    trace::{FutureExt as _, SpanKind, Status, TraceContextExt as _, Tracer as _},
};

use crate::{
    config::{Place, Url},
    values::Unavailable,
};

const SCOPE: &str = "whipcord.directory";

/// Seconds. Redis answers within a millisecond, and no call waits for longer than half a second.
const BOUNDARIES: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 0.5];

#[derive(Debug)]
pub(super) struct Measure {
    durations: Histogram<f64>,
    /// As it was configured: of Sentinels and of a Cluster, all that are named.
    server: String,
}

/// What Redis is asked to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    Command(&'static str),
    Script(&'static str),
}

impl Measure {
    pub(super) fn new(url: &Url) -> Self {
        let durations = global::meter(SCOPE)
            .f64_histogram("db.client.operation.duration")
            .with_unit("s")
            .with_description("An operation on Redis, as long as its caller waited for it")
            .with_boundaries(BOUNDARIES.to_vec())
            .build();
        Self {
            durations,
            server: server(url),
        }
    }

    pub(super) async fn operation<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, Unavailable>>,
    ) -> Result<T, Unavailable> {
        let begun = Instant::now();
        let within = Context::map_current(Context::has_active_span);
        let outcome = if within {
            self.traced(operation, call).await
        } else {
            call.await
        };
        let mut attributes = operation.attributes();
        attributes.extend(outcome.as_ref().err().map(error));
        self.durations.record(begun.elapsed().as_secs_f64(), &attributes);
        outcome
    }

    async fn traced<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, Unavailable>>,
    ) -> Result<T, Unavailable> {
        let mut attributes = operation.attributes();
        attributes.push(KeyValue::new("server.address", self.server.clone()));
        let tracer = global::tracer(SCOPE);
        let span = tracer
            .span_builder(operation.name())
            .with_kind(SpanKind::Client)
            .with_attributes(attributes);
        let context = Context::current_with_span(span.start(&tracer));
        let outcome = call.with_context(context.clone()).await;
        let span = context.span();
        if let Err(unavailable) = &outcome {
            span.set_attribute(error(unavailable));
            span.set_status(Status::error(""));
        }
        span.end();
        outcome
    }
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Command(name) => name,
            // Also where the server had to be given its text: that is the same operation.
            Self::Script(_) => "EVALSHA",
        }
    }

    fn attributes(self) -> Vec<KeyValue> {
        let mut attributes = vec![
            KeyValue::new("db.system.name", "redis"),
            KeyValue::new("db.operation.name", self.name()),
        ];
        if let Self::Script(name) = self {
            attributes.push(KeyValue::new("db.stored_procedure.name", name));
        }
        attributes
    }
}

fn error(unavailable: &Unavailable) -> KeyValue {
    let kind = match unavailable {
        Unavailable::Away => "away",
        Unavailable::Newer(_) => "newer",
    };
    KeyValue::new("error.type", kind)
}

fn server(url: &Url) -> String {
    match &url.place {
        Place::Standalone { host, .. } => host.name.clone(),
        Place::Unix { path } => path.display().to_string(),
        Place::Sentinel { hosts, .. } | Place::Cluster { hosts } => {
            let names: Vec<_> = hosts.iter().map(|host| host.name.as_str()).collect();
            names.join(",")
        }
    }
}
