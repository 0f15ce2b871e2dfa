//! RFC 9725 (WHIP) and RFC 8840 (SDP fragments): text on one side, values on the other.
//!
//! This crate reads what an encoder sends and writes what it is answered. It must not know our session ids, HTTP
//! types, sockets, clocks or cryptography: a caller hands in text and values and gets values and text back.
//!
//! The way of an offer: [`Offer::parse`] refuses what no server of ours could accept, [`negotiate::negotiate`]
//! chooses by our preferences, [`Answer::new`] writes the result down. A PATCH goes through
//! [`fragment::Fragment`], its precondition through [`etag::IfMatch`].

pub mod answer;
pub mod codec;
pub mod etag;
pub mod fragment;
pub mod ice;
pub mod link;
pub mod negotiate;
pub mod offer;
pub mod refusal;
mod sdp;

pub use answer::Answer;
pub use codec::{Codec, DataPolicy, Kind, Preferences};
pub use ice::Credentials;
pub use negotiate::{Data, Negotiated, Section};
pub use offer::Offer;
pub use refusal::Refusal;
