//! The kernel's UDP: one socket, batches in, batches out.
//!
//! It knows addresses and bytes, GRO, GSO and IP_PKTINFO. It must not know what a packet means.
//! Every local address it reports is the one the sender asked, so that a reply leaves from there. Every address is
//! canonical: a v4-mapped IPv6 address is IPv4 on this side of the socket.

mod batch;
mod socket;

pub use batch::{Batch, DATAGRAM_MAX, Datagram};
pub use socket::{Counters, Options, Queue, Socket};
