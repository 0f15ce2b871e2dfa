use std::net::IpAddr;

use super::{deaths::Cause, *};
use crate::{
    addresses::Source,
    platform::{Network, Service},
};

struct Platform {
    pods: BTreeMap<String, Pod>,
    nodes: BTreeMap<String, Node>,
    services: BTreeMap<String, Service>,
    names: BTreeMap<String, Vec<IpAddr>>,
    now: Instant,
}

impl Platform {
    /// Two workers on two nodes.
    fn new() -> Self {
        let mut platform = Self {
            pods: BTreeMap::new(),
            nodes: BTreeMap::new(),
            services: BTreeMap::new(),
            names: BTreeMap::new(),
            now: Instant::now(),
        };
        for n in 0..2 {
            platform
                .pods
                .insert(format!("w-{n}"), pod(&format!("uid-{n}"), &format!("n{n}")));
            platform.nodes.insert(format!("n{n}"), node(&format!("203.0.113.{n}")));
        }
        platform
    }

    fn pod(&mut self, name: &str) -> &mut Pod {
        self.pods.get_mut(name).unwrap()
    }

    fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(name).unwrap()
    }

    fn look(&self, plan: &mut Plan, listing: &Listing) -> Intentions {
        let world = World {
            pods: &self.pods,
            nodes: &self.nodes,
            services: &self.services,
            names: &self.names,
        };
        plan.look(world, Some(listing), self.now)
    }
}

fn pod(uid: &str, node: &str) -> Pod {
    Pod {
        uid: uid.to_owned(),
        labels: BTreeMap::new(),
        node: Some(node.to_owned()),
        has_ended: false,
        restarts: 0,
        network: Network::Host,
    }
}

fn node(external: &str) -> Node {
    Node {
        external: vec![external.parse().unwrap()],
        internal: Vec::new(),
        is_cordoned: false,
        is_deleted: false,
        taints: Vec::new(),
    }
}

fn duties() -> Duties {
    Duties {
        addresses: Rule {
            source: Source::Node,
            internal_too: false,
        },
        fencing: true,
        drain: true,
        taints: vec!["to-be-deleted".to_owned()],
    }
}

fn listed(worker: &str, incarnation: u64, health: Health) -> Listed {
    Listed {
        worker: worker.parse().unwrap(),
        incarnation: Incarnation(incarnation),
        health,
        sessions: 1,
        sessions_max: 10,
    }
}

fn listing(workers: &[Listed]) -> Listing {
    Listing {
        workers: workers.to_vec(),
        is_stale: false,
    }
}

fn both() -> Listing {
    listing(&[listed("w-0", 10, Health::Alive), listed("w-1", 11, Health::Alive)])
}

fn causes(intentions: &Intentions) -> Vec<(String, Cause)> {
    let probes = intentions.probes.iter();
    probes.map(|probe| (probe.worker.to_string(), probe.cause)).collect()
}

fn drained(intentions: &Intentions) -> Vec<(String, Leaving)> {
    let drains = intentions.drains.iter();
    drains
        .map(|drain| (drain.worker.to_string(), drain.leaving.clone()))
        .collect()
}

#[test]
fn nothing_is_done_where_all_is_well_but_telling_addresses() {
    let (platform, mut plan) = (Platform::new(), Plan::new(duties()));
    let intentions = platform.look(&mut plan, &both());
    assert!(intentions.probes.is_empty() && intentions.drains.is_empty());
    let book = intentions.addresses.unwrap();
    let told: Vec<String> = book
        .iter()
        .map(|(worker, addresses)| format!("{worker} {}", addresses[0]))
        .collect();
    assert_eq!(told, ["w-0 203.0.113.0", "w-1 203.0.113.1"]);
}

#[test]
fn what_kubernetes_says_has_ended_is_probed_once() {
    type Change = fn(&mut Platform);
    let table: [(Change, Cause); 4] = [
        (|platform| drop(platform.pods.remove("w-0")), Cause::Gone),
        (
            |platform| platform.pod("w-0").uid = "another".to_owned(),
            Cause::Replaced,
        ),
        (|platform| platform.pod("w-0").has_ended = true, Cause::Ended),
        (|platform| platform.pod("w-0").restarts = 1, Cause::Restarted),
    ];
    for (change, cause) in table {
        let (mut platform, mut plan) = (Platform::new(), Plan::new(duties()));
        platform.look(&mut plan, &both());
        change(&mut platform);
        let asked = platform.look(&mut plan, &both());
        assert_eq!(causes(&asked), [("w-0".to_owned(), cause)]);
        assert!(
            platform.look(&mut plan, &both()).probes.is_empty(),
            "{cause}: it is on its way"
        );
        let probe = asked.probes[0].clone();
        assert_eq!(probe.pod.uid, "uid-0", "of the pod that was");
        assert_eq!(plan.probed(probe.clone(), None), None);
        assert_eq!(
            causes(&platform.look(&mut plan, &both())),
            [("w-0".to_owned(), cause)],
            "again"
        );
        let notice = plan.probed(probe, Some(1));
        assert!(matches!(notice, Some(Notice::WorkerDead { incarnations: 1, .. })));
        assert!(platform.look(&mut plan, &both()).probes.is_empty(), "{cause}");
    }
}

#[test]
fn an_end_that_comes_while_another_is_asked_after_is_asked_after_too() {
    let (mut platform, mut plan) = (Platform::new(), Plan::new(duties()));
    platform.look(&mut plan, &both());
    platform.pod("w-0").restarts = 1;
    let first = platform.look(&mut plan, &both()).probes.remove(0);
    platform.pods.remove("w-0");
    assert_eq!(
        causes(&platform.look(&mut plan, &both())),
        [("w-0".to_owned(), Cause::Gone)]
    );
    assert_eq!(plan.probed(first, Some(0)), None);
    assert_eq!(
        causes(&platform.look(&mut plan, &both())),
        [],
        "the second is on its way"
    );
}

#[test]
fn who_leads_anew_asks_after_those_whose_pods_are_not_there() {
    let (mut platform, mut plan) = (Platform::new(), Plan::new(duties()));
    platform.pods.remove("w-0");
    platform.pod("w-1").has_ended = true;
    let asked = platform.look(&mut plan, &both());
    let expected = [("w-0".to_owned(), Cause::Gone), ("w-1".to_owned(), Cause::Ended)];
    assert_eq!(causes(&asked), expected);
    let later = listing(&[listed("elsewhere", 1, Health::Alive)]);
    assert!(
        platform.look(&mut plan, &later).probes.is_empty(),
        "one outside Kubernetes"
    );
}

#[test]
fn workers_of_a_node_that_is_to_go_are_drained_once() {
    type Change = fn(&mut Platform);
    let table: [(Change, Leaving); 3] = [
        (|platform| platform.node("n1").is_cordoned = true, Leaving::Cordoned),
        (
            |platform| platform.node("n1").taints = vec!["other".to_owned(), "to-be-deleted".to_owned()],
            Leaving::Tainted("to-be-deleted".to_owned()),
        ),
        (|platform| platform.node("n1").is_deleted = true, Leaving::Deleted),
    ];
    for (change, leaving) in table {
        let (mut platform, mut plan) = (Platform::new(), Plan::new(duties()));
        assert!(platform.look(&mut plan, &both()).drains.is_empty());
        change(&mut platform);
        let asked = platform.look(&mut plan, &both());
        assert_eq!(drained(&asked), [("w-1".to_owned(), leaving.clone())]);
        assert!(platform.look(&mut plan, &both()).drains.is_empty(), "it is on its way");
        assert_eq!(plan.drained(asked.drains[0].clone(), None), None);
        let again = platform.look(&mut plan, &both());
        assert_eq!(drained(&again), [("w-1".to_owned(), leaving)], "it was not heard");
        let notice = plan.drained(again.drains[0].clone(), Some(7));
        assert!(matches!(notice, Some(Notice::DrainBegun { sessions: 7, .. })));
        assert!(platform.look(&mut plan, &both()).drains.is_empty(), "once");
    }
}

#[test]
fn a_drain_is_once_for_each_cordon_and_each_start_of_a_worker() {
    let (mut platform, mut plan) = (Platform::new(), Plan::new(duties()));
    let drain = |platform: &Platform, plan: &mut Plan, listing: &Listing| {
        let asked = platform.look(plan, listing).drains;
        for drain in &asked {
            plan.drained(drain.clone(), Some(0));
        }
        asked.len()
    };
    platform.node("n1").is_cordoned = true;
    assert_eq!(drain(&platform, &mut plan, &both()), 1);
    assert_eq!(drain(&platform, &mut plan, &both()), 0);
    let restarted = listing(&[listed("w-1", 12, Health::Alive)]);
    assert_eq!(drain(&platform, &mut plan, &restarted), 1);
    platform.node("n1").is_cordoned = false;
    assert_eq!(drain(&platform, &mut plan, &restarted), 0);
    platform.node("n1").is_cordoned = true;
    assert_eq!(drain(&platform, &mut plan, &restarted), 1);
    let by_an_operator = listing(&[listed("w-1", 13, Health::Draining)]);
    assert_eq!(drain(&platform, &mut plan, &by_an_operator), 0);
}

#[test]
fn a_node_that_is_not_listed_was_deleted_if_it_stays_away() {
    let (mut platform, mut plan) = (Platform::new(), Plan::new(duties()));
    platform.nodes.remove("n1");
    assert!(platform.look(&mut plan, &both()).drains.is_empty());
    platform.now += NODE_MISSING - Duration::from_millis(1);
    assert!(platform.look(&mut plan, &both()).drains.is_empty());
    platform.now += Duration::from_millis(1);
    let asked = platform.look(&mut plan, &both());
    assert_eq!(drained(&asked), [("w-1".to_owned(), Leaving::Deleted)]);
}

#[test]
fn duties_that_are_off_are_not_done() {
    let mut plan = Plan::new(Duties {
        addresses: Rule {
            source: Source::Off,
            internal_too: false,
        },
        fencing: false,
        drain: false,
        ..duties()
    });
    let mut platform = Platform::new();
    platform.look(&mut plan, &both());
    platform.pods.remove("w-0");
    platform.node("n1").is_cordoned = true;
    let intentions = platform.look(&mut plan, &both());
    assert!(intentions.addresses.is_none() && intentions.probes.is_empty() && intentions.drains.is_empty());
    assert_eq!(intentions.notices, []);
}

#[test]
fn an_address_that_is_missing_is_said_once_and_of_those_alone_that_wait_for_it() {
    let (mut platform, mut plan) = (Platform::new(), Plan::new(duties()));
    platform.node("n0").external.clear();
    platform.node("n1").external.clear();
    let waiting = listing(&[listed("w-0", 1, Health::Unaddressed), listed("w-1", 2, Health::Alive)]);
    let intentions = platform.look(&mut plan, &waiting);
    let [Notice::AddressUnknown { pod, why }] = &intentions.notices[..] else {
        panic!("{:?}", intentions.notices)
    };
    assert_eq!((&*pod.name, why), ("w-0", &Unknown::NoExternal("n0".to_owned())));
    let book = intentions.addresses.unwrap();
    assert!(
        book.values().all(Vec::is_empty) && book.len() == 2,
        "they are told that there is none"
    );
    assert_eq!(platform.look(&mut plan, &waiting).notices, []);
    platform.node("n0").external = node("203.0.113.5").external;
    let known = platform.look(&mut plan, &waiting).notices;
    assert!(
        matches!(&known[..], [Notice::AddressKnown { pod, .. }] if pod.name == "w-0"),
        "{known:?}"
    );
}

#[test]
fn that_there_is_no_room_is_said_when_it_lasts_and_when_it_is_over() {
    let (mut platform, mut plan) = (Platform::new(), Plan::new(duties()));
    let full = |health| {
        let one = listed("w-0", 1, health);
        listing(&[Listed { sessions: 10, ..one }])
    };
    let said = |platform: &Platform, plan: &mut Plan, listing: &Listing| {
        let mut notices = platform.look(plan, listing).notices;
        notices.retain(|notice| !matches!(notice, Notice::AddressKnown { .. }));
        notices
    };
    assert_eq!(said(&platform, &mut plan, &full(Health::Alive)), []);
    platform.now += Duration::from_secs(4);
    assert_eq!(said(&platform, &mut plan, &full(Health::Alive)), [], "it may pass");
    platform.now += Duration::from_secs(1);
    let stale = Listing {
        is_stale: true,
        ..full(Health::Alive)
    };
    assert_eq!(said(&platform, &mut plan, &stale), [], "who is missing may have room");
    let no_room = [Notice::NoCapacity {
        workers: 1,
        sessions: 10,
    }];
    assert_eq!(said(&platform, &mut plan, &full(Health::Alive)), no_room);
    assert_eq!(said(&platform, &mut plan, &full(Health::Draining)), [], "once");
    assert_eq!(said(&platform, &mut plan, &both()), [Notice::Capacity { room: 18 }]);
    assert_eq!(said(&platform, &mut plan, &listing(&[])), []);
    platform.now += Duration::from_secs(4);
    assert_eq!(said(&platform, &mut plan, &both()), [], "it did not last");
}
