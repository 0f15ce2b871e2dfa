//! An exporter that says once that its collector does not take what it is sent, and once that it does again.

use std::{
    fmt::Debug,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{SpanData, SpanExporter},
};
use tracing::{info, warn};

#[derive(Debug)]
pub(super) struct Told<E> {
    what: &'static str,
    exporter: E,
    is_refused: AtomicBool,
}

impl<E> Told<E> {
    pub(super) fn new(what: &'static str, exporter: E) -> Self {
        Self {
            what,
            exporter,
            is_refused: AtomicBool::new(false),
        }
    }

    fn tell(&self, result: &OTelSdkResult) {
        let what = self.what;
        match result {
            Ok(()) if self.is_refused.swap(false, Ordering::Relaxed) => info!(what, "the collector takes them again"),
            // At the end of the process.
            Ok(()) | Err(OTelSdkError::AlreadyShutdown) => {}
            Err(error) if !self.is_refused.swap(true, Ordering::Relaxed) => {
                warn!(what, %error, "the collector does not take them; some will be missing until it does")
            }
            Err(_) => {}
        }
    }
}

impl<E: SpanExporter> SpanExporter for Told<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        self.tell(&result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Told<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        self.tell(&result);
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
