//! When which session has something to do.
//!
//! Lazy: an entry is never moved. A session that needs an earlier one gets a second, and the first is ignored when it comes;
//! one that needs a later one finds that out when the earlier one comes. So nothing is searched per packet.

use std::{cmp::Reverse, collections::BinaryHeap, time::Instant};

use super::SessionKey;

#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, SessionKey)>>,
}

impl Timers {
    pub(crate) fn push(&mut self, at: Instant, key: SessionKey) {
        self.heap.push(Reverse((at, key)));
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, SessionKey)> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse(due)| due)
    }
}
