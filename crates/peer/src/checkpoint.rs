//! A session as bytes, so that another process can go on with it: keys, credentials, what was negotiated, and how far the
//! sequence numbers are. No DTLS state, no address of ours, and no clock is in it.
//!
//! The bytes are versioned protobuf. They hold the keys of the session: whoever has them can read its media. Not here: who may
//! have them, and where they are kept.

pub(crate) mod wire;

use prost::Message;
use zeroize::Zeroize;

pub(crate) use wire::{Cold, Hot, Stream as StreamState};

/// The format this build writes. It reads no other.
const VERSION: u32 = 1;
/// A session with eight simulcast layers stays under 4 KiB; more is not one of ours.
const BYTES_MAX: usize = 64 * 1024;

/// See the module. Taken by [`crate::Mux::checkpoint`], used by [`crate::Mux::adopt`].
#[derive(Clone, PartialEq)]
pub struct Checkpoint {
    pub(crate) cold: Cold,
    pub(crate) hot: Hot,
}

/// Why a checkpoint cannot be adopted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
    #[error("the checkpoint is of version {0}, and this build reads version {VERSION}")]
    Version(u32),
    #[error("the checkpoint is of epoch {checkpoint}, so epoch {offered} cannot follow it")]
    StaleEpoch { checkpoint: u32, offered: u32 },
    #[error("a session with the same credentials is already here")]
    AlreadyHere,
    #[error("this port carries as many sessions as it may")]
    Full,
}

impl Checkpoint {
    pub fn encode(&self) -> Vec<u8> {
        wire::Checkpoint {
            version: VERSION,
            cold: Some(self.cold.clone()),
            hot: Some(self.hot.clone()),
        }
        .encode_to_vec()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > BYTES_MAX {
            return Err(Error::Malformed("too long"));
        }
        let wire = wire::Checkpoint::decode(bytes).map_err(|_| Error::Malformed("not protobuf"))?;
        if wire.version != VERSION {
            return Err(Error::Version(wire.version));
        }
        let (Some(cold), Some(hot)) = (wire.cold, wire.hot) else {
            return Err(Error::Malformed("a part is missing"));
        };
        Ok(Self { cold, hot })
    }

    /// The ownership it was taken under.
    pub fn epoch(&self) -> u32 {
        self.cold.epoch
    }
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoint")
            .field("epoch", &self.cold.epoch)
            .finish_non_exhaustive()
    }
}

impl Drop for Checkpoint {
    fn drop(&mut self) {
        for secret in [
            &mut self.cold.local_key,
            &mut self.cold.local_salt,
            &mut self.cold.remote_key,
            &mut self.cold.remote_salt,
        ] {
            secret.zeroize();
        }
        self.cold
            .credentials
            .iter_mut()
            .for_each(|credentials| credentials.pwd.zeroize());
    }
}
