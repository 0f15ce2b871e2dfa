//! Names, and the keyed proofs that go with them.
//!
//! Pure: randomness is passed in, nothing is stored, nothing is sent. It must not know SDP, HTTP, storage or sockets.

pub mod cluster;
pub mod key;
pub mod session;
pub mod stream;
pub mod ufrag;
pub mod worker;

pub use cluster::ClusterId;
pub use key::{IceKeys, KeyId, SessionKeys};
pub use session::{Hint, Power, SessionId};
pub use stream::StreamName;
pub use ufrag::Ufrag;
pub use worker::{Epoch, Incarnation, Owner, WorkerAddress, WorkerId, WorkerNumber};
