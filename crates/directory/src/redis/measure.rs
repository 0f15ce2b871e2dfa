//! How long each operation on Redis takes, after the semantic conventions of OpenTelemetry. Never in it: a key or an argument.

use std::time::Instant;

use opentelemetry::{KeyValue, global, metrics::Histogram};

use crate::values::Unavailable;

const SCOPE: &str = "whipcord.directory";

/// Seconds. Redis answers within a millisecond, and no call waits for longer than half a second.
const BOUNDARIES: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 0.5];

#[derive(Debug)]
pub(super) struct Measure {
    durations: Histogram<f64>,
}

/// What Redis is asked to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    Command(&'static str),
    Script(&'static str),
}

impl Measure {
    pub(super) fn new() -> Self {
        let durations = global::meter(SCOPE)
            .f64_histogram("db.client.operation.duration")
            .with_unit("s")
            .with_description("An operation on Redis, as long as its caller waited for it")
            .with_boundaries(BOUNDARIES.to_vec())
            .build();
        Self { durations }
    }

    pub(super) async fn operation<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, Unavailable>>,
    ) -> Result<T, Unavailable> {
        let begun = Instant::now();
        let outcome = call.await;
        let mut attributes = operation.attributes();
        attributes.extend(outcome.as_ref().err().map(error));
        self.durations.record(begun.elapsed().as_secs_f64(), &attributes);
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
