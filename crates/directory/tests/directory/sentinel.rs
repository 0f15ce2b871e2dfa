//! A master is lost and its replica promoted, which lacks writes that were acknowledged.

use std::{fs, time::Duration};

use redis::Client;
use tempfile::TempDir;
use whipcord_directory::{Config, Directory, Load, Lookup, ReportError, Takeover, Timing};

use crate::{
    bed::{eventually, hello, is_live, live, placement, report, sid},
    server::{Server, free_port},
};

const TIMING: Timing = Timing {
    lease: Duration::from_secs(3),
    rebuild: Duration::from_millis(2500),
    ..Timing::STANDARD
};

/// One Sentinel, whose word is enough, and which loses patience soon.
fn sentinel(master: u16) -> (std::process::Child, u16, TempDir) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("sentinel.conf");
    let port = free_port();
    let text = format!(
        "port {port}\ndir {}\nsentinel monitor main 127.0.0.1 {master} 1\nsentinel down-after-milliseconds main 600\n\
         sentinel failover-timeout main 5000\n",
        folder.path().display()
    );
    fs::write(&file, text).unwrap();
    let child = std::process::Command::new("redis-server")
        .arg(&file)
        .arg("--sentinel")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    (child, port, folder)
}

struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn knows_replica(port: u16) -> bool {
    let Ok(client) = Client::open(format!("redis://127.0.0.1:{port}")) else {
        return false;
    };
    let Ok(mut connection) = client.get_multiplexed_async_connection().await else {
        return false;
    };
    let mut command = redis::cmd("SENTINEL");
    let replicas: redis::RedisResult<Vec<redis::Value>> =
        command.arg("REPLICAS").arg("main").query_async(&mut connection).await;
    replicas.is_ok_and(|replicas| !replicas.is_empty())
}

#[tokio::test]
async fn a_promoted_replica_is_followed_and_what_it_lacks_told_again() {
    let ports = [free_port(), free_port()];
    let [first, second] = ports.map(|port| port.to_string());
    let mut master = Server::with("redis-server", &["--port", &first]).await;
    let of = format!("127.0.0.1 {first}");
    let options = ["--port", &second, "--replicaof", &of, "--repl-diskless-sync-delay", "0"];
    let replica = Server::with("redis-server", &options).await;
    let linked = async || {
        replica
            .ask::<String>("INFO replication")
            .await
            .contains("master_link_status:up")
    };
    eventually(linked).await;
    let (child, port, _folder) = sentinel(ports[0]);
    let _sentinel = Ended(child);
    eventually(async || knows_replica(port).await).await;

    let url = format!("redis+sentinel://127.0.0.1:{},127.0.0.1:{port}/main", free_port());
    let d = Directory::redis_with(&Config::new(url.parse().unwrap()), &"test".parse().unwrap(), TIMING).unwrap();
    eventually(async || d.lookup(&"nobody".parse().unwrap(), sid(99)).await == Lookup::Absent).await;
    let mut lease = hello(&d, 1).await;
    let kept = live(&d, 1, 1, "kept").await;
    d.add(&lease, report(&kept)).await.unwrap();
    let has = async |key: &str| replica.ask::<u64>(&format!("EXISTS whipcord:1:{{test}}:{key}")).await == 1;
    eventually(async || has("stream:kept").await).await;

    // The link is cut: the replica looks for a master where none is, and the master goes on acknowledging.
    let _: () = replica.ask("REPLICAOF 127.0.0.1 1").await;
    let lost = live(&d, 1, 2, "lost").await;
    d.add(&lease, report(&lost)).await.unwrap();
    assert_eq!(d.beat(&lease, Load::default()).await, Ok(()));
    assert!(!has("stream:lost").await, "the write did not arrive");
    master.kill();

    let mut told = false;
    eventually(async || {
        match d.beat(&lease, Load::default()).await {
            Ok(()) => {}
            Err(ReportError::Expired) => {
                lease = hello(&d, 1).await;
                d.add(&lease, [report(&kept), report(&lost)].concat()).await.unwrap();
                d.end_snapshot(&lease).await.unwrap();
                told = true;
            }
            Err(error) => panic!("{error}"),
        }
        // Whatever happens, what lives is never said to be gone, nor let in a second time.
        for session in [&kept, &lost] {
            assert_ne!(d.lookup(&session.stream, session.sid).await, Lookup::Absent);
        }
        let knocking = whipcord_directory::Placement {
            takeover: Takeover::Reject,
            ..placement(1, 5, "lost")
        };
        assert!(d.place(&knocking).await.is_err());
        is_live(&d, &kept).await && is_live(&d, &lost).await
    })
    .await;
    assert!(told, "the replica lacked it");
    let role: String = replica.ask("INFO replication").await;
    assert!(role.contains("role:master"), "{role}");
    assert!(
        is_live(&d, &live(&d, 1, 9, "fresh").await).await,
        "the new master is written to"
    );
}
