//! `/metrics`, and a worker's `/metrics/streams`: what Prometheus asks for.

use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use opentelemetry_prometheus::PrometheusExporter;
use opentelemetry_sdk::error::OTelSdkError;
use prometheus::{Encoder as _, Registry, TEXT_FORMAT, TextEncoder};
use whipcord_worker::StreamSeries;

/// All series of this process.
#[derive(Debug, Clone, Default)]
pub(super) struct Metrics(Registry);

impl Metrics {
    pub(super) fn reader(&self) -> Result<PrometheusExporter, OTelSdkError> {
        opentelemetry_prometheus::exporter()
            .with_registry(self.0.clone())
            .without_target_info()
            .build()
    }

    /// GET /metrics, for the admin address.
    pub(super) fn router(self) -> Router {
        let render = async move || ([(CONTENT_TYPE, TEXT_FORMAT)], self.render());
        Router::new().route("/metrics", get(render))
    }

    fn render(&self) -> String {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.0.gather(), &mut text)
            .expect("memory takes what is written, and names and labels are our own");
        String::from_utf8(text).expect("the format is text")
    }
}

/// GET /metrics/streams, for a worker's admin address; nothing is there where nobody asked for it.
pub(crate) fn streams(series: Option<StreamSeries>) -> Router {
    let Some(series) = series else {
        return Router::new();
    };
    let render = async move || ([(CONTENT_TYPE, TEXT_FORMAT)], series.text().await);
    Router::new().route("/metrics/streams", get(render))
}
