//! Acknowledged writes that are gone: a replica that was promoted did not have them.

use std::time::Duration;

use whipcord_directory::{Directory, Lease, Load, Lookup, ReportError, Timing};

use crate::{
    bed::{eventually, hello, is_live, live, report, reported, session, sid},
    server::Server,
};

/// A lease that does not end here: the loss is what is found.
const TIMING: Timing = Timing {
    lease: Duration::from_secs(15),
    rebuild: Duration::ZERO,
    ..Timing::STANDARD
};

#[tokio::test]
async fn a_report_that_was_lost_is_told_again_at_the_next_beat() {
    a_report_is_lost(async |d, lease| d.beat(lease, Load::default()).await).await;
}

#[tokio::test]
async fn a_report_that_was_lost_is_told_again_at_the_next_change() {
    a_report_is_lost(async |d, lease| d.remove(lease, &[sid(9)]).await).await;
}

async fn a_report_is_lost(refused: impl AsyncFn(&Directory, &Lease) -> Result<(), ReportError>) {
    let server = Server::start().await;
    let d = server.directory(TIMING);
    let lease = hello(&d, 1).await;
    let cam = live(&d, 1, 1, "cam").await;
    d.add(&lease, report(&cam)).await.unwrap();
    let incarnation = "0000000000000001";
    let before: String = server
        .ask(&format!("HGET whipcord:1:{{test}}:states {incarnation}"))
        .await;
    let late = session(1, 2, "late", 5);
    d.add(&lease, vec![reported(1, 2, "late", 5)]).await.unwrap();
    assert_eq!(d.beat(&lease, Load::default()).await, Ok(()));

    // As the replica has it: all but the last change.
    let _: () = server
        .ask(&format!(
            "EVAL redis.call('HSET',KEYS[1],ARGV[1],table.concat({{select(2,unpack(ARGV))}},'\\32')) 1 whipcord:1:{{test}}:states {incarnation} {before}"
        ))
        .await;
    let _: () = server.ask("DEL whipcord:1:{test}:stream:late").await;
    let _: () = server
        .ask(&format!("HDEL whipcord:1:{{test}}:sessions:{incarnation} {}", sid(2)))
        .await;
    assert_eq!(d.lookup(&late.stream, late.sid).await, Lookup::Absent);
    assert_eq!(refused(&d, &lease).await, Err(ReportError::Expired));
    let lease = hello(&d, 1).await;
    d.add(&lease, [report(&cam), report(&late)].concat()).await.unwrap();
    d.end_snapshot(&lease).await.unwrap();
    assert!(is_live(&d, &cam).await && is_live(&d, &late).await);
    eventually(async || d.beat(&lease, Load::default()).await.is_ok()).await;
}

#[tokio::test]
async fn a_hello_that_was_lost_is_said_again() {
    let server = Server::start().await;
    let d = server.directory(TIMING);
    let lease = hello(&d, 1).await;
    let incarnation = "0000000000000001";
    let _: () = server
        .ask(&format!("ZREM whipcord:1:{{test}}:leases {incarnation}"))
        .await;
    assert_eq!(d.beat(&lease, Load::default()).await, Err(ReportError::Expired));
}
