//! A gateway of a later version: what it says beyond this one is passed over.

use std::{convert::Infallible, marker::PhantomData, pin::Pin, sync::Arc};

use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    client,
    codec::{Codec, EncodeBuf, Encoder},
    codegen::http::{self, uri::PathAndQuery},
    server::{self, StreamingService},
};
use tonic_prost::{ProstCodec, ProstDecoder};
use whipcord_proto::{
    directory::{Ack, ReportRequest, ReportResponse, report_request::Report, report_response},
    worker::{DeleteSessionRequest, DeleteSessionResponse},
};

use crate::{
    bed::{Bed, eventually, serve, start, within},
    encoder::Encoder as Publisher,
};

/// Field 111, with five bytes.
const LATER: &[u8] = b"\xfa\x06\x05later";

/// What is sent is bytes, what comes is read as `T`.
struct Raw<T>(PhantomData<T>);

impl<T: prost::Message + Default + 'static> Codec for Raw<T> {
    type Encode = Vec<u8>;
    type Decode = T;
    type Encoder = Bytes;
    type Decoder = ProstDecoder<T>;

    fn encoder(&mut self) -> Bytes {
        Bytes
    }

    fn decoder(&mut self) -> ProstDecoder<T> {
        ProstCodec::<T, T>::default().decoder()
    }
}

struct Bytes;

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        prost::bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

/// Before each acknowledgement it says something that this version does not know.
#[derive(Clone)]
struct LaterGateway {
    beats: Arc<watch::Sender<u32>>,
}

impl StreamingService<ReportRequest> for LaterGateway {
    type Response = Vec<u8>;
    type ResponseStream = ReceiverStream<Result<Vec<u8>, Status>>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Self::ResponseStream>, Status>> + Send>>;

    fn call(&mut self, request: Request<Streaming<ReportRequest>>) -> Self::Future {
        let gateway = self.clone();
        let (responses, receiver) = mpsc::channel(8);
        tokio::spawn(async move {
            let mut requests = request.into_inner();
            while let Ok(Some(ReportRequest { sequence, report })) = requests.message().await {
                let ack = Ack {
                    sequence,
                    sessions_known: false,
                    replaced: Vec::new(),
                };
                let response = Some(report_response::Response::Ack(ack));
                let ack = prost::Message::encode_to_vec(&ReportResponse { response });
                for bytes in [LATER.to_vec(), [&ack, LATER].concat()] {
                    let _ = responses.send(Ok(bytes)).await;
                }
                if let Some(Report::Heartbeat(_)) = report {
                    gateway.beats.send_modify(|beats| *beats += 1);
                }
            }
        });
        Box::pin(async { Ok(Response::new(ReceiverStream::new(receiver))) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_of_a_later_version_is_understood_as_far_as_this_one_goes() {
    let gateway = LaterGateway { beats: Arc::default() };
    let mut beats = gateway.beats.subscribe();
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let gateway = gateway.clone();
        async move {
            let mut grpc = server::Grpc::new(Raw::<ReportRequest>(PhantomData));
            Ok::<_, Infallible>(grpc.streaming(gateway, request).await)
        }
    });
    let shutdown = CancellationToken::new();
    let (worker, _recordings) = start(|_| {}, serve(service).await, shutdown.clone()).await;
    within(worker.registered()).await;
    within(beats.wait_for(|beats| *beats > 2)).await.unwrap();
    shutdown.cancel();
    within(worker.join()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_later_field_and_a_later_reason_is_served() {
    let bed = Bed::start().await;
    bed.create(1, &Publisher::new().offer()).await.unwrap();
    let request = DeleteSessionRequest {
        session_id: vec![1; 16],
        owner: Some(bed.owner.clone()),
        reason: 99,
    };
    let bytes = [&prost::Message::encode_to_vec(&request), LATER].concat();
    let mut client = client::Grpc::new(bed.channel.clone());
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/whipcord.worker.v1.WorkerService/DeleteSession");
    let raw = Raw::<DeleteSessionResponse>(PhantomData);
    client.unary(Request::new(bytes), path, raw).await.unwrap();
    eventually("it is over", async || bed.get(1).await.unwrap().end_reason == "deleted").await;
    bed.stop().await;
}
