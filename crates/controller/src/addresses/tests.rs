use super::*;
use crate::platform::Port;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn labels(name: &str) -> Labels {
    BTreeMap::from([
        ("app".to_owned(), "worker".to_owned()),
        ("pod".to_owned(), name.to_owned()),
    ])
}

fn pod(name: &str, network: Network) -> Pod {
    Pod {
        uid: name.to_owned(),
        labels: labels(name),
        node: Some("n1".to_owned()),
        has_ended: false,
        restarts: 0,
        network,
    }
}

fn node(external: &[&str], internal: &[&str]) -> Node {
    Node {
        external: external.iter().map(|text| ip(text)).collect(),
        internal: internal.iter().map(|text| ip(text)).collect(),
        is_cordoned: false,
        is_deleted: false,
        taints: Vec::new(),
    }
}

fn service(key: &str, value: &str, kind: Kind, ingress: Vec<Ingress>) -> Service {
    Service {
        selector: BTreeMap::from([(key.to_owned(), value.to_owned())]),
        kind,
        port: Some(Port {
            port: 8189,
            node_port: Some(31_000),
        }),
        ingress,
    }
}

#[derive(Default)]
struct Platform {
    pods: BTreeMap<String, Pod>,
    nodes: BTreeMap<String, Node>,
    services: BTreeMap<String, Service>,
    names: BTreeMap<String, Vec<IpAddr>>,
}

impl Platform {
    fn new(node: Option<Node>) -> Self {
        let mut platform = Self::default();
        platform.nodes.extend(node.map(|node| ("n1".to_owned(), node)));
        for name in ["w-0", "w-1"] {
            platform
                .pods
                .insert(name.to_owned(), pod(name, Network::HostPort(8190)));
        }
        platform
    }

    fn with(mut self, service: Service) -> Self {
        let name = format!("s{}", self.services.len());
        self.services.insert(name, service);
        self
    }

    /// In words.
    fn reach(&self, pod: &Pod, source: Source, internal_too: bool) -> String {
        let world = World {
            pods: &self.pods,
            nodes: &self.nodes,
            services: &self.services,
            names: &self.names,
        };
        match reach(pod, Rule { source, internal_too }, world) {
            None => "no question".to_owned(),
            Some(Ok(addresses)) => {
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                addresses.join(" ")
            }
            Some(Err(why)) => why.to_string(),
        }
    }
}

#[test]
fn a_node_is_reached_by_its_external_addresses_and_by_internal_ones_only_where_that_was_said() {
    let worker = pod("w-0", Network::HostPort(8190));
    let by_node = |node: Option<Node>, internal_too| Platform::new(node).reach(&worker, Source::Node, internal_too);
    let both = node(&["203.0.113.1", "2001:db8::1"], &["10.0.0.1"]);
    assert_eq!(by_node(Some(both.clone()), true), "203.0.113.1:8190 [2001:db8::1]:8190");
    let inside = node(&[], &["10.0.0.1"]);
    assert_eq!(by_node(Some(inside.clone()), true), "10.0.0.1:8190");
    let sentence = "its node n1 has no ExternalIP; --node-internal-ip takes its InternalIP instead";
    assert_eq!(by_node(Some(inside), false), sentence);
    assert_eq!(by_node(Some(node(&[], &[])), true), "its node n1 has no IP address");
    assert_eq!(by_node(None, true), "its node n1 is not known");
    let platform = Platform::new(Some(both));
    assert_eq!(
        platform.reach(&pod("w-0", Network::Host), Source::Node, false),
        "203.0.113.1 2001:db8::1",
        "the port that the worker has"
    );
    let own = platform.reach(&pod("w-0", Network::Own), Source::Node, false);
    assert!(own.contains("its node's address leads nowhere"), "{own}");
}

#[test]
fn it_is_no_question_before_a_pod_is_scheduled_after_its_end_and_where_nobody_asked() {
    let platform = Platform::new(Some(node(&["203.0.113.1"], &[])));
    let worker = pod("w-0", Network::Host);
    let waiting = Pod {
        node: None,
        ..worker.clone()
    };
    let ended = Pod {
        has_ended: true,
        ..worker.clone()
    };
    assert_eq!(platform.reach(&waiting, Source::Node, false), "no question");
    assert_eq!(platform.reach(&ended, Source::Node, false), "no question");
    assert_eq!(platform.reach(&worker, Source::Off, false), "no question");
}

#[test]
fn a_balancer_is_reached_by_its_addresses_and_by_those_its_name_stands_for() {
    let worker = pod("w-0", Network::Own);
    let balancer = |ingress| service("pod", "w-0", Kind::LoadBalancer, ingress);
    let name = || Ingress::Name("lb.example.com".to_owned());
    let by_service = |platform: &Platform| platform.reach(&worker, Source::Service, false);
    let mut platform = Platform::new(None).with(balancer(vec![name()]));
    assert_eq!(
        by_service(&platform),
        "lb.example.com, the load balancer's name, does not resolve"
    );
    platform.names.insert(
        "lb.example.com".to_owned(),
        vec![ip("198.51.100.1"), ip("198.51.100.2")],
    );
    assert_eq!(by_service(&platform), "198.51.100.1:8189 198.51.100.2:8189");
    let platform = Platform::new(None).with(balancer(vec![Ingress::Ip(ip("203.0.113.9"))]));
    assert_eq!(by_service(&platform), "203.0.113.9:8189");
    let platform = Platform::new(None).with(balancer(Vec::new()));
    assert_eq!(
        by_service(&platform),
        "the load balancer of Service s0 has no address yet"
    );
}

#[test]
fn a_service_counts_where_it_leads_to_this_worker_alone() {
    let worker = pod("w-0", Network::Own);
    let reached = || vec![Ingress::Ip(ip("203.0.113.9"))];
    let by_service = |platform: &Platform| platform.reach(&worker, Source::Service, false);
    let nothing = Platform::new(None);
    assert_eq!(by_service(&nothing), "no Service selects it");
    let shared = nothing.with(service("app", "worker", Kind::LoadBalancer, reached()));
    assert_eq!(
        by_service(&shared),
        "Service s0 selects other workers too, so that it may lead to another one's"
    );
    let own = shared.with(service("pod", "w-0", Kind::NodePort, Vec::new()));
    assert_eq!(by_service(&own), "its node n1 is not known");
    let mut known = own;
    known.nodes.insert("n1".to_owned(), node(&["203.0.113.1"], &[]));
    assert_eq!(
        by_service(&known),
        "203.0.113.1:31000",
        "by the node where the worker is"
    );
    let inside = Platform::new(None).with(service("pod", "w-0", Kind::Inside, Vec::new()));
    assert_eq!(by_service(&inside), "Service s0 is neither LoadBalancer nor NodePort");
    let outside = inside.with(service("pod", "w-0", Kind::LoadBalancer, reached()));
    assert_eq!(
        by_service(&outside),
        "203.0.113.9:8189",
        "one inside, as for metrics, leads nowhere"
    );
}
