//! The way to a collector, by OTLP over gRPC. Its variables are OpenTelemetry's own: OTEL_EXPORTER_OTLP_ENDPOINT, _HEADERS, _TIMEOUT.

use std::env;

use opentelemetry_otlp::{MetricExporter, SpanExporter};

use super::{
    Error,
    told::{Refused, Told, What},
};

const ENDPOINTS: [&str; 3] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
];
const PROTOCOLS: [&str; 3] = [
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
];

/// Where no endpoint is named nothing is sent: a process on somebody's desk has no collector.
pub(super) fn is_on() -> bool {
    let is_disabled = env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    !is_disabled && ENDPOINTS.iter().any(|name| set(name).is_some())
}

pub(super) fn check_protocol() -> Result<(), Error> {
    for name in PROTOCOLS {
        if let Some(protocol) = set(name)
            && protocol != "grpc"
        {
            return Err(Error::Protocol(name, protocol));
        }
    }
    Ok(())
}

pub(super) fn spans(refused: Refused) -> Result<Told<SpanExporter>, Error> {
    let exporter = SpanExporter::builder().with_tonic().build()?;
    Ok(Told::new(What::Traces, exporter, refused))
}

pub(super) fn metrics(refused: Refused) -> Result<Told<MetricExporter>, Error> {
    let exporter = MetricExporter::builder().with_tonic().build()?;
    Ok(Told::new(What::Metrics, exporter, refused))
}

fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
