//! A worker of a later version: what it says beyond this one is passed over.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
};
use tonic_prost::{ProstCodec, ProstDecoder};
use whipcord_directory::Health;
use whipcord_proto::directory::{
    Ack, Capacity, Heartbeat, Hello, ReportRequest, ReportResponse, SessionEntry, Snapshot, report_request::Report,
    report_response::Response,
};

use crate::bed::Bed;

/// Requests as bytes.
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = ReportResponse;
    type Encoder = Self;
    type Decoder = ProstDecoder<ReportResponse>;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<ReportResponse, ReportResponse>::default().decoder()
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

/// Field 111, with five bytes.
const LATER: &[u8] = b"\xfa\x06\x05later";

/// A message with a field that is not known, inside of it and beside it.
fn with_later_fields(sequence: u64, tag: u8, message: &impl prost::Message) -> Vec<u8> {
    let inner = [&message.encode_to_vec(), LATER].concat();
    let head = ReportRequest { sequence, report: None };
    let mut bytes = prost::Message::encode_to_vec(&head);
    bytes.extend([tag << 3 | 2, u8::try_from(inner.len()).unwrap()]);
    [&bytes, &inner[..], LATER].concat()
}

#[tokio::test]
async fn a_worker_of_a_later_version_is_understood_as_far_as_this_one_goes() {
    let hello = Hello {
        cluster_id: "whipcord".to_owned(),
        worker_id: "worker-1".to_owned(),
        incarnation: 9,
        worker_number: 9,
        features: vec!["later".to_owned()],
        capacity: Some(Capacity { sessions_max: 10 }),
        address: "pipe:0".to_owned(),
        // As long as that of a later digest may be.
        sessions_digest: vec![7; 64],
    };
    let snapshot = Snapshot {
        sessions: vec![SessionEntry {
            session_id: vec![1; 16],
            stream: "cam".to_owned(),
            epoch: 1,
            heard: true,
        }],
        last: true,
    };
    let beat = Heartbeat {
        sessions: 1,
        ..Heartbeat::default()
    };
    let unknown = ReportRequest {
        sequence: 2,
        report: None,
    };
    let said = [
        with_later_fields(1, 2, &hello),
        // A kind of report that is not known.
        [&prost::Message::encode_to_vec(&unknown), LATER].concat(),
        with_later_fields(3, 3, &snapshot),
        with_later_fields(4, 5, &beat),
    ];
    assert!(
        <ReportRequest as prost::Message>::decode(&said[2][..])
            .is_ok_and(|request| request.report == Some(Report::Snapshot(snapshot))),
        "these are the bytes that were meant"
    );

    let bed = Bed::without_worker(&[]).await;
    let (requests, receiver) = mpsc::channel(8);
    let mut client = Grpc::new(bed.reports.clone());
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/whipcord.directory.v1.DirectoryService/Report");
    let call = client.streaming(Request::new(ReceiverStream::new(receiver)), path, Raw);
    let mut responses = call.await.unwrap().into_inner();
    for (said, sequence) in said.into_iter().zip(1..) {
        requests.send(said).await.unwrap();
        let response = responses.message().await.unwrap().unwrap().response;
        let sessions_known = false;
        assert_eq!(
            response,
            Some(Response::Ack(Ack {
                sequence,
                sessions_known,
                replaced: Vec::new(),
            }))
        );
    }
    let workers = bed.directory.workers().workers;
    assert_eq!((workers[0].health, workers[0].load.sessions), (Health::Alive, 1));
    assert!(bed.holder("cam").await.is_some());
}
