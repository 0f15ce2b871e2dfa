//! A collector of OpenTelemetry, inside the test: the real gRPC services, which keep what they are sent.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1 as otlp,
};
pub use otlp::span::SpanKind;
use tokio::{net::TcpListener, runtime::Runtime};
pub use tonic::Code;
use tonic::{Request, Response, Status, transport::server::TcpIncoming};

/// Ends when dropped.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    kept: Kept,
    _runtime: Runtime,
}

/// A span as it was sent, with the name of its service.
#[derive(Debug, Clone)]
pub struct Span {
    pub service: String,
    pub name: String,
    pub trace: String,
    pub id: String,
    /// Empty for a root.
    pub parent: String,
    pub kind: SpanKind,
    /// Numbers and flags as text.
    pub attributes: BTreeMap<String, String>,
    /// Ids of the spans it is linked to.
    pub links: Vec<String>,
    pub is_error: bool,
    /// Nanoseconds since the Unix epoch.
    pub begin: u64,
    pub end: u64,
}

/// How it answers.
#[derive(Debug, Clone, Copy, Default)]
pub enum Manner {
    #[default]
    Takes,
    Refuses(Code),
    /// Reads what it is sent, and says nothing.
    Hangs,
}

#[derive(Debug, Default)]
struct Sent {
    /// Requests that were not taken.
    refused: usize,
    spans: Vec<Span>,
    /// Names of metrics.
    metrics: Vec<String>,
    /// All that came, as text.
    text: String,
}

#[derive(Debug, Clone, Default)]
struct Kept {
    manner: Manner,
    sent: Arc<Mutex<Sent>>,
}

impl Collector {
    /// # Panics
    /// When it cannot listen.
    pub fn start() -> Self {
        Self::start_with(Manner::Takes)
    }

    /// # Panics
    /// As [`Collector::start`].
    pub fn start_with(manner: Manner) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be built");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a free port can be had");
        let address = listener.local_addr().expect("a listener has an address");
        let kept = Kept {
            manner,
            ..Kept::default()
        };
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(kept.clone()))
            .add_service(MetricsServiceServer::new(kept.clone()))
            .serve_with_incoming(TcpIncoming::from(listener));
        runtime.spawn(server);
        Self {
            address,
            kept,
            _runtime: runtime,
        }
    }

    /// For OTEL_EXPORTER_OTLP_ENDPOINT.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that was sent so far.
    pub fn spans(&self) -> Vec<Span> {
        self.kept.lock().spans.clone()
    }

    pub fn metrics(&self) -> Vec<String> {
        self.kept.lock().metrics.clone()
    }

    /// How many requests it did not take.
    pub fn refused(&self) -> usize {
        self.kept.lock().refused
    }

    /// Every request so far with all that is in it, to be searched.
    pub fn text(&self) -> String {
        self.kept.lock().text.clone()
    }
}

impl Kept {
    async fn admit(&self) -> Result<(), Status> {
        match self.manner {
            Manner::Takes => Ok(()),
            Manner::Refuses(code) => {
                self.lock().refused += 1;
                Err(Status::new(code, "not now"))
            }
            Manner::Hangs => {
                self.lock().refused += 1;
                std::future::pending().await
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.admit().await?;
        let request = request.into_inner();
        self.lock().text.push_str(&format!("{request:?}\n"));
        for resource in request.resource_spans {
            let attributes = attributes(&resource.resource.unwrap_or_default().attributes);
            let service = attributes.get("service.name").cloned().unwrap_or_default();
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.lock().spans.extend(spans.map(|span| read(&service, &span)));
        }
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Kept {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.admit().await?;
        let request = request.into_inner();
        self.lock().text.push_str(&format!("{request:?}\n"));
        let resources = request.resource_metrics.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_metrics);
        let metrics = scopes.flat_map(|scope| scope.metrics);
        self.lock().metrics.extend(metrics.map(|metric| metric.name));
        Ok(Response::new(Default::default()))
    }
}

fn read(service: &str, span: &otlp::Span) -> Span {
    Span {
        service: service.to_owned(),
        name: span.name.clone(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        kind: span.kind(),
        attributes: attributes(&span.attributes),
        links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
        is_error: span
            .status
            .as_ref()
            .is_some_and(|status| status.code() == otlp::status::StatusCode::Error),
        begin: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
    }
}

fn attributes(all: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::BoolValue(flag) => flag.to_string(),
        other => format!("{other:?}"),
    };
    all.iter()
        .map(|attribute| {
            let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
            (attribute.key.clone(), value.map(text).unwrap_or_default())
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
