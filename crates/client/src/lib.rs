//! Tools that act as an encoder. Built on the `webrtc` crate's own peer connection, so that they do not share our server's mistakes.
//!
//! It must not know sessions, workers or directories: it sees what any encoder sees, an HTTP endpoint and a UDP address.

pub mod doctor;
pub mod publish;
pub mod token;
mod whip;

pub use self::whip::{HttpError, Refusal};
