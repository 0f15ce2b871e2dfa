//! Where encoders reach workers, as a controller last told this gateway. Kept for a while, and never asked for: a controller says it again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use whipcord_identity::WorkerId;
use whipcord_proto::directory::MediaAddress;

/// Of one worker, the preferred first; none is known where it is empty.
pub(crate) type Told = Arc<[MediaAddress]>;

/// A controller says it each ten seconds. Six times in vain, it may be gone, and a worker of a name that comes back may be elsewhere.
const KEPT: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Addresses {
    /// Owned by `Addresses`; held for one look-up, never across an await.
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    workers: HashMap<WorkerId, Told>,
    until: Option<Instant>,
}

impl Addresses {
    /// In place of what was told before.
    pub(crate) fn set(&self, workers: HashMap<WorkerId, Told>, now: Instant) {
        *self.lock() = Table {
            workers,
            until: Some(now + KEPT),
        };
    }

    /// `None` where nothing was told of it.
    pub(crate) fn of(&self, worker: &WorkerId, now: Instant) -> Option<Told> {
        let table = self.lock();
        let holds = table.until.is_some_and(|until| now < until);
        table.workers.get(worker).filter(|_| holds).cloned()
    }

    /// No panic leaves the table half changed.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_replaced_as_a_whole_and_forgotten_after_a_while() {
        let (addresses, now) = (Addresses::default(), Instant::now());
        let worker = |name: &str| name.parse::<WorkerId>().unwrap();
        let told: Told = vec![MediaAddress {
            ip: "192.0.2.1".to_owned(),
            port: 0,
        }]
        .into();
        assert_eq!(addresses.of(&worker("a"), now), None);
        addresses.set(HashMap::from([(worker("a"), Arc::clone(&told))]), now);
        let last = now + KEPT - Duration::from_millis(1);
        assert_eq!(addresses.of(&worker("a"), last), Some(told));
        assert_eq!(addresses.of(&worker("b"), now), None);
        assert_eq!(addresses.of(&worker("a"), now + KEPT), None);
        addresses.set(HashMap::from([(worker("b"), Arc::default())]), now);
        assert_eq!(addresses.of(&worker("a"), now), None);
        assert_eq!(
            addresses.of(&worker("b"), now),
            Some(Arc::default()),
            "told that there is none"
        );
    }
}
