//! What a gateway counts. Instruments of OpenTelemetry; attributes are of closed sets, never a stream, a session or an address:
//! docs/telemetry.md lists them.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use http::{Method, StatusCode};
use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram, Meter},
};
use whipcord_directory::{Freshness, Health};

use crate::{Shared, limits::WAITING_MAX, problem::Error, trace};

/// Seconds. An answer takes a millisecond, a wait for room five seconds, a call at most ten.
const BOUNDARIES: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

#[derive(Debug)]
pub(crate) struct Metrics {
    requests: Histogram<f64>,
    rejected: Counter<u64>,
    placements: Histogram<f64>,
    attempts: Histogram<u64>,
    reports: Counter<u64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = meter();
        Self {
            requests: seconds(
                &meter,
                "http.server.request.duration",
                "From a request's head to the head of its answer",
            ),
            rejected: meter
                .u64_counter("whipcord.request.rejected")
                .with_unit("{request}")
                .with_description("POSTs that made no session")
                .build(),
            placements: seconds(
                &meter,
                "whipcord.placement.duration",
                "From a POST's offer to a worker's answer",
            ),
            attempts: meter
                .u64_histogram("whipcord.placement.attempts")
                .with_unit("{attempt}")
                .with_description("Workers asked for one POST")
                .with_boundaries(vec![0.0, 1.0, 2.0, 3.0])
                .build(),
            reports: meter
                .u64_counter("whipcord.directory.reports")
                .with_unit("{report}")
                .with_description("Reports of workers, taken into the directory or refused")
                .build(),
        }
    }

    pub(crate) fn answered(
        &self,
        method: &Method,
        route: Option<&'static str>,
        status: StatusCode,
        error: Option<&Error>,
        took: Duration,
    ) {
        let method = trace::known(method);
        let mut attributes = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
        ];
        attributes.extend(route.map(|route| KeyValue::new("http.route", route)));
        self.requests.record(took.as_secs_f64(), &attributes);
        if method == "POST"
            && let Some(error) = error
        {
            self.rejected.add(1, &[KeyValue::new("reason", error.kind())]);
        }
    }

    /// `attempts` workers were asked for a POST.
    pub(crate) fn placed(&self, attempts: usize, error: Option<&Error>, took: Duration) {
        let outcome = [KeyValue::new("outcome", error.map_or("placed", Error::kind))];
        self.placements.record(took.as_secs_f64(), &outcome);
        self.attempts.record(attempts as u64, &outcome);
    }

    /// A worker's report is in the directory, or refused: then it tells all again.
    pub(crate) fn reported(&self, kind: &'static str, is_taken: bool) {
        let result = if is_taken { "ok" } else { "refused" };
        self.reports
            .add(1, &[KeyValue::new("kind", kind), KeyValue::new("result", result)]);
    }
}

/// Of calls to workers.
pub(crate) fn calls() -> Histogram<f64> {
    seconds(&meter(), "rpc.client.call.duration", "A call to a worker")
}

/// What is looked at whenever somebody asks for it.
pub(crate) fn observe(shared: &Arc<Shared>) {
    let meter = meter();
    let seen = Arc::downgrade(shared);
    meter
        .u64_observable_gauge("whipcord.directory.workers")
        .with_unit("{worker}")
        .with_description("Workers whose lease lives, as this gateway knows them")
        .with_callback(move |gauge| {
            let Some(shared) = Weak::upgrade(&seen) else { return };
            let workers = shared.directory.workers().workers;
            for (state, health) in [
                ("alive", Health::Alive),
                ("suspect", Health::Suspect),
                ("draining", Health::Draining),
                ("unaddressed", Health::Unaddressed),
            ] {
                let count = workers.iter().filter(|worker| worker.health == health).count();
                gauge.observe(count as u64, &[KeyValue::new("state", state)]);
            }
        })
        .build();
    let seen = Arc::downgrade(shared);
    meter
        .u64_observable_gauge("whipcord.placement.waiting")
        .with_unit("{request}")
        .with_description("POSTs that wait until a worker has room")
        .with_callback(move |gauge| {
            if let Some(shared) = Weak::upgrade(&seen) {
                gauge.observe((WAITING_MAX - shared.waiting.available_permits()) as u64, &[]);
            }
        })
        .build();
    let seen = Arc::downgrade(shared);
    meter
        .u64_observable_gauge("whipcord.redis.degraded")
        .with_description(
            "1 while Redis has not answered for as long as a lease: sessions are placed by what was known last",
        )
        .with_callback(move |gauge| {
            if let Some(shared) = Weak::upgrade(&seen) {
                let is_stale = shared.directory.workers().freshness == Freshness::Stale;
                gauge.observe(u64::from(is_stale), &[]);
            }
        })
        .build();
}

fn meter() -> Meter {
    global::meter("whipcord.gateway")
}

fn seconds(meter: &Meter, name: &'static str, description: &'static str) -> Histogram<f64> {
    meter
        .f64_histogram(name)
        .with_unit("s")
        .with_description(description)
        .with_boundaries(BOUNDARIES.to_vec())
        .build()
}
