//! What traces and metrics cost: a worker that sends them, as `whipcord worker` does where a collector is named, and the collector, which
//! is the benchmark itself and throws away what it is sent.

use std::{net::SocketAddr, time::Duration};

use opentelemetry::global;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_proto::tonic::collector::{
    metrics::v1::{
        ExportMetricsServiceRequest, ExportMetricsServiceResponse,
        metrics_service_server::{MetricsService, MetricsServiceServer},
    },
    trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use opentelemetry_sdk::{
    metrics::{PeriodicReader, SdkMeterProvider},
    propagation::TraceContextPropagator,
    trace::SdkTracerProvider,
};
use tokio::runtime::Runtime;
use tonic::{Request, Response, Status, transport::server::TcpIncoming};

/// Sixty times as often as is usual: a measurement is of two seconds, and all of it should have to be paid for.
const METRICS_EVERY: Duration = Duration::from_secs(1);

/// Installs what sends to a collector, for the whole process. Inside a runtime.
pub(crate) fn send_to(collector: SocketAddr) -> anyhow::Result<Sending> {
    let endpoint = format!("http://{collector}");
    let spans = SpanExporter::builder().with_tonic().with_endpoint(&endpoint).build()?;
    let metrics = MetricExporter::builder()
        .with_tonic()
        .with_endpoint(&endpoint)
        .build()?;
    let traces = SdkTracerProvider::builder().with_batch_exporter(spans).build();
    let reader = PeriodicReader::builder(metrics).with_interval(METRICS_EVERY).build();
    let meters = SdkMeterProvider::builder().with_reader(reader).build();
    global::set_meter_provider(meters.clone());
    global::set_tracer_provider(traces.clone());
    global::set_text_map_propagator(TraceContextPropagator::new());
    Ok(Sending {
        _traces: traces,
        _meters: meters,
    })
}

/// Until it is dropped.
pub(crate) struct Sending {
    _traces: SdkTracerProvider,
    _meters: SdkMeterProvider,
}

/// A collector in this process; it ends when dropped.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    _runtime: Runtime,
}

#[derive(Clone, Copy)]
struct Thrown;

impl Collector {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(Thrown))
            .add_service(MetricsServiceServer::new(Thrown))
            .serve_with_incoming(TcpIncoming::from(listener));
        runtime.spawn(server);
        Ok(Self {
            address,
            _runtime: runtime,
        })
    }
}

#[tonic::async_trait]
impl TraceService for Thrown {
    async fn export(
        &self,
        _: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Thrown {
    async fn export(
        &self,
        _: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        Ok(Response::new(Default::default()))
    }
}
