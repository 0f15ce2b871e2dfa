//! What a process tells of itself: log lines, traces and metrics. The roles say what happened through `tracing` and the API of
//! OpenTelemetry; here is decided where that goes. It must not know what is measured.

mod export;
mod levels;
mod log;
mod metrics;
mod runtime;
mod sampler;
mod told;

use std::{env, time::Duration};

use axum::Router;
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::{
    Resource,
    metrics::SdkMeterProvider,
    propagation::TraceContextPropagator,
    resource::{EnvResourceDetector, TelemetryResourceDetector},
    trace::SdkTracerProvider,
};

use crate::process;

pub(crate) use levels::Levels;
pub(crate) use log::{Config, FilterError, install};
use metrics::Metrics;
pub(crate) use metrics::streams;
use told::Refused;

/// Why telemetry cannot start as it was told: one sentence, which names the variable to change.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("OTEL_TRACES_SAMPLER_ARG is {0:?}; give the share of sessions to trace, from 0 to 1")]
    Ratio(String),
    #[error(
        "{0} is {1:?}, and traces and metrics are sent by gRPC alone; set it to grpc, and the endpoint to the collector's gRPC port, as http://collector:4317"
    )]
    Protocol(&'static str, String),
    #[error("cannot export to the endpoint of OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    #[error("cannot collect metrics: {0}")]
    Reader(#[from] opentelemetry_sdk::error::OTelSdkError),
}

/// A collector that hangs may not keep the process from ending for longer.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Traces and metrics of a role's process, until [`Telemetry::end`].
#[derive(Debug)]
pub(crate) struct Telemetry {
    /// `None` where no collector is named: then nothing is recorded, either.
    traces: Option<SdkTracerProvider>,
    meters: SdkMeterProvider,
    pages: Pages,
}

/// What operators may ask of a process's telemetry.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    metrics: Metrics,
    levels: Levels,
}

impl Telemetry {
    /// Installs the providers of this process; `service` is its name in traces, unless OTEL_SERVICE_NAME gives another.
    pub(crate) fn start(service: &'static str, levels: Levels) -> Result<Self, Error> {
        let resource = resource(service);
        let metrics = Metrics::default();
        let mut meters = SdkMeterProvider::builder()
            .with_resource(resource.clone())
            .with_reader(metrics.reader()?);
        let mut traces = None;
        if export::is_on() {
            export::check_protocol()?;
            let refused = Refused::default();
            meters = meters.with_periodic_exporter(export::metrics(refused.clone())?);
            let provider = SdkTracerProvider::builder()
                .with_resource(resource)
                .with_sampler(sampler::from_environment()?)
                // It drops what its queue of 2,048 does not take: a collector that hangs costs no memory.
                .with_batch_exporter(export::spans(refused)?)
                .build();
            traces = Some(provider);
        }
        let meters = meters.build();
        global::set_meter_provider(meters.clone());
        runtime::observe();
        if let Some(provider) = &traces {
            global::set_tracer_provider(provider.clone());
            global::set_text_map_propagator(TraceContextPropagator::new());
        }
        Ok(Self {
            traces,
            meters,
            pages: Pages { metrics, levels },
        })
    }

    pub(crate) fn pages(&self) -> Pages {
        self.pages.clone()
    }

    /// Sends what is left.
    pub(crate) async fn end(self) {
        let flush = tokio::task::spawn_blocking(move || {
            if let Some(traces) = self.traces {
                // Who is not there to be told has been warned of already.
                let _ = traces.shutdown_with_timeout(FLUSH_TIMEOUT);
            }
            let _ = self.meters.shutdown_with_timeout(FLUSH_TIMEOUT);
        });
        let _ = tokio::time::timeout(2 * FLUSH_TIMEOUT, flush).await;
    }
}

impl Pages {
    /// For the admin address.
    pub(crate) fn router(self) -> Router {
        self.metrics.router().merge(self.levels.router())
    }
}

/// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win: whoever runs the process knows better what to call it.
fn resource(service: &'static str) -> Resource {
    let [high, low] = [process::random(), process::random()].map(u64::from_be_bytes);
    let name = env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty());
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", service),
            KeyValue::new("service.namespace", "whipcord"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", format!("{high:016x}{low:016x}")),
        ])
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()))
        .with_attributes(name.map(|name| KeyValue::new("service.name", name)))
        .build()
}
