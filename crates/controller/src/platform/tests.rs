use serde_json::{Value, json};

use super::*;

fn pod(json: Value) -> Pod {
    Pod::from(serde_json::from_value::<v1::Pod>(json).unwrap())
}

fn service(json: Value) -> Service {
    Service::from(serde_json::from_value::<v1::Service>(json).unwrap())
}

fn ports(containers: &[&[(&str, &str, u16, u16)]]) -> Network {
    let container = |ports: &[(&str, &str, u16, u16)]| {
        let ports = ports.iter().map(|(name, protocol, inside, outside)| {
            let host_port = (*outside != 0).then_some(*outside);
            json!({"name": name, "protocol": protocol, "containerPort": inside, "hostPort": host_port})
        });
        json!({"name": "c", "ports": ports.collect::<Vec<_>>()})
    };
    let containers: Vec<Value> = containers.iter().map(|ports| container(ports)).collect();
    pod(json!({"spec": {"containers": containers}})).network
}

#[test]
fn media_comes_in_by_the_one_udp_host_port_or_the_one_named_media() {
    let table: [(&[&[_]], _); 6] = [
        (&[&[]], Network::Own),
        (&[&[("media", "UDP", 8189, 0)]], Network::Own),
        (&[&[("any", "UDP", 8189, 31_000)]], Network::HostPort(31_000)),
        (
            &[&[("http", "TCP", 80, 80)], &[("any", "UDP", 8189, 8189)]],
            Network::HostPort(8189),
        ),
        (
            &[&[("dns", "UDP", 53, 53), ("media", "UDP", 8189, 8190)]],
            Network::HostPort(8190),
        ),
        (&[&[("a", "UDP", 1, 1), ("b", "UDP", 2, 2)]], Network::Own),
    ];
    for (containers, expected) in table {
        assert_eq!(ports(containers), expected, "{containers:?}");
    }
    let host = pod(json!({"spec": {"containers": [], "hostNetwork": true}}));
    assert_eq!(host.network, Network::Host);
}

#[test]
fn a_pods_end_and_its_restarts_are_seen() {
    let status = |phase: &str, restarts: &[i32]| {
        let statuses = restarts
            .iter()
            .map(|count| json!({"name": "c", "restartCount": count, "ready": true, "image": "", "imageID": ""}));
        let statuses: Vec<Value> = statuses.collect();
        pod(json!({"status": {"phase": phase, "containerStatuses": statuses}}))
    };
    for (phase, has_ended) in [
        ("Pending", false),
        ("Running", false),
        ("Failed", true),
        ("Succeeded", true),
    ] {
        assert_eq!(status(phase, &[]).has_ended, has_ended, "{phase}");
    }
    assert_eq!(status("Running", &[2, 1]).restarts, 3);
    let empty = pod(json!({}));
    assert_eq!((empty.node, empty.restarts), (None, 0));
    assert_eq!(
        pod(json!({"spec": {"containers": [], "nodeName": "n"}}))
            .node
            .as_deref(),
        Some("n")
    );
}

#[test]
fn of_a_nodes_addresses_names_are_none() {
    let node = json!({
        "spec": {"unschedulable": true, "taints": [{"key": "drain", "effect": "NoSchedule"}]},
        "status": {"addresses": [
            {"type": "InternalIP", "address": "10.0.0.1"},
            {"type": "ExternalDNS", "address": "node.example.com"},
            {"type": "ExternalIP", "address": "203.0.113.1"},
            {"type": "ExternalIP", "address": "2001:db8::1"},
            {"type": "ExternalIP", "address": "node.example.com"},
            {"type": "Hostname", "address": "node"},
        ]},
    });
    let node = Node::from(serde_json::from_value::<v1::Node>(node).unwrap());
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let expected = Node {
        external: vec![ip("203.0.113.1"), ip("2001:db8::1")],
        internal: vec![ip("10.0.0.1")],
        is_cordoned: true,
        is_deleted: false,
        taints: vec!["drain".to_owned()],
    };
    assert_eq!(node, expected);
    let gone = json!({"metadata": {"deletionTimestamp": "2026-11-21T00:00:00Z"}});
    let gone = Node::from(serde_json::from_value::<v1::Node>(gone).unwrap());
    assert!(gone.is_deleted && !gone.is_cordoned);
}

#[test]
fn a_service_is_known_by_its_udp_port_and_where_its_balancer_is() {
    let found = service(json!({
        "spec": {
            "type": "LoadBalancer",
            "selector": {"pod": "w-0"},
            "ports": [
                {"port": 80, "protocol": "TCP"},
                {"port": 8189, "nodePort": 31000, "protocol": "UDP"},
            ],
        },
        "status": {"loadBalancer": {"ingress": [
            {"ip": "203.0.113.1", "hostname": "both.example.com"},
            {"hostname": "lb.example.com"},
            {"ip": "none"},
        ]}},
    }));
    let port = Port {
        port: 8189,
        node_port: Some(31_000),
    };
    assert_eq!((found.kind, found.port), (Kind::LoadBalancer, Some(port)));
    let ingress = [
        Ingress::Ip("203.0.113.1".parse().unwrap()),
        Ingress::Name("lb.example.com".to_owned()),
    ];
    assert_eq!(found.ingress, ingress);
    let labels = |pairs: &[(&str, &str)]| -> Labels {
        let pairs = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        pairs.collect()
    };
    assert!(found.selects(&labels(&[("pod", "w-0"), ("app", "a")])));
    assert!(!found.selects(&labels(&[("pod", "w-1")])));
    assert!(!found.selects(&labels(&[])));
    let nothing = service(json!({"spec": {"type": "ClusterIP"}}));
    assert!(
        !nothing.selects(&labels(&[("pod", "w-0")])),
        "a selector of nothing is none"
    );
    assert_eq!((nothing.kind, nothing.port), (Kind::Inside, None));
}
