//! Owns peer connections: the shard that moves datagrams, the sessions, and what becomes of the media.
//!
//! It must not know Redis, Kubernetes, or an end user's bearer token.
//!
//! Threads: the shard (one; packets, sessions' protocol state, no lock and no allocation per packet), the recorder's writers
//! (files), and tasks on the caller's tokio runtime (RPC, the log lines of sessions, the report to the directory). What they
//! share are bounded queues.

mod advertise;
mod availability;
mod chronicle;
mod codec;
mod config;
mod control;
mod journal;
mod load;
mod metrics;
mod notice;
mod random;
mod report;
mod rpc;
mod sessions;
mod setup;
mod shard;
mod sinks;
mod snapshot;
mod stories;
mod story;
mod streams;
mod tally;
mod tap;
mod trace;
mod voice;
mod worker;

pub use advertise::{Advertise, Error as AdvertiseError};
pub use config::Config;
pub use report::Gateways;
pub use rpc::Service;
pub use streams::StreamSeries;
pub use worker::{Identity, StartError, Worker};
