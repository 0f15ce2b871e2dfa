//! The sans-IO ingest peer: ICE-lite, DTLS, SRTP, RTP and RTCP of many encoders on one UDP port.
//!
//! A shell feeds datagrams and the time in, and takes datagrams, media and events out ([`Mux`]). This crate must not know
//! sockets, clocks, tokio, channels, logs, our session ids, or what becomes of the media.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "a simulated clock begins somewhere")
)]

mod budget;
pub mod checkpoint;
pub mod dtls;
pub mod event;
mod ice;
mod mux;
mod outputs;
mod path;
mod peer;
pub mod rtcp;
pub mod rtp;
pub mod sctp;
pub mod srtp;
pub mod stats;
pub mod stun;

pub use checkpoint::Checkpoint;
pub use dtls::Certificate;
pub use event::{EndReason, Event};
pub use mux::{Full, Held, Limits, Mux, Received, SessionKey};
pub use path::Path;
pub use rtp::Packet;
pub use stats::Stats;
