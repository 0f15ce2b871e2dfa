//! Watches Kubernetes for the cluster: where encoders reach workers, which workers' processes have ended, which nodes are on their way out.
//!
//! Every call to the Kubernetes API is here. It tells gateways by gRPC, and holds nothing without which media stops: a cluster without it
//! does all that it did before. Of several only the one with the Lease acts; the others watch.
//!
//! `plan` decides, from what `watch` keeps of Kubernetes (`platform`) and from what the gateways list; `run` does what it says. It must not know
//! Redis, HTTP or sessions.

mod addresses;
mod config;
mod election;
mod events;
mod gateways;
mod lease;
mod names;
mod plan;
mod platform;
mod run;
mod watch;

use std::time::Duration;

pub use addresses::Source;
pub use config::{Config, Switch};
pub use gateways::Gateways;
pub use lease::Standing;
pub use run::{Controller, StartError};

/// For a call to a gateway, or to the API server.
const CALL_MAX: Duration = Duration::from_secs(5);
