//! Places for connections of operators, gateways and workers: so many in all, and of those a quarter for one address, so that no single
//! one locks all others out. Encoders come to the gateway's own listener, which has its own.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One address may hold this part of all: three quarters are left.
const PART_PER_ADDRESS: usize = 4;

#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    held: Arc<Held>,
}

/// How many each address has. Not more entries than there are places.
#[derive(Debug)]
struct Held {
    by_address: Mutex<HashMap<IpAddr, usize>>,
    most: usize,
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
    _permit: OwnedSemaphorePermit,
    held: Arc<Held>,
    address: IpAddr,
}

impl Places {
    pub(super) fn new(max: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(max)),
            held: Arc::new(Held {
                by_address: Mutex::default(),
                most: max / PART_PER_ADDRESS,
            }),
        }
    }

    /// Waits until there is one: at the limit, new connections wait in the kernel's backlog.
    pub(super) async fn vacancy(&self) -> Vacancy {
        let permit = Arc::clone(&self.free).acquire_owned().await;
        Vacancy {
            permit: permit.expect("the semaphore is never closed"),
            held: Arc::clone(&self.held),
        }
    }
}

impl Vacancy {
    /// None if this address has as many as it may. Networks of operators are few: each of their addresses counts alone.
    pub(super) fn take(self, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let mut by_address = self.held.lock();
        let held = by_address.entry(address).or_default();
        if *held >= self.held.most {
            return None;
        }
        *held += 1;
        drop(by_address);
        Some(Place {
            _permit: self.permit,
            held: self.held,
            address,
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
        if let Some(held) = by_address.get_mut(&self.address) {
            *held -= 1;
            if *held == 0 {
                by_address.remove(&self.address);
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
        let [busy, mapped, other] =
            ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"].map(|text| text.parse::<IpAddr>().unwrap());
        let first = places.vacancy().await.take(busy).unwrap();
        let second = places.vacancy().await.take(mapped).unwrap();
        assert!(places.vacancy().await.take(busy).is_none());
        let third = places.vacancy().await.take(other).unwrap();
        drop(first);
        assert!(places.vacancy().await.take(busy).is_some());
        drop((second, third));
        assert_eq!((places.held.lock().len(), places.free.available_permits()), (0, 8));
    }
}
