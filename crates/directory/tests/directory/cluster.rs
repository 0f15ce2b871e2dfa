//! A Cluster of three, whose one slot with all of it moves.

use std::time::Duration;

use redis::FromRedisValue;
use whipcord_directory::{Config, Directory, Load, Timing};

use crate::{
    bed::{eventually, hello, is_live, live, report},
    server::{Server, free_port},
};

const TIMING: Timing = Timing {
    lease: Duration::from_secs(3),
    rebuild: Duration::ZERO,
    ..Timing::STANDARD
};

/// A node below the ports of its bus, which are 10,000 higher.
async fn node() -> (Server, u16) {
    let port = loop {
        let port = free_port();
        if port < 55_000 {
            break port;
        }
    };
    let options = [
        "--port",
        &port.to_string(),
        "--cluster-enabled",
        "yes",
        "--cluster-node-timeout",
        "2000",
    ];
    (Server::with("redis-server", &options).await, port)
}

async fn ask<T: FromRedisValue>(node: &(Server, u16), command: &str) -> T {
    node.0.ask(command).await
}

#[tokio::test]
async fn a_moved_slot_is_followed() {
    let nodes = [node().await, node().await, node().await];
    let thirds = ["0 5460", "5461 10922", "10923 16383"];
    for (node, slots) in nodes.iter().zip(thirds) {
        let _: () = ask(node, &format!("CLUSTER ADDSLOTSRANGE {slots}")).await;
    }
    for node in &nodes[1..] {
        let _: () = ask(&nodes[0], &format!("CLUSTER MEET 127.0.0.1 {}", node.1)).await;
    }
    for node in &nodes {
        eventually(async || {
            let info: String = ask(node, "CLUSTER INFO").await;
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        })
        .await;
    }
    let url = format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}", nodes[0].1, nodes[1].1);
    let d = Directory::redis_with(&Config::new(url.parse().unwrap()), "test", TIMING).unwrap();
    eventually(async || d.holders(&"cam".parse().unwrap()).await.is_ok()).await;
    let lease = hello(&d, 1).await;
    let cam = live(&d, 1, 1, "cam").await;
    d.add(&lease, report(&cam)).await.unwrap();

    let slot: u64 = ask(&nodes[0], "CLUSTER KEYSLOT {test}").await;
    let owner = (slot / 5461) as usize;
    let (from, to) = (&nodes[owner], &nodes[(owner + 1) % 3]);
    let ids: Vec<String> = [ask(from, "CLUSTER MYID").await, ask(to, "CLUSTER MYID").await].into();
    let _: () = ask(to, &format!("CLUSTER SETSLOT {slot} IMPORTING {}", ids[0])).await;
    let _: () = ask(from, &format!("CLUSTER SETSLOT {slot} MIGRATING {}", ids[1])).await;
    let keys: Vec<String> = ask(from, &format!("CLUSTER GETKEYSINSLOT {slot} 100")).await;
    assert!(
        keys.len() >= 6 && keys.iter().all(|key| key.starts_with("whipcord:1:{test}:")),
        "{keys:?}"
    );
    for key in &keys {
        let _: () = ask(from, &format!("MIGRATE 127.0.0.1 {} {key} 0 5000", to.1)).await;
    }
    for node in [to, from, &nodes[(owner + 2) % 3]] {
        let _: () = ask(node, &format!("CLUSTER SETSLOT {slot} NODE {}", ids[1])).await;
    }
    let left: u64 = ask(from, &format!("CLUSTER COUNTKEYSINSLOT {slot}")).await;
    assert_eq!(left, 0, "it has moved");

    eventually(async || is_live(&d, &cam).await).await;
    assert_eq!(d.beat(&lease, Load::default()).await, Ok(()), "the lease moved along");
    let next = live(&d, 1, 2, "next").await;
    assert!(is_live(&d, &next).await);
    let there: u64 = ask(to, "EXISTS whipcord:1:{test}:stream:next").await;
    assert_eq!(there, 1);
}
