//! What an operator chooses about a controller.

use whipcord_identity::WorkerAddress;

use crate::{
    addresses::{Rule, Source},
    plan::Duties,
};

/// Options of a controller, as flags and as environment variables.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Config {
    /// gRPC address of a gateway; a name stands for all its addresses, and each of them is told (repeatable)
    #[arg(
        long = "gateway",
        value_name = "HOST:PORT",
        env = "WHIPCORD_GATEWAY",
        value_delimiter = ',',
        required = true
    )]
    pub gateways: Vec<WorkerAddress>,

    /// Kubernetes namespace of the workers, and of the Lease (default: its own)
    #[arg(long, value_name = "NAME", env = "WHIPCORD_NAMESPACE")]
    pub namespace: Option<String>,

    /// Labels of workers' pods; a pod's name is its worker's name
    #[arg(
        long,
        value_name = "SELECTOR",
        env = "WHIPCORD_WORKER_SELECTOR",
        default_value = "app.kubernetes.io/name=whipcord,app.kubernetes.io/component=worker"
    )]
    pub worker_selector: String,

    /// Labels of workers' Services, for --addresses service
    #[arg(
        long,
        value_name = "SELECTOR",
        env = "WHIPCORD_SERVICE_SELECTOR",
        default_value = "app.kubernetes.io/name=whipcord,app.kubernetes.io/component=worker"
    )]
    pub service_selector: String,

    /// Where encoders reach workers that run with --advertise controller: the node's address, a Service for each worker, or off
    #[arg(long, value_name = "WHERE", env = "WHIPCORD_ADDRESSES", default_value = "node")]
    pub addresses: Source,

    /// Where a node has no ExternalIP, take its InternalIP
    #[arg(long, env = "WHIPCORD_NODE_INTERNAL_IP")]
    pub node_internal_ip: bool,

    /// Have gateways ask a worker whose pod or container has ended whether it lives: on or off
    #[arg(long, value_name = "SWITCH", env = "WHIPCORD_FENCING", default_value = "on")]
    pub fencing: Switch,

    /// Drain the workers of a node that is cordoned, tainted to be removed, or deleted: on or off
    #[arg(long, value_name = "SWITCH", env = "WHIPCORD_NODE_DRAIN", default_value = "on")]
    pub node_drain: Switch,

    /// Seconds for which live sessions may go on then
    #[arg(long, value_name = "SECONDS", env = "WHIPCORD_DRAIN_DEADLINE", default_value = "600")]
    pub drain_deadline: u32,

    /// Taints by which a node's removal is announced (repeatable)
    #[arg(
        long,
        value_name = "KEY",
        env = "WHIPCORD_DRAIN_TAINT",
        value_delimiter = ',',
        default_value = "ToBeDeletedByClusterAutoscaler,karpenter.sh/disrupted,node.kubernetes.io/out-of-service,\
                         cloud.google.com/impending-node-termination,aws-node-termination-handler/spot-itn,\
                         aws-node-termination-handler/asg-lifecycle-termination,aws-node-termination-handler/scheduled-maintenance"
    )]
    pub drain_taint: Vec<String>,

    /// Write Kubernetes Events: on or off
    #[arg(long, value_name = "SWITCH", env = "WHIPCORD_EVENTS", default_value = "on")]
    pub events: Switch,

    /// The Lease by which one of several controllers leads
    #[arg(
        long,
        value_name = "NAME",
        env = "WHIPCORD_LEASE",
        default_value = "whipcord-controller"
    )]
    pub lease: String,

    /// This controller's name among them (default: the host's, which is the pod's)
    #[arg(long, value_name = "NAME", env = "WHIPCORD_CONTROLLER_ID")]
    pub controller_id: Option<String>,
}

/// Whether a duty is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    On,
    Off,
}

impl Config {
    pub(crate) fn duties(&self) -> Duties {
        Duties {
            addresses: Rule {
                source: self.addresses,
                internal_too: self.node_internal_ip,
            },
            fencing: self.fencing == Switch::On,
            drain: self.node_drain == Switch::On,
            taints: self.drain_taint.clone(),
        }
    }
}
