//! Where encoders reach a worker's pod: through its node, or through a Service of its own.
//!
//! Pure. What is not known is said with its reason: an address that might be right is none.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use crate::platform::{Ingress, Kind, Labels, Network, Node, Pod, Port, Service};

/// Where the way for media is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Source {
    /// Nowhere: workers name their addresses themselves.
    Off,
    /// The pod's node, for pods with a hostPort or the host's network.
    Node,
    /// A Service for each worker, of type LoadBalancer or NodePort.
    Service,
}

/// How it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) source: Source,
    /// A node's InternalIP is what encoders reach where it has no ExternalIP.
    pub(crate) internal_too: bool,
}

/// All that is known of the platform.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World<'a> {
    pub(crate) pods: &'a BTreeMap<String, Pod>,
    pub(crate) nodes: &'a BTreeMap<String, Node>,
    pub(crate) services: &'a BTreeMap<String, Service>,
    /// Load balancers' names, as far as they were resolved.
    pub(crate) names: &'a BTreeMap<String, Vec<IpAddr>>,
}

/// One for an answer. Port 0: the one at which the worker receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
}

/// Why none is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unknown {
    #[error("its node {0} is not known")]
    NoNode(String),
    #[error("its node {0} has no ExternalIP; --node-internal-ip takes its InternalIP instead")]
    NoExternal(String),
    #[error("its node {0} has no IP address")]
    NoAddress(String),
    #[error("it has neither one UDP hostPort nor the host's network, so that its node's address leads nowhere")]
    NotOnNode,
    #[error("no Service selects it")]
    NoService,
    #[error("Service {0} selects other workers too, so that it may lead to another one's")]
    Shared(String),
    #[error("Service {0} is neither LoadBalancer nor NodePort")]
    Inside(String),
    #[error("Service {0} has not one UDP port, or one named media")]
    NoPort(String),
    #[error("the load balancer of Service {0} has no address yet")]
    NoIngress(String),
    #[error("{0}, the load balancer's name, does not resolve")]
    Unresolved(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            0 => self.ip.fmt(f),
            port => std::net::SocketAddr::new(self.ip, port).fmt(f),
        }
    }
}

/// Where encoders reach a pod; `None` where that is no question, because it has no node yet, has ended, or nobody asked.
pub(crate) fn reach(pod: &Pod, rule: Rule, world: World<'_>) -> Option<Result<Vec<Address>, Unknown>> {
    let node = pod.node.as_deref().filter(|_| !pod.has_ended)?;
    match rule.source {
        Source::Off => None,
        Source::Node => Some(by_node(pod, node, rule, world)),
        Source::Service => Some(by_service(pod, node, rule, world)),
    }
}

fn by_node(pod: &Pod, node: &str, rule: Rule, world: World<'_>) -> Result<Vec<Address>, Unknown> {
    let port = match pod.network {
        Network::Host => 0,
        Network::HostPort(port) => port,
        Network::Own => return Err(Unknown::NotOnNode),
    };
    of_node(node, port, rule, world)
}

fn of_node(name: &str, port: u16, rule: Rule, world: World<'_>) -> Result<Vec<Address>, Unknown> {
    let node = world.nodes.get(name).ok_or_else(|| Unknown::NoNode(name.to_owned()))?;
    let ips = match (&node.external[..], rule.internal_too) {
        ([], false) => return Err(Unknown::NoExternal(name.to_owned())),
        ([], true) => &node.internal,
        (_, _) => &node.external,
    };
    match ips[..] {
        [] => Err(Unknown::NoAddress(name.to_owned())),
        _ => Ok(at(ips, port)),
    }
}

fn by_service(pod: &Pod, node: &str, rule: Rule, world: World<'_>) -> Result<Vec<Address>, Unknown> {
    let mut selecting = world
        .services
        .iter()
        .filter(|(_, service)| service.selects(&pod.labels));
    // One that leads to this pod alone, whatever others there are beside it: a headless one does too, where there is one worker.
    let own = selecting
        .clone()
        .filter(|(_, service)| is_for_one(&service.selector, world))
        .min_by_key(|(_, service)| service.kind == Kind::Inside);
    let Some((name, service)) = own else {
        let shared = selecting.next().map(|(name, _)| Unknown::Shared(name.clone()));
        return Err(shared.unwrap_or(Unknown::NoService));
    };
    let port = service.port.ok_or_else(|| Unknown::NoPort(name.clone()))?;
    match (service.kind, port) {
        (Kind::LoadBalancer, Port { port, .. }) => of_balancer(name, service, port, world),
        (
            Kind::NodePort,
            Port {
                node_port: Some(port), ..
            },
        ) => of_node(node, port, rule, world),
        (Kind::NodePort, Port { node_port: None, .. }) => Err(Unknown::NoPort(name.clone())),
        (Kind::Inside, _) => Err(Unknown::Inside(name.clone())),
    }
}

fn is_for_one(selector: &Labels, world: World<'_>) -> bool {
    let alive = world.pods.values().filter(|pod| !pod.has_ended);
    let selected = alive.filter(|pod| selector.iter().all(|(key, value)| pod.labels.get(key) == Some(value)));
    selected.take(2).count() == 1
}

fn of_balancer(name: &str, service: &Service, port: u16, world: World<'_>) -> Result<Vec<Address>, Unknown> {
    let (mut found, mut unresolved) = (Vec::new(), None);
    for ingress in &service.ingress {
        match ingress {
            Ingress::Ip(ip) => found.extend(at(&[*ip], port)),
            Ingress::Name(host) => match world.names.get(host) {
                Some(ips) if !ips.is_empty() => found.extend(at(ips, port)),
                _ => unresolved = Some(host),
            },
        }
    }
    match (&found[..], unresolved) {
        ([], Some(host)) => Err(Unknown::Unresolved(host.clone())),
        ([], None) => Err(Unknown::NoIngress(name.to_owned())),
        (_, _) => Ok(found),
    }
}

fn at(ips: &[IpAddr], port: u16) -> Vec<Address> {
    ips.iter().map(|ip| Address { ip: *ip, port }).collect()
}

#[cfg(test)]
mod tests;
