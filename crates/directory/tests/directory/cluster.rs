//! A Cluster of three, whose one slot with all of it moves.

use std::time::Duration;

use redis::FromRedisValue;
use whipcord_directory::{Config, Directory, Load, Lookup, Timing};

use crate::{
    bed::{eventually, hello, is_live, live, report, sid},
    server::{Server, free_port},
};

const TIMING: Timing = Timing {
    lease: Duration::from_secs(3),
    rebuild: Duration::ZERO,
    ..Timing::STANDARD
};

/// Nothing but the test's own calls meets the slot while it moves: one that is told to try again holds up the next.
const QUIET: Timing = Timing {
    lease: Duration::from_secs(30),
    ..TIMING
};

/// With its port.
type Node = (Server, u16);

/// A node below the ports of its bus, which are 10,000 higher.
async fn node() -> Node {
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

async fn ask<T: FromRedisValue>(node: &Node, command: &str) -> T {
    node.0.ask(command).await
}

/// Three that know each other, with a third of the slots each.
async fn three() -> [Node; 3] {
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
    nodes
}

async fn directory(nodes: &[Node; 3], timing: Timing) -> Directory {
    let url = format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}", nodes[0].1, nodes[1].1);
    let d = Directory::redis_with(&Config::new(url.parse().unwrap()), &"test".parse().unwrap(), timing).unwrap();
    eventually(async || d.lookup(&"cam".parse().unwrap(), sid(1)).await != Lookup::Unknown).await;
    d
}

/// The one slot of a cluster, from the node that has it to the next.
struct Move<'a> {
    nodes: &'a [Node; 3],
    slot: u64,
    from: usize,
}

impl<'a> Move<'a> {
    async fn begin(nodes: &'a [Node; 3]) -> Self {
        let slot: u64 = ask(&nodes[0], "CLUSTER KEYSLOT {test}").await;
        let from = (slot / 5461) as usize;
        let moving = Self { nodes, slot, from };
        let [from, to] = moving.ends();
        let ids: Vec<String> = [ask(from, "CLUSTER MYID").await, ask(to, "CLUSTER MYID").await].into();
        let _: () = ask(to, &format!("CLUSTER SETSLOT {slot} IMPORTING {}", ids[0])).await;
        let _: () = ask(from, &format!("CLUSTER SETSLOT {slot} MIGRATING {}", ids[1])).await;
        moving
    }

    fn ends(&self) -> [&'a Node; 2] {
        [&self.nodes[self.from], &self.nodes[(self.from + 1) % 3]]
    }

    /// Takes over the keys that are wanted. Returns how many.
    async fn take(&self, wanted: impl Fn(&str) -> bool) -> usize {
        let [from, to] = self.ends();
        let keys: Vec<String> = ask(from, &format!("CLUSTER GETKEYSINSLOT {} 100", self.slot)).await;
        assert!(keys.iter().all(|key| key.starts_with("whipcord:1:{test}:")), "{keys:?}");
        let wanted = keys.iter().filter(|key| wanted(key));
        let mut taken = 0;
        for key in wanted {
            let _: () = ask(from, &format!("MIGRATE 127.0.0.1 {} {key} 0 5000", to.1)).await;
            taken += 1;
        }
        taken
    }

    async fn end(self) {
        let [from, to] = self.ends();
        let id: String = ask(to, "CLUSTER MYID").await;
        for node in [to, from, &self.nodes[(self.from + 2) % 3]] {
            let _: () = ask(node, &format!("CLUSTER SETSLOT {} NODE {id}", self.slot)).await;
        }
        let left: u64 = ask(from, &format!("CLUSTER COUNTKEYSINSLOT {}", self.slot)).await;
        assert_eq!(left, 0, "it has moved");
    }
}

#[tokio::test]
async fn a_moved_slot_is_followed() {
    let nodes = three().await;
    let d = directory(&nodes, TIMING).await;
    let lease = hello(&d, 1).await;
    let cam = live(&d, 1, 1, "cam").await;
    d.add(&lease, report(&cam)).await.unwrap();

    let moving = Move::begin(&nodes).await;
    let [_, to] = moving.ends();
    assert!(moving.take(|_| true).await >= 6);
    moving.end().await;

    eventually(async || is_live(&d, &cam).await).await;
    assert_eq!(d.beat(&lease, Load::default()).await, Ok(()), "the lease moved along");
    let next = live(&d, 1, 2, "next").await;
    assert!(is_live(&d, &next).await);
    let there: u64 = ask(to, "EXISTS whipcord:1:{test}:stream:next").await;
    assert_eq!(there, 1);
}

/// Its stream's key is on one node, all others on the other.
#[tokio::test]
async fn a_session_that_ends_while_its_slot_moves_leaves_no_ghost() {
    let nodes = three().await;
    let d = directory(&nodes, QUIET).await;
    let mut lease = hello(&d, 1).await;
    let cam = live(&d, 1, 1, "cam").await;
    d.add(&lease, report(&cam)).await.unwrap();

    let moving = Move::begin(&nodes).await;
    let taken = moving.take(|key| key.ends_with(":stream:cam")).await;
    assert_eq!(taken, 1);
    d.remove(&lease, &[cam.sid]).await.unwrap();
    assert!(
        moving.take(|_| true).await >= 5,
        "all others were still where they had been"
    );
    moving.end().await;

    // As a worker does that now has no sessions.
    eventually(async || {
        if d.beat(&lease, Load::default()).await.is_err() {
            lease = hello(&d, 1).await;
            d.end_snapshot(&lease).await.unwrap();
        }
        d.lookup(&cam.stream, cam.sid).await == Lookup::Absent
    })
    .await;
}
