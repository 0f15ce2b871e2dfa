//! A network in between: loss, duplication, reordering and delay, from a seed.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::random::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum To {
    Server,
    Publisher,
}

/// A datagram on its way: from the publisher's address at the time it was sent.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InFlight {
    pub(crate) arrival: Instant,
    order: u64,
    pub(crate) to: To,
    pub(crate) publisher: SocketAddr,
    pub(crate) datagram: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Network {
    random: Random,
    pub(crate) delay: Duration,
    pub(crate) loss: f64,
    pub(crate) duplication: f64,
    /// Share of datagrams that are held up by three more delays (at least 3 ms).
    pub(crate) reordering: f64,
    /// The nth datagram from now on in this direction is lost: (direction, how many pass before it).
    pub(crate) drop_one: Option<(To, usize)>,
    /// Nothing passes.
    pub(crate) cut: bool,
    queue: BinaryHeap<Reverse<InFlight>>,
    order: u64,
    pub(crate) sent: usize,
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            delay: Duration::from_millis(5),
            loss: 0.0,
            duplication: 0.0,
            reordering: 0.0,
            drop_one: None,
            cut: false,
            queue: BinaryHeap::new(),
            order: 0,
            sent: 0,
        }
    }

    pub(crate) fn send(&mut self, now: Instant, to: To, publisher: SocketAddr, datagram: Vec<u8>) {
        self.sent += 1;
        if let Some((direction, before)) = &mut self.drop_one
            && *direction == to
        {
            if *before == 0 {
                self.drop_one = None;
                return;
            }
            *before -= 1;
        }
        if self.cut || self.random.chance(self.loss) {
            return;
        }
        let copies = 1 + usize::from(self.random.chance(self.duplication));
        for _ in 0..copies {
            let held_up = self.random.chance(self.reordering);
            let extra = if held_up {
                (self.delay * 3).max(Duration::from_millis(3))
            } else {
                Duration::ZERO
            };
            self.order += 1;
            self.queue.push(Reverse(InFlight {
                arrival: now + self.delay + extra,
                order: self.order,
                to,
                publisher,
                datagram: datagram.clone(),
            }));
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse(first)| first.arrival)
    }

    pub(crate) fn arrived(&mut self, now: Instant) -> Option<InFlight> {
        (self.next()? <= now)
            .then(|| self.queue.pop().map(|Reverse(first)| first))
            .flatten()
    }
}
