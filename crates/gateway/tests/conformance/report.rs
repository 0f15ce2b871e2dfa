//! What workers report.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use whipcord_directory::Health;
use whipcord_identity::{Epoch, SessionId, StreamName};
use whipcord_proto::{
    digest,
    directory::{
        Ack, Addresses, Capacity, Delta, Heartbeat, Hello, ReportRequest, ReportResponse, SessionEntry, Snapshot,
        directory_service_client::DirectoryServiceClient, report_request::Report, report_response::Response,
    },
    worker::DeleteReason,
};

use crate::{
    bed::{Bed, eventually, log},
    worker::Behaviour,
};

pub(crate) struct Reporting {
    requests: mpsc::Sender<ReportRequest>,
    responses: Streaming<ReportResponse>,
    pub(crate) sequence: u64,
}

impl Reporting {
    pub(crate) async fn start(bed: &Bed) -> Self {
        let (requests, receiver) = mpsc::channel(8);
        let mut client = DirectoryServiceClient::new(bed.reports.clone());
        let responses = client.report(ReceiverStream::new(receiver)).await.unwrap().into_inner();
        Self {
            requests,
            responses,
            sequence: 0,
        }
    }

    /// Waits for where encoders reach it.
    pub(crate) async fn addresses(&mut self) -> Addresses {
        match self.responses.message().await.unwrap() {
            Some(ReportResponse {
                response: Some(Response::Addresses(addresses)),
            }) => addresses,
            other => panic!("{other:?}"),
        }
    }

    /// Sends a report and waits for its acknowledgement.
    pub(crate) async fn say(&mut self, report: Report) -> Result<Ack, Status> {
        self.sequence += 1;
        self.requests
            .send(ReportRequest {
                sequence: self.sequence,
                report: Some(report),
            })
            .await
            .unwrap();
        match self.responses.message().await? {
            Some(ReportResponse {
                response: Some(Response::Ack(ack)),
            }) => {
                assert_eq!(ack.sequence, self.sequence);
                Ok(ack)
            }
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn hello() -> Hello {
    Hello {
        cluster_id: "whipcord".to_owned(),
        worker_id: "worker-1".to_owned(),
        incarnation: 9,
        worker_number: 9,
        features: vec!["a-later-one".to_owned()],
        capacity: Some(Capacity { sessions_max: 10 }),
        address: "pipe:0".to_owned(),
        sessions_digest: Vec::new(),
    }
}

fn entry(n: u8, stream: &str) -> SessionEntry {
    SessionEntry {
        session_id: vec![n; 16],
        stream: stream.to_owned(),
        epoch: 1,
        heard: false,
    }
}

#[tokio::test]
async fn a_workers_sessions_are_in_the_directory_once_acknowledged() {
    let bed = Bed::without_worker(&[]).await;
    let mut reporting = Reporting::start(&bed).await;
    reporting.say(Report::Hello(hello())).await.unwrap();
    reporting
        .say(Report::Snapshot(Snapshot {
            sessions: vec![entry(1, "one")],
            last: false,
        }))
        .await
        .unwrap();
    reporting
        .say(Report::Snapshot(Snapshot {
            sessions: vec![entry(2, "two")],
            last: true,
        }))
        .await
        .unwrap();
    reporting
        .say(Report::Heartbeat(Heartbeat {
            sessions: 2,
            ..Heartbeat::default()
        }))
        .await
        .unwrap();
    let removed = vec![vec![1; 16]];
    reporting
        .say(Report::Delta(Delta {
            added: vec![entry(3, "three")],
            removed,
        }))
        .await
        .unwrap();
    assert_eq!(bed.holder("one").await, None);
    assert_eq!(bed.holder("two").await.unwrap().sid, SessionId::new([2; 16]));
    assert_eq!(bed.holder("three").await.unwrap().sid, SessionId::new([3; 16]));
    let workers = bed.directory.workers().workers;
    assert_eq!((workers[0].sessions, workers[0].health), (2, Health::Alive));
    assert_eq!(bed.post("/whip/cam").await.status, 201, "and sessions are placed there");
}

#[tokio::test]
async fn sessions_that_the_directory_has_need_not_be_told_again() {
    let bed = Bed::without_worker(&[]).await;
    let listed = |list: &[(u8, u32, &str)]| {
        let list: Vec<(SessionId, Epoch, StreamName)> = list
            .iter()
            .map(|(n, epoch, stream)| (SessionId::new([*n; 16]), Epoch(*epoch), stream.parse().unwrap()))
            .collect();
        digest::sessions(list.iter().map(|(sid, epoch, stream)| (*sid, *epoch, stream)))
    };
    let first = Reporting::start(&bed).await.say(Report::Hello(hello())).await.unwrap();
    assert!(!first.sessions_known, "nobody asked");
    let table = [
        (listed(&[]), true),
        (listed(&[(1, 1, "one")]), false),
        (listed(&[(1, 1, "one"), (2, 1, "two")]), true),
        (listed(&[(1, 1, "one"), (2, 7, "two")]), false),
        (listed(&[(1, 1, "one"), (3, 1, "two")]), false),
        (listed(&[]), false),
    ];
    for (n, (sessions_digest, known)) in table.into_iter().enumerate() {
        let mut reporting = Reporting::start(&bed).await;
        let ack = reporting.say(Report::Hello(Hello {
            sessions_digest,
            ..hello()
        }));
        assert_eq!(ack.await.unwrap().sessions_known, known, "{n}");
        // Told in another order than that of the ids.
        let added = vec![entry(2, "two"), entry(1, "one")];
        let removed = vec![];
        let ack = reporting.say(Report::Delta(Delta { added, removed })).await.unwrap();
        assert!(!ack.sessions_known);
    }
}

#[tokio::test]
async fn a_broken_stream_makes_its_worker_suspect_until_it_comes_back() {
    let bed = Bed::without_worker(&[]).await;
    let mut reporting = Reporting::start(&bed).await;
    reporting.say(Report::Hello(hello())).await.unwrap();
    reporting
        .say(Report::Delta(Delta {
            added: vec![entry(1, "one")],
            removed: vec![],
        }))
        .await
        .unwrap();
    drop(reporting);
    eventually(|| bed.directory.workers().workers[0].health == Health::Suspect).await;
    assert!(bed.holder("one").await.is_some());
    bed.post("/whip/cam").await.is_problem(503, "no_worker");
    let mut again = Reporting::start(&bed).await;
    again.say(Report::Hello(hello())).await.unwrap();
    assert_eq!(bed.directory.workers().workers[0].health, Health::Alive);
}

/// Its successor answers at the same address, and is no sign of its life.
#[tokio::test]
async fn a_worker_whose_successor_answers_is_dead_at_once() {
    let bed = Bed::without_worker(&[]).await;
    let mut reporting = Reporting::start(&bed).await;
    let hello = Hello {
        incarnation: 41,
        ..hello()
    };
    reporting.say(Report::Hello(hello)).await.unwrap();
    bed.worker.state().behaviour.insert(41, Behaviour::Dead);
    drop(reporting);
    // That it is gone from the directory, the end of its lease sees to as well.
    let found = "a worker has left worker=worker-1 incarnation=0000000000000029";
    eventually(|| log().contains(found)).await;
    eventually(|| bed.directory.workers().workers.is_empty()).await;
}

#[tokio::test]
async fn a_session_whose_stream_was_taken_is_ended_by_its_acknowledgement() {
    let bed = Bed::start().await;
    bed.publish("cam").await;
    let mut reporting = Reporting::start(&bed).await;
    reporting.say(Report::Hello(hello())).await.unwrap();
    let sessions = vec![entry(1, "cam"), entry(2, "free")];
    let told = reporting
        .say(Report::Snapshot(Snapshot { sessions, last: true }))
        .await
        .unwrap();
    assert_eq!(told.replaced, [vec![1; 16]]);
    let later = reporting.say(Report::Heartbeat(Heartbeat::default())).await.unwrap();
    assert!(later.replaced.is_empty(), "once is enough");
}

#[tokio::test]
async fn a_session_that_another_workers_report_takes_over_is_ended_by_a_call() {
    let bed = Bed::start().await;
    bed.publish("cam").await;
    let holder = bed.holder("cam").await.unwrap();
    let mut reporting = Reporting::start(&bed).await;
    reporting.say(Report::Hello(hello())).await.unwrap();
    let added = vec![SessionEntry {
        epoch: holder.owner.epoch.0 + 1,
        heard: true,
        ..entry(1, "cam")
    }];
    let told = reporting
        .say(Report::Delta(Delta { added, removed: vec![] }))
        .await
        .unwrap();
    assert!(told.replaced.is_empty(), "{told:?}");
    eventually(|| bed.worker.deleted() == [DeleteReason::Replaced]).await;
    let ended = bed.worker.state().deleted.remove(0);
    assert_eq!(ended.session_id, holder.sid.as_bytes());
}

#[tokio::test]
async fn what_breaks_the_contract_ends_the_stream() {
    let bed = Bed::without_worker(&[]).await;
    let table = [
        (Report::Heartbeat(Heartbeat::default()), Code::FailedPrecondition),
        (
            Report::Hello(Hello {
                cluster_id: "other".to_owned(),
                ..hello()
            }),
            Code::FailedPrecondition,
        ),
        (
            Report::Hello(Hello {
                worker_id: "Not An Id".to_owned(),
                ..hello()
            }),
            Code::InvalidArgument,
        ),
        (
            Report::Hello(Hello {
                worker_number: 1 << 24,
                ..hello()
            }),
            Code::InvalidArgument,
        ),
        (
            Report::Hello(Hello {
                address: String::new(),
                ..hello()
            }),
            Code::InvalidArgument,
        ),
    ];
    for (report, code) in table {
        let refused = Reporting::start(&bed).await.say(report.clone()).await;
        assert_eq!(refused.map_err(|status| status.code()), Err(code), "{report:?}");
    }
}

#[tokio::test]
async fn a_number_of_another_incarnation_is_refused() {
    let bed = Bed::without_worker(&[]).await;
    let mut first = Reporting::start(&bed).await;
    first.say(Report::Hello(hello())).await.unwrap();
    let clash = Reporting::start(&bed)
        .await
        .say(Report::Hello(Hello {
            incarnation: 10,
            ..hello()
        }))
        .await;
    assert_eq!(clash.map_err(|status| status.code()), Err(Code::AlreadyExists));
}

#[tokio::test]
async fn what_breaks_the_contract_later_ends_the_stream_too() {
    let bed = Bed::without_worker(&[]).await;
    let table = [
        (Report::Hello(hello()), Code::FailedPrecondition),
        (
            Report::Delta(Delta {
                added: vec![entry(1, "..")],
                removed: vec![],
            }),
            Code::InvalidArgument,
        ),
        (
            Report::Delta(Delta {
                added: vec![],
                removed: vec![vec![1]],
            }),
            Code::InvalidArgument,
        ),
        // 1.1 MiB.
        (
            Report::Delta(Delta {
                added: vec![entry(1, &"s".repeat(255)); 4100],
                removed: vec![],
            }),
            Code::OutOfRange,
        ),
    ];
    for (report, code) in table {
        let mut reporting = Reporting::start(&bed).await;
        reporting.say(Report::Hello(hello())).await.unwrap();
        let refused = reporting.say(report.clone()).await;
        assert_eq!(refused.map_err(|status| status.code()), Err(code), "{report:?}");
    }

    let mut skipping = Reporting::start(&bed).await;
    skipping.say(Report::Hello(hello())).await.unwrap();
    skipping.sequence += 1;
    let refused = skipping.say(Report::Heartbeat(Heartbeat::default())).await;
    assert_eq!(refused.map_err(|status| status.code()), Err(Code::InvalidArgument));
}

#[tokio::test]
async fn a_stopping_gateway_ends_the_streams() {
    let bed = Bed::without_worker(&[]).await;
    let mut reporting = Reporting::start(&bed).await;
    reporting.say(Report::Hello(hello())).await.unwrap();
    bed.shutdown.cancel();
    assert_eq!(
        reporting.responses.message().await.unwrap_err().code(),
        Code::Unavailable
    );
    bed.stop().await;
}
