//! The gRPC contracts, generated at build from `proto/`, the conversions between their messages and our own types,
//! and what the contracts say is computed of them.
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

/// `whipcord.controller.v1`: what a controller of the platform asks of a gateway.
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
pub mod controller {
    tonic::include_proto!("whipcord.controller.v1");
}

pub mod chunks;
pub mod convert;
pub mod digest;
pub mod trace;

/// The words of `Hello.features`.
pub mod features {
    /// The worker names in its answers what `Addresses` tells.
    pub const ADDRESSES: &str = "addresses";
}

/// The contract's numbers, as the comments of `proto/` give them.
pub mod limits {
    /// All metadata of one session, names and values, in bytes.
    pub const METADATA_BYTES_MAX: usize = 8192;
    /// Sessions in one page of a list: with 8 KiB of metadata and some 700 bytes each, at most 2.3 MiB: below gRPC's 4 MiB for a message.
    pub const PAGE_MAX: u32 = 250;
    /// One report of a worker, encoded.
    pub const REPORT_BYTES_MAX: usize = 1 << 20;
    /// One piece of a recording, in bytes.
    pub const PIECE_BYTES_MAX: usize = 65_536;
}
