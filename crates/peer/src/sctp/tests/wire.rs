//! Both sides, what is under way between them, and one clock.

use proptest::{
    prelude::Rng,
    test_runner::{RngAlgorithm, TestRng},
};

use super::{client::Client, *};

const LATENCY: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Us,
    Client,
}

pub(super) struct Wire {
    pub(super) now: Instant,
    pub(super) ours: Sctp,
    pub(super) client: Client,
    pub(super) labels: Vec<String>,
    /// Percent.
    pub(super) loss: u32,
    /// Percent of the packets that arrive up to three latencies late.
    pub(super) reordered: u32,
    under_way: Vec<(Instant, To, Bytes)>,
    chance: TestRng,
    lose: Box<dyn FnMut(&Bytes) -> bool>,
}

impl Wire {
    pub(super) fn new(role: Role, echo: bool) -> Self {
        let now = Instant::now();
        let mut ours = Sctp::new(role, data(5000, echo));
        ours.begin(now);
        Self {
            now,
            ours,
            client: match role {
                Role::Server => Client::beginning(now),
                Role::Client => Client::waiting(),
            },
            labels: vec![],
            loss: 0,
            reordered: 0,
            under_way: vec![],
            chance: TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]),
            lose: Box::new(|_| false),
        }
    }

    pub(super) fn lose(&mut self, lose: impl FnMut(&Bytes) -> bool + 'static) {
        self.lose = Box::new(lose);
    }

    pub(super) fn connected(role: Role, echo: bool) -> Self {
        let mut wire = Self::new(role, echo);
        wire.until(Duration::from_secs(1), |wire| wire.client.connected);
        wire
    }

    /// Runs until it is so; panics if it is not within that time.
    pub(super) fn until(&mut self, within: Duration, mut so: impl FnMut(&mut Self) -> bool) {
        let end = self.now + within;
        while !so(self) {
            assert!(self.now < end, "not within {within:?}: {:?}", self.ours);
            self.step();
        }
    }

    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    /// To the next thing that happens, a latency at most.
    fn step(&mut self) {
        self.collect();
        let timers = [self.ours.poll_timeout(), self.client.due()].into_iter().flatten();
        let next = timers.chain(self.under_way.iter().map(|(at, ..)| *at)).min();
        self.now = next.map_or(self.now + LATENCY, |next| next.clamp(self.now, self.now + LATENCY));
        self.ours.handle_timeout(self.now);
        if self.client.due().is_some_and(|due| due <= self.now) {
            self.client.handle_timeout(self.now);
        }
        let now = self.now;
        let (mut arrived, later): (Vec<_>, Vec<_>) = self.under_way.drain(..).partition(|(at, ..)| *at <= now);
        self.under_way = later;
        arrived.sort_by_key(|(at, ..)| *at);
        for (_, to, packet) in arrived {
            match to {
                To::Us => {
                    let _ = self.ours.receive(now, &packet);
                }
                To::Client => self.client.receive(now, &packet),
            }
        }
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(packet) = self.ours.poll_transmit() {
            self.send(To::Client, packet);
        }
        for packet in self.client.transmits(self.now) {
            self.send(To::Us, packet);
        }
        while let Some(label) = self.ours.poll_opened() {
            self.labels.push(label);
        }
    }

    fn send(&mut self, to: To, packet: Bytes) {
        if self.chance.next_u32() % 100 < self.loss || (self.lose)(&packet) {
            return;
        }
        let late = if self.chance.next_u32() % 100 < self.reordered {
            1 + self.chance.next_u32() % 3
        } else {
            0
        };
        self.under_way.push((self.now + LATENCY * (1 + late), to, packet));
    }
}
