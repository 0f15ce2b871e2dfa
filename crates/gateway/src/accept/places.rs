//! Places for connections: so many in all, and of those a part for one address, so that no single one can lock all others out.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::rates::network;

/// One address may hold this part of all: a proxy or a studio behind one address has enough, and three quarters are left.
const PART_PER_ADDRESS: usize = 4;

#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    held: Arc<Held>,
}

/// A place that is nobody's yet.
#[derive(Debug)]
pub(super) struct Vacancy {
    permit: OwnedSemaphorePermit,
    held: Arc<Held>,
}

/// One connection's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    address: Option<IpAddr>,
    held: Arc<Held>,
    _permit: OwnedSemaphorePermit,
}

/// The addresses of open connections: not more entries than places.
#[derive(Debug)]
struct Held {
    by_address: Mutex<HashMap<IpAddr, usize>>,
    per_address_max: usize,
}

impl Places {
    pub(super) fn new(max: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(max)),
            held: Arc::new(Held {
                by_address: Mutex::default(),
                per_address_max: (max / PART_PER_ADDRESS).max(1),
            }),
        }
    }

    /// Waits until there is one.
    pub(super) async fn vacancy(&self) -> Vacancy {
        let permit = Arc::clone(&self.free).acquire_owned().await;
        Vacancy {
            permit: permit.expect("the semaphore is never closed"),
            held: Arc::clone(&self.held),
        }
    }
}

impl Vacancy {
    /// None if this address has as many as it may. One that is not counted, a proxy's, may have them all.
    pub(super) fn take(self, address: Option<IpAddr>) -> Option<Place> {
        let address = address.map(network);
        let Self { permit, held } = self;
        if let Some(address) = address {
            let mut by_address = held.lock();
            let count = by_address.entry(address).or_default();
            if *count >= held.per_address_max {
                return None;
            }
            *count += 1;
        }
        Some(Place {
            address,
            held,
            _permit: permit,
        })
    }
}

impl Held {
    /// Nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_address = self.held.lock();
        if let Some(address) = self.address
            && let Some(count) = by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
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
        assert_eq!((places.held.lock().len(), places.free.available_permits()), (0, 8));
    }
}
