//! The two gRPC contracts, generated at build from `proto/`, and the conversions between their messages and our own types.
//!
//! Nothing else: no transport, no decision.

/// `whipcord.worker.v1`: what a gateway asks of a worker.
#[allow(
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    clippy::use_self,
    clippy::wildcard_imports,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    reason = "generated"
)]
pub mod worker {
    tonic::include_proto!("whipcord.worker.v1");
}

/// `whipcord.directory.v1`: what a worker tells the cluster about itself.
#[allow(
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    clippy::use_self,
    clippy::wildcard_imports,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    reason = "generated"
)]
pub mod directory {
    tonic::include_proto!("whipcord.directory.v1");
}

pub mod convert;
