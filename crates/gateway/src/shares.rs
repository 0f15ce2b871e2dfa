//! Shares of what is limited: so much of it for one address, or for one session, that no single one can lock all others out.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Who holds how many. Not more entries than there are places.
#[derive(Debug)]
pub(crate) struct Shares<K> {
    held: Mutex<HashMap<K, usize>>,
    most: usize,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share<K: Copy + Eq + Hash> {
    holder: K,
    of: Arc<Shares<K>>,
}

impl<K: Copy + Eq + Hash> Shares<K> {
    /// At most so many for each.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            held: Mutex::default(),
            most: most.max(1),
        })
    }

    /// None if this one has as many as it may.
    pub(crate) fn take(self: &Arc<Self>, holder: K) -> Option<Share<K>> {
        let mut held = self.lock();
        let count = held.entry(holder).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Share {
            holder,
            of: Arc::clone(self),
        })
    }

    #[cfg(test)]
    pub(crate) fn holders(&self) -> usize {
        self.lock().len()
    }

    /// Nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.of.lock().entry(self.holder) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}
