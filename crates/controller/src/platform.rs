//! What of Kubernetes' objects is kept: a few fields of each, so that a cluster of thousands of pods is a few megabytes.
//!
//! Pure: what was received becomes these, and nothing is asked.

use std::{collections::BTreeMap, net::IpAddr};

use k8s_openapi::api::core::v1;

/// Labels, or a selector of labels.
pub(crate) type Labels = BTreeMap<String, String>;

/// Of several UDP ports, the one for media.
const MEDIA_PORT: &str = "media";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) uid: String,
    pub(crate) labels: Labels,
    /// Where it was scheduled.
    pub(crate) node: Option<String>,
    /// Failed or Succeeded: none of its containers runs, and none will.
    pub(crate) has_ended: bool,
    /// Of all its containers, ever.
    pub(crate) restarts: i64,
    pub(crate) network: Network,
}

/// How media comes in through its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// It has the node's network: the ports are the same.
    Host,
    HostPort(u16),
    /// Not at all.
    Own,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) external: Vec<IpAddr>,
    pub(crate) internal: Vec<IpAddr>,
    /// `kubectl cordon`.
    pub(crate) is_cordoned: bool,
    pub(crate) is_deleted: bool,
    /// Their keys.
    pub(crate) taints: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) selector: Labels,
    pub(crate) kind: Kind,
    /// The UDP port for media, if it is clear which.
    pub(crate) port: Option<Port>,
    /// Where its load balancer is reached.
    pub(crate) ingress: Vec<Ingress>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    LoadBalancer,
    NodePort,
    /// It cannot be reached from outside.
    Inside,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) port: u16,
    pub(crate) node_port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ingress {
    Ip(IpAddr),
    /// To be resolved: an answer names addresses alone.
    Name(String),
}

impl Service {
    /// A selector that names nothing selects nothing.
    pub(crate) fn selects(&self, labels: &Labels) -> bool {
        let agrees = |(key, value): (&String, &String)| labels.get(key) == Some(value);
        !self.selector.is_empty() && self.selector.iter().all(agrees)
    }
}

impl From<v1::Pod> for Pod {
    fn from(pod: v1::Pod) -> Self {
        let (spec, status) = (pod.spec.unwrap_or_default(), pod.status.unwrap_or_default());
        let containers = status.container_statuses.unwrap_or_default();
        let network = if spec.host_network == Some(true) {
            Network::Host
        } else {
            host_port(&spec.containers).map_or(Network::Own, Network::HostPort)
        };
        Self {
            uid: pod.metadata.uid.unwrap_or_default(),
            labels: pod.metadata.labels.unwrap_or_default(),
            node: spec.node_name.filter(|name| !name.is_empty()),
            has_ended: matches!(status.phase.as_deref(), Some("Failed" | "Succeeded")),
            restarts: containers
                .iter()
                .map(|container| i64::from(container.restart_count))
                .sum(),
            network,
        }
    }
}

fn host_port(containers: &[v1::Container]) -> Option<u16> {
    let ports = containers.iter().flat_map(|container| container.ports.iter().flatten());
    let ports = ports.filter(|port| is_udp(port.protocol.as_deref()) && port.host_port.is_some());
    let chosen = the_one(ports.collect(), |port| port.name.as_deref());
    chosen.and_then(|port| number(port.host_port))
}

impl From<v1::Node> for Node {
    fn from(node: v1::Node) -> Self {
        let (spec, status) = (node.spec.unwrap_or_default(), node.status.unwrap_or_default());
        let addresses = status.addresses.unwrap_or_default();
        let of = |kind: &str| {
            let of_kind = addresses.iter().filter(|address| address.type_ == kind);
            of_kind.filter_map(|address| address.address.parse().ok()).collect()
        };
        Self {
            // ExternalDNS and InternalDNS are names that encoders would have to resolve, and do not.
            external: of("ExternalIP"),
            internal: of("InternalIP"),
            is_cordoned: spec.unschedulable == Some(true),
            is_deleted: node.metadata.deletion_timestamp.is_some(),
            taints: spec
                .taints
                .unwrap_or_default()
                .into_iter()
                .map(|taint| taint.key)
                .collect(),
        }
    }
}

impl From<v1::Service> for Service {
    fn from(service: v1::Service) -> Self {
        let (spec, status) = (service.spec.unwrap_or_default(), service.status.unwrap_or_default());
        let ports = spec.ports.iter().flatten();
        let ports = ports.filter(|port| is_udp(port.protocol.as_deref()));
        let port = the_one(ports.collect(), |port| port.name.as_deref());
        let ingress = status.load_balancer.and_then(|balancer| balancer.ingress);
        Self {
            selector: spec.selector.unwrap_or_default(),
            kind: match spec.type_.as_deref() {
                Some("LoadBalancer") => Kind::LoadBalancer,
                Some("NodePort") => Kind::NodePort,
                _ => Kind::Inside,
            },
            port: port.and_then(|port| {
                Some(Port {
                    port: number(Some(port.port))?,
                    node_port: number(port.node_port),
                })
            }),
            ingress: ingress.into_iter().flatten().filter_map(reached_at).collect(),
        }
    }
}

/// An address counts more than a name for it.
fn reached_at(ingress: v1::LoadBalancerIngress) -> Option<Ingress> {
    let ip = ingress.ip.and_then(|ip| ip.parse().ok()).map(Ingress::Ip);
    let name = || ingress.hostname.filter(|name| !name.is_empty()).map(Ingress::Name);
    ip.or_else(name)
}

/// The only one there is, or of several the one with the name.
fn the_one<T>(all: Vec<&T>, name: impl Fn(&T) -> Option<&str>) -> Option<&T> {
    match all[..] {
        [one] => Some(one),
        _ => all.into_iter().find(|port| name(port) == Some(MEDIA_PORT)),
    }
}

fn is_udp(protocol: Option<&str>) -> bool {
    protocol == Some("UDP")
}

fn number(port: Option<i32>) -> Option<u16> {
    port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0)
}

#[cfg(test)]
mod tests;
