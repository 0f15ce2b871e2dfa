//! Redis that moves: a replica becomes the master, a slot goes to another node.

use std::time::{Duration, Instant};

use whipcord_tests::{
    cluster::Cluster,
    eventually,
    fault::{Cost, Extent},
    load::{Crowd, Session},
    redis::{Answer, Redis},
};

use super::{
    asking::Asking,
    index, post,
    redis::UNLIMITED,
    studio::{PICTURE, Studio},
};

/// Sentinels agree, elect and promote within seconds, nodes of a Cluster find each other; a loaded machine gets this long.
const AGREED: Duration = Duration::from_secs(30);
/// Whole again: found anew within seconds, and one interval of reports.
const WHOLE: Duration = Duration::from_secs(30);

/// Two gateways and two workers at this Redis, with a studio and some sessions.
struct Load {
    cluster: Cluster,
    studio: Studio,
    crowd: Crowd,
}

impl Load {
    fn at(mut cluster: Cluster, url: String, redis: &Redis) -> Self {
        cluster.use_redis(url);
        (0..2).for_each(|n| cluster.start_gateway(n, &UNLIMITED));
        (0..2).for_each(|n| cluster.start_worker(n, &[]));
        (0..2).for_each(|n| cluster.wait_until_known(n));
        let studio = Studio::live(&cluster, 0, "studio");
        let count = Extent::of_this_run().choose(10, 50);
        let crowd = Crowd::connected(&cluster.origins(), "cam", count, cluster.token());
        eventually("Redis holds them", WHOLE, || {
            index::is_whole(&cluster, 0, redis).then_some(())
        });
        Self { cluster, studio, crowd }
    }

    fn watch(&self) -> Asking {
        let paths = self.crowd.map(|session| [session.path.clone(), session.path_by_id()]);
        Asking::for_sessions(&self.cluster, &[0, 1], &paths.concat())
    }

    /// Nobody was said to be gone, what is new goes to `redis`, and media has not noticed.
    #[track_caller]
    fn finish(self, watched: Asking, redis: &Redis) -> Duration {
        for gateway in 0..2 {
            let stream = format!("new/{gateway}");
            eventually("a new session is placed", AGREED, || {
                (post(&self.cluster, gateway, &stream).0 == 201).then_some(())
            });
            let key = format!("EXISTS whipcord:1:{{whipcord}}:stream:{stream}");
            eventually("Redis has it", AGREED, || {
                (redis.ask(&key) == Answer::Number(1)).then_some(())
            });
        }
        let watched = watched.finish();
        assert!(watched.keys().all(|status| [204, 503].contains(status)), "{watched:?}");
        assert!(watched[&204] > 0, "{watched:?}");
        let (media_gap, _) = self.studio.finish(&self.cluster);
        assert!(media_gap < PICTURE, "{media_gap:?}");
        media_gap
    }
}

#[test]
fn a_replica_is_promoted_that_lacks_acknowledged_writes() {
    let cluster = Cluster::new();
    let [first, second, third] = [1, 2, 3].map(|n| cluster.redis_address(n));
    let master = Redis::start(first, &[]);
    let (of, announced) = (format!("{} {}", first.ip(), first.port()), second.ip().to_string());
    let options = [
        "--replicaof",
        &of,
        "--replica-announce-ip",
        &announced,
        "--repl-diskless-sync-delay",
        "0",
    ];
    let replica = Redis::start(second, &options);
    let replication = |of: &Redis| of.ask("INFO replication").text();
    eventually("the replica follows", AGREED, || {
        replication(&replica).contains("master_link_status:up").then_some(())
    });
    let sentinel = Redis::sentinel(third, first);
    eventually("the Sentinel knows it", AGREED, || {
        match sentinel.ask("SENTINEL REPLICAS main") {
            Answer::List(replicas) if !replicas.is_empty() => Some(()),
            _ => None,
        }
    });
    let load = Load::at(cluster, format!("redis+sentinel://{third}/main"), &master);
    let kept = index::of_redis(&master).unwrap();
    eventually("the replica has them", AGREED, || {
        (index::of_redis(&replica).as_ref() == Some(&kept)).then_some(())
    });

    // The link is cut: the replica looks for a master where none is, and the master goes on acknowledging.
    replica.ask("REPLICAOF 127.0.0.1 1");
    for n in 0..6 {
        let late = Session::connect(&load.cluster.origin(n % 2), &format!("late/{n}"), load.cluster.token());
        load.crowd.add(late.unwrap());
    }
    eventually("the master has the late ones", AGREED, || {
        index::is_whole(&load.cluster, 0, &master).then_some(())
    });
    assert_eq!(index::of_redis(&replica).as_ref(), Some(&kept), "they did not arrive");
    let watched = load.watch();
    master.kill();
    let killed = Instant::now();
    eventually("the replica is promoted", AGREED, || {
        replication(&replica).contains("role:master").then_some(())
    });
    let noticed = killed.elapsed();
    eventually("the index is whole again", WHOLE, || {
        index::is_whole(&load.cluster, 0, &replica).then_some(())
    });
    let recovered = killed.elapsed();
    let whole = index::of_redis(&replica).unwrap();
    assert!(kept.keys().all(|sid| whole.contains_key(sid)));
    assert_eq!(whole.values().filter(|stream| stream.starts_with("late/")).count(), 6);
    let media_gap = load.finish(watched, &replica);
    let cost = Cost {
        noticed: Some(noticed),
        recovered: Some(recovered),
        sessions_lost: Some(0),
        media_gap: Some(media_gap),
    };
    cost.note("Redis replica promoted without acknowledged writes");
}

#[test]
fn the_slot_of_a_redis_cluster_moves() {
    let cluster = Cluster::new();
    let nodes = [1, 2, 3].map(|n| {
        let address = cluster.redis_address(n);
        let announced = address.ip().to_string();
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
        Redis::start(
            address,
            &[&options[..], &["--cluster-announce-ip", &announced]].concat(),
        )
    });
    for (node, slots) in nodes.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
        node.ask(&format!("CLUSTER ADDSLOTSRANGE {slots}"));
    }
    for node in &nodes[1..] {
        let address = node.address();
        nodes[0].ask(&format!("CLUSTER MEET {} {}", address.ip(), address.port()));
    }
    for node in &nodes {
        eventually("the nodes know each other", AGREED, || {
            let info = node.ask("CLUSTER INFO").text();
            (info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")).then_some(())
        });
    }
    let slot = nodes[0].ask("CLUSTER KEYSLOT {whipcord}").number();
    let owner = (slot / 5461) as usize;
    let (from, to, third) = (&nodes[owner], &nodes[(owner + 1) % 3], &nodes[(owner + 2) % 3]);
    let url = format!("redis+cluster://{},{}", nodes[0].address(), nodes[1].address());
    let load = Load::at(cluster, url, from);
    let watched = load.watch();

    let begun = Instant::now();
    let [from_id, to_id] = [from, to].map(|node| node.ask("CLUSTER MYID").text());
    to.ask(&format!("CLUSTER SETSLOT {slot} IMPORTING {from_id}"));
    from.ask(&format!("CLUSTER SETSLOT {slot} MIGRATING {to_id}"));
    let mut moved = 0;
    eventually("all keys have moved", AGREED, || {
        let keys = from.ask(&format!("CLUSTER GETKEYSINSLOT {slot} 1000")).texts();
        for key in &keys {
            let there = to.address();
            from.ask(&format!("MIGRATE {} {} {key} 0 5000", there.ip(), there.port()));
        }
        moved += keys.len();
        keys.is_empty().then_some(())
    });
    for node in [to, from, third] {
        node.ask(&format!("CLUSTER SETSLOT {slot} NODE {to_id}"));
    }
    assert!(moved > 10, "{moved} keys");
    assert_eq!(from.ask(&format!("CLUSTER COUNTKEYSINSLOT {slot}")), Answer::Number(0));
    let done = Instant::now();
    eventually("the index is whole again", WHOLE, || {
        index::is_whole(&load.cluster, 0, to).then_some(())
    });
    let recovered = done.elapsed();
    let media_gap = load.finish(watched, to);
    let cost = Cost {
        noticed: Some(done - begun),
        recovered: Some(recovered),
        sessions_lost: Some(0),
        media_gap: Some(media_gap),
    };
    cost.note("Redis Cluster slot moved");
}
