//! Exporters of one collector: it is said once that it does not take what it is sent, and once that it takes all of it again.

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{SpanData, SpanExporter},
};
use tracing::{info, warn};

/// What a collector is sent, as bits of [`Refused`].
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Traces = 1,
    Metrics = 2,
}

/// What the collector last did not take. Shared by its exporters: one that is away is one fact, not one of each.
#[derive(Clone, Debug, Default)]
pub(super) struct Refused(Arc<AtomicU8>);

#[derive(Debug)]
pub(super) struct Told<E> {
    what: What,
    exporter: E,
    refused: Refused,
}

/// What is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Refuses,
    TakesAgain,
}

impl Refused {
    fn note(&self, what: What, is_refused: bool) -> Option<News> {
        let bit = what as u8;
        if is_refused {
            (self.0.fetch_or(bit, Ordering::Relaxed) == 0).then_some(News::Refuses)
        } else {
            (self.0.fetch_and(!bit, Ordering::Relaxed) == bit).then_some(News::TakesAgain)
        }
    }
}

impl<E> Told<E> {
    pub(super) fn new(what: What, exporter: E, refused: Refused) -> Self {
        Self {
            what,
            exporter,
            refused,
        }
    }

    fn tell(&self, result: &OTelSdkResult) {
        // At the end of the process.
        if let Err(OTelSdkError::AlreadyShutdown) = result {
            return;
        }
        match (self.refused.note(self.what, result.is_err()), result) {
            (Some(News::Refuses), Err(error)) => {
                let what = self.what;
                warn!(?what, %error, "the collector does not take what it is sent; traces and metrics will be missing until it does")
            }
            (Some(News::TakesAgain), _) => info!("the collector takes all that it is sent again"),
            _ => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_of_once_at_its_beginning_and_once_at_its_end() {
        let refused = Refused::default();
        let table = [
            (What::Traces, false, None),
            (What::Metrics, true, Some(News::Refuses)),
            (What::Traces, true, None),
            (What::Metrics, true, None),
            (What::Metrics, false, None),
            (What::Traces, false, Some(News::TakesAgain)),
            (What::Metrics, false, None),
            (What::Traces, true, Some(News::Refuses)),
        ];
        for (n, (what, is_refused, expected)) in table.into_iter().enumerate() {
            assert_eq!(refused.note(what, is_refused), expected, "step {n}");
        }
    }
}
