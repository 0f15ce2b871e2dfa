//! Places for connections: so many in all, and of those a part for one address, so that no single one can lock all others out.

use std::{net::IpAddr, sync::Arc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    rates::network,
    shares::{Share, Shares},
};

/// One address may hold this part of all: a proxy or a studio behind one address has enough, and three quarters are left.
const PART_PER_ADDRESS: usize = 4;

#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    by_address: Arc<Shares<IpAddr>>,
}

/// A place that is nobody's yet.
#[derive(Debug)]
pub(super) struct Vacancy {
    permit: OwnedSemaphorePermit,
    by_address: Arc<Shares<IpAddr>>,
}

/// One connection's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _share: Option<Share<IpAddr>>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(max: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(max)),
            by_address: Shares::new(max / PART_PER_ADDRESS),
        }
    }

    /// Waits until there is one.
    pub(super) async fn vacancy(&self) -> Vacancy {
        let permit = Arc::clone(&self.free).acquire_owned().await;
        Vacancy {
            permit: permit.expect("the semaphore is never closed"),
            by_address: Arc::clone(&self.by_address),
        }
    }
}

impl Vacancy {
    /// None if this address has as many as it may. One that is not counted, a proxy's, may have them all.
    pub(super) fn take(self, address: Option<IpAddr>) -> Option<Place> {
        let share = match address {
            Some(address) => Some(self.by_address.take(network(address))?),
            None => None,
        };
        Some(Place {
            _share: share,
            _permit: self.permit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_gets_a_quarter_and_gives_back_what_it_leaves() {
        let places = Places::new(8);
        let [busy, other] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse::<IpAddr>().unwrap());
        let first = places.vacancy().await.take(Some(busy)).unwrap();
        let second = places.vacancy().await.take(Some(busy)).unwrap();
        assert!(
            places
                .vacancy()
                .await
                .take(Some("::ffff:192.0.2.1".parse().unwrap()))
                .is_none()
        );
        let third = places.vacancy().await.take(Some(other)).unwrap();
        drop(first);
        assert!(places.vacancy().await.take(Some(busy)).is_some());
        drop((second, third));
        assert_eq!((places.by_address.holders(), places.free.available_permits()), (0, 8));
    }
}
