//! From one gateway to the next, by a clock that moves only when nothing else does.

use std::sync::{Mutex, atomic::AtomicUsize};

use hyper_util::rt::TokioIo;
use tokio::{io::DuplexStream, sync::mpsc};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{
    Request, Response, Streaming,
    transport::{Endpoint, Server},
};
use whipcord_proto::directory::{
    Ack, ReportRequest, ReportResponse,
    directory_service_server::{DirectoryService, DirectoryServiceServer},
    report_request::Report,
    report_response,
};

use super::*;
use crate::control::tests::{control, handle};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Hello,
    Snapshot,
    Delta,
    Beat,
    /// The worker left.
    End,
}

type Log = Arc<Mutex<Vec<(Instant, usize, Said)>>>;

/// Writes down what it is told.
#[derive(Clone)]
struct Gateway {
    number: usize,
    log: Log,
    answers: bool,
}

impl Gateway {
    fn note(&self, said: Said) {
        self.log.lock().unwrap().push((Instant::now(), self.number, said));
    }

    async fn follow(
        self,
        mut requests: Streaming<ReportRequest>,
        responses: mpsc::Sender<Result<ReportResponse, Status>>,
    ) {
        while let Ok(Some(ReportRequest { sequence, report })) = requests.message().await {
            self.note(match report.unwrap() {
                Report::Hello(_) => Said::Hello,
                Report::Snapshot(_) => Said::Snapshot,
                Report::Delta(_) => Said::Delta,
                Report::Heartbeat(_) => Said::Beat,
            });
            let ack = report_response::Response::Ack(Ack {
                sequence,
                sessions_known: true,
                replaced: Vec::new(),
            });
            if self.answers {
                let _ = responses.send(Ok(ReportResponse { response: Some(ack) })).await;
            }
        }
        self.note(Said::End);
    }
}

#[tonic::async_trait]
impl DirectoryService for Gateway {
    type ReportStream = ReceiverStream<Result<ReportResponse, Status>>;

    async fn report(&self, request: Request<Streaming<ReportRequest>>) -> Result<Response<Self::ReportStream>, Status> {
        let (sender, receiver) = mpsc::channel(8);
        tokio::spawn(self.clone().follow(request.into_inner(), sender));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// Over a pipe: a socket would be waited for by a clock that does not stand still.
fn serve(gateway: Gateway) -> Channel {
    let (sender, receiver) = mpsc::channel::<DuplexStream>(8);
    let incoming = ReceiverStream::new(receiver).map(Ok::<_, std::io::Error>);
    tokio::spawn(Server::builder().serve_with_incoming(DirectoryServiceServer::new(gateway), incoming));
    let connector = tower::service_fn(move |_| {
        let sender = sender.clone();
        async move {
            let (near, far) = tokio::io::duplex(64 * 1024);
            sender.send(far).await.map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>(TokioIo::new(near))
        }
    });
    Endpoint::from_static("http://pipe").connect_with_connector_lazy(connector)
}

/// What two gateways hear, for so long, of a worker that dials the first once and then the second, which answers or not.
async fn report(second_answers: bool, time: Duration) -> Vec<(Duration, usize, Said)> {
    let log = Log::default();
    let channels = [true, second_answers].into_iter().enumerate();
    let channels: Vec<Channel> = channels
        .map(|(number, answers)| {
            let log = Arc::clone(&log);
            serve(Gateway { number, log, answers })
        })
        .collect();
    let dialled = AtomicUsize::new(0);
    let gateways = Gateways::new(move || channels[dialled.fetch_add(1, Ordering::Relaxed).min(1)].clone());
    let (handle, mut commands) = handle(1);
    tokio::spawn(async move { while commands.recv().await.is_some() {} });
    let reporter = Reporter::new(
        Arc::new(control(handle, 1)),
        gateways,
        "test".parse().unwrap(),
        "pipe:0".parse().unwrap(),
        1,
        watch::Sender::new(false),
    );
    let begun = Instant::now();
    let shutdown = CancellationToken::new();
    let reporting = tokio::spawn(reporter.run(shutdown.clone()));
    tokio::time::sleep(time).await;
    shutdown.cancel();
    reporting.await.unwrap();
    let log = log.lock().unwrap();
    log.iter()
        .map(|(at, gateway, said)| (*at - begun, *gateway, *said))
        .collect()
}

/// The longest time without a word from the worker.
fn gap(log: &[(Duration, usize, Said)]) -> Duration {
    let words: Vec<Duration> = log
        .iter()
        .filter(|(.., said)| *said != Said::End)
        .map(|(at, ..)| *at)
        .collect();
    words.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
}

#[tokio::test(start_paused = true)]
async fn after_some_minutes_it_goes_to_another_gateway_and_no_beat_is_missed() {
    let log = report(true, STREAM_AGE * 3 / 2 + HEARTBEAT).await;
    let first = |gateway, said| log.iter().position(|(_, g, s)| (*g, *s) == (gateway, said)).unwrap();
    let moved = first(1, Said::Hello);
    assert!(log[moved].0 >= STREAM_AGE / 2, "{:?}", log[moved]);
    assert!(
        first(0, Said::End) > moved,
        "the first is left when the second knows it"
    );
    assert!(gap(&log) <= HEARTBEAT, "{:?}", gap(&log));
    assert!(
        !log.iter().any(|(.., said)| *said == Said::Snapshot),
        "it costs a hello"
    );
}

#[tokio::test(start_paused = true)]
async fn where_no_other_gateway_answers_it_stays_and_its_lease_lives() {
    let time = STREAM_AGE * 3 / 2 + HEARTBEAT;
    let log = report(false, time).await;
    assert!(
        log.iter()
            .any(|(_, gateway, said)| (*gateway, *said) == (1, Said::Hello))
    );
    let beats = log
        .iter()
        .filter(|(_, gateway, said)| (*gateway, *said) == (0, Said::Beat));
    let beats: Vec<_> = beats.copied().collect();
    let longest = gap(&beats);
    assert!(longest < SILENCE_MAX, "{longest:?}");
    assert!(
        beats.last().unwrap().0 + SILENCE_MAX > time,
        "to the end: {:?}",
        beats.last()
    );
    let hellos = log
        .iter()
        .filter(|(_, gateway, said)| (*gateway, *said) == (0, Said::Hello));
    assert_eq!(hellos.count(), 1, "its stream did not break");
}
