//! What a gateway's log says of those that report.

use tonic::Code;
use whipcord_proto::directory::{Heartbeat, Hello, report_request::Report};

use crate::{
    bed::{Bed, eventually, log},
    report::{Reporting, hello},
};

/// The lines of the log that name a worker.
fn logged(worker: &str, what: &str) -> Vec<String> {
    let name = format!("worker={worker} ");
    let lines = log().lines().map(|line| format!("{line} ")).collect::<Vec<_>>();
    lines
        .into_iter()
        .filter(|line| line.contains(&name) && line.contains(what))
        .collect()
}

#[tokio::test]
async fn two_workers_of_one_name_are_told_of() {
    let bed = Bed::without_worker(&[]).await;
    let start = async |worker: &str, n: u32, address: &str| {
        let mut reporting = Reporting::start(&bed).await;
        let hello = Hello {
            worker_id: worker.to_owned(),
            incarnation: n.into(),
            worker_number: n,
            address: address.to_owned(),
            ..hello()
        };
        reporting.say(Report::Hello(hello)).await.unwrap();
        reporting
    };
    let _twins = (
        start("twin", 21, "10.0.0.1:7001").await,
        start("twin", 22, "10.0.0.2:7001").await,
    );
    let told = logged("twin", "two workers have one name: give each its own --worker-id");
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0].contains("address=10.0.0.2:7001") && told[0].contains("other=10.0.0.1:7001"),
        "{told:#?}"
    );

    let _restarted = (
        start("restarted", 23, "10.0.0.3:7001").await,
        start("restarted", 24, "10.0.0.3:7001").await,
    );
    assert_eq!(logged("restarted", "two workers have one name"), Vec::<String>::new());
}

#[tokio::test]
async fn a_worker_that_ended_its_report_has_left_and_another_is_dead() {
    let bed = Bed::without_worker(&[]).await;
    for (worker, ends_well, expected, level) in [
        ("leaver", true, "a worker has left", " INFO "),
        ("victim", false, "a worker is dead", " WARN "),
    ] {
        let mut reporting = Reporting::start(&bed).await;
        let hello = Hello {
            worker_id: worker.to_owned(),
            ..hello()
        };
        reporting.say(Report::Hello(hello)).await.unwrap();
        // What a gateway is told that asks whoever is there now.
        bed.worker.fail(Code::FailedPrecondition);
        if ends_well {
            drop(reporting);
        } else {
            reporting.sequence += 1;
            let refused = reporting.say(Report::Heartbeat(Heartbeat::default())).await;
            assert_eq!(refused.map_err(|status| status.code()), Err(Code::InvalidArgument));
        }
        eventually(|| !logged(worker, expected).is_empty()).await;
        assert!(
            logged(worker, expected)[0].contains(level),
            "{:?}",
            logged(worker, expected)
        );
        assert!(bed.directory.workers().workers.is_empty());
    }
}
