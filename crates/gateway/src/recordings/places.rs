//! Places for downloads: so many in all, and of those a part for one address and a part for one recording.

use std::{net::IpAddr, sync::Arc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use whipcord_identity::SessionId;

use crate::{
    limits::DOWNLOADS_MAX,
    rates::network,
    shares::{Share, Shares},
};

/// For one address: a page of players, or a household of viewers. It reads as slowly as it likes, and three quarters are left.
const PER_ADDRESS_MAX: usize = DOWNLOADS_MAX / 4;
/// Of one recording, whoever has its link: half is left for all others.
const PER_RECORDING_MAX: usize = DOWNLOADS_MAX / 2;

#[derive(Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    by_address: Arc<Shares<IpAddr>>,
    by_recording: Arc<Shares<SessionId>>,
}

/// One download's place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _by_address: Option<Share<IpAddr>>,
    _by_recording: Share<SessionId>,
    _permit: OwnedSemaphorePermit,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            free: Arc::new(Semaphore::new(DOWNLOADS_MAX)),
            by_address: Shares::new(PER_ADDRESS_MAX),
            by_recording: Shares::new(PER_RECORDING_MAX),
        }
    }
}

impl Places {
    /// None if all are taken, or as many as this address or this recording may have. An address that is not counted is a proxy's.
    pub(crate) fn take(&self, address: Option<IpAddr>, sid: SessionId) -> Option<Place> {
        let by_address = match address {
            Some(address) => Some(self.by_address.take(network(address))?),
            None => None,
        };
        Some(Place {
            _by_address: by_address,
            _by_recording: self.by_recording.take(sid)?,
            _permit: Arc::clone(&self.free).try_acquire_owned().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sid(n: u8) -> SessionId {
        SessionId::new([n; 16])
    }

    #[test]
    fn no_address_and_no_recording_gets_all() {
        let places = Places::default();
        let address = |n: u8| Some(IpAddr::from([192, 0, 2, n]));
        let greedy: Vec<_> = (0..32).filter_map(|n| places.take(address(1), sid(n))).collect();
        assert_eq!(greedy.len(), 8, "of one address");
        let popular: Vec<_> = (2..34).filter_map(|n| places.take(address(n), sid(99))).collect();
        assert_eq!(popular.len(), 16, "of one recording");
        let others: Vec<_> = (0..32).filter_map(|n| places.take(None, sid(n))).collect();
        assert_eq!(others.len(), 8, "what is left of all");
        drop((greedy, popular));
        // What was refused keeps no share.
        assert!(places.take(address(1), sid(99)).is_some());
        drop(others);
        let free = places.free.available_permits();
        assert_eq!(
            (free, places.by_address.holders(), places.by_recording.holders()),
            (32, 0, 0)
        );
    }
}
