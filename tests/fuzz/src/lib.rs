//! What the fuzz targets do with their input: one module for each, which takes bytes and panics where a promise is broken.
//!
//! The modules are compiled twice: here for libFuzzer, and by `tests/corpus.rs` of the crates that they test, which runs
//! every stored input of `corpus/` through them. So they use nothing but those crates and what those crates use.

pub mod answer;
pub mod check;
pub mod checkpoint;
pub mod depacketise;
pub mod fragment;
pub mod if_match;
mod input;
pub mod mux;
pub mod offer;
pub mod range;
pub mod recording;
pub mod rtcp;
pub mod rtp;
pub mod sctp;
mod session;
pub mod srtp_open;
pub mod stun;
