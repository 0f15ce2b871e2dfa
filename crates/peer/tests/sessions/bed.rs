//! A publisher and a `Mux`, the network between them, and one clock.

use std::{
    net::SocketAddr,
    sync::OnceLock,
    time::{Duration, Instant},
};

use whipcord_peer::{
    Certificate, Checkpoint, EndReason, Event, Limits, Mux, Path, Received, SessionKey, Stats, event::TrackId,
};
use whipcord_whip::{Credentials, Offer, Preferences, negotiate::negotiate};

use crate::{
    network::{Network, To},
    publisher::{Habits, Publisher},
};

pub(crate) const SERVER: &str = "192.0.2.1:8189";
pub(crate) const ENCODER: &str = "198.51.100.7:50000";

/// One packet that came out of the `Mux`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Media {
    pub(crate) track: TrackId,
    pub(crate) ssrc: u32,
    pub(crate) sequence: u64,
    pub(crate) payload: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Bed {
    pub(crate) now: Instant,
    pub(crate) mux: Mux,
    pub(crate) key: SessionKey,
    pub(crate) answer: String,
    pub(crate) publisher: Publisher,
    pub(crate) network: Network,
    pub(crate) media: Vec<Media>,
    pub(crate) events: Vec<Event>,
    /// Checkpoints taken at every event, when asked for.
    pub(crate) epoch: u32,
}

impl Bed {
    pub(crate) fn new(habits: Habits) -> Self {
        Self::seeded(habits, 1)
    }

    pub(crate) fn seeded(habits: Habits, seed: u64) -> Self {
        let now = Instant::now();
        let mut mux = mux(seed);
        let mut publisher = Publisher::new(habits, address(ENCODER), certificate("encoder"));
        let (key, answer) = create(&mut mux, now, &publisher.offer(), "serverufrag1");
        publisher.answered(now, &answer);
        Self {
            now,
            mux,
            key,
            answer,
            publisher,
            network: Network::new(seed),
            media: vec![],
            events: vec![],
            epoch: 0,
        }
    }

    /// Connects over a clean network and lets media flow for a moment.
    pub(crate) fn live(habits: Habits) -> Self {
        let mut bed = Self::new(habits);
        bed.run(Duration::from_millis(500));
        assert!(bed.publisher.is_connected(), "no connection; events: {:?}", bed.events);
        assert!(!bed.media.is_empty(), "no media; events: {:?}", bed.events);
        bed
    }

    /// The same encoder, in a new session.
    pub(crate) fn publish_again(&mut self, ufrag: &str) {
        let mut publisher = Publisher::new(self.publisher.habits.clone(), address(ENCODER), certificate("encoder"));
        let (key, answer) = create(&mut self.mux, self.now, &publisher.offer(), ufrag);
        publisher.answered(self.now, &answer);
        (self.key, self.answer, self.publisher) = (key, answer, publisher);
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until `done`, or for `time`; true if it was done in time.
    pub(crate) fn run_until(&mut self, time: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + time;
        while !done(self) {
            if !self.step(end) {
                return done(self);
            }
        }
        true
    }

    /// Goes to the next thing that happens, and does it. False if nothing happens before `end`.
    pub(crate) fn step(&mut self, end: Instant) -> bool {
        self.exchange();
        let next = [
            self.network.next(),
            self.mux.poll_timeout(),
            self.publisher.poll_timeout(),
        ];
        let Some(next) = next.into_iter().flatten().min().filter(|next| *next <= end) else {
            return false;
        };
        self.now = self.now.max(next);
        while let Some(arrived) = self.network.arrived(self.now) {
            match arrived.to {
                To::Server => self.receive(arrived.publisher, arrived.datagram),
                To::Publisher if arrived.publisher == self.publisher.address => {
                    let mut datagram = arrived.datagram;
                    self.publisher.receive(self.now, &mut datagram);
                }
                To::Publisher => {}
            }
        }
        if self.mux.poll_timeout().is_some_and(|at| at <= self.now) {
            self.mux.handle_timeout(self.now);
        }
        if self.publisher.poll_timeout().is_some_and(|at| at <= self.now) {
            self.publisher.handle_timeout(self.now);
        }
        self.exchange();
        true
    }

    /// One datagram to the server, as a shell would handle it.
    pub(crate) fn receive(&mut self, from: SocketAddr, mut datagram: Vec<u8>) {
        let path = Path::udp(address(SERVER), from);
        if let Received::Media { packet, .. } = self.mux.receive(self.now, path, &mut datagram) {
            self.media.push(Media {
                track: packet.track,
                ssrc: packet.ssrc,
                sequence: packet.sequence,
                payload: packet.payload.to_vec(),
            });
        }
        while self.mux.step_handshake(self.now) {}
        let mut buffer = vec![];
        while let Some(held) = self.mux.poll_held(&mut buffer) {
            let packet = held.packet;
            self.media.push(Media {
                track: packet.track,
                ssrc: packet.ssrc,
                sequence: packet.sequence,
                payload: packet.payload.to_vec(),
            });
        }
    }

    /// Moves what both sides want to send onto the network, and collects events.
    pub(crate) fn exchange(&mut self) {
        while let Some(datagram) = self.publisher.poll_transmit() {
            self.network
                .send(self.now, To::Server, self.publisher.address, datagram);
        }
        let mut buffer = vec![];
        while let Some(path) = self.mux.poll_transmit(&mut buffer) {
            self.network.send(self.now, To::Publisher, path.remote, buffer.clone());
        }
        while let Some((_, event)) = self.mux.poll_event() {
            self.events.push(event);
        }
    }

    pub(crate) fn has(&self, event: &Event) -> bool {
        self.events.contains(event)
    }

    pub(crate) fn ended(&self, because: EndReason) -> bool {
        self.last().is_some_and(|(reason, _)| reason == because)
    }

    /// Why the session ended, and its last figures.
    pub(crate) fn last(&self) -> Option<(EndReason, &Stats)> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Ended { reason, last } => Some((*reason, &**last)),
            _ => None,
        })
    }

    pub(crate) fn checkpoint(&mut self) -> Option<Checkpoint> {
        self.mux.checkpoint(self.key)
    }

    /// The process dies; another one, with nothing but the checkpoint's bytes, goes on.
    pub(crate) fn adopt(&mut self, bytes: &[u8]) {
        let checkpoint = Checkpoint::decode(bytes).expect("our own checkpoint");
        self.epoch = self.epoch.max(checkpoint.epoch()) + 1;
        self.mux = mux(1000 + u64::from(self.epoch));
        self.key = self
            .mux
            .adopt(self.now, &checkpoint, self.epoch)
            .expect("an empty Mux has room");
    }

    pub(crate) fn video_sequences(&self) -> Vec<u64> {
        self.media
            .iter()
            .filter(|media| media.track == TrackId(1))
            .map(|media| media.sequence)
            .collect()
    }
}

pub(crate) fn mux(seed: u64) -> Mux {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    Mux::new(certificate("server"), Limits { sessions_max: 10_000 }, bytes)
}

pub(crate) fn create(mux: &mut Mux, now: Instant, offer: &str, ufrag: &str) -> (SessionKey, String) {
    let offer = Offer::parse(offer.as_bytes()).expect("a good offer");
    let negotiated = negotiate(&offer, &Preferences::default()).expect("an acceptable offer");
    let local = Credentials {
        ufrag: ufrag.into(),
        pwd: "serverpasswordserverpassword".into(),
    };
    let (key, answer) = mux
        .create(now, negotiated, local, &[address(SERVER)], 42)
        .expect("room");
    (key, answer.as_str().to_owned())
}

/// Made once per test process: key generation is the slowest thing here.
pub(crate) fn certificate(whose: &'static str) -> Certificate {
    static SERVER_CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    static ENCODER_CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    let place = if whose == "server" {
        &SERVER_CERTIFICATE
    } else {
        &ENCODER_CERTIFICATE
    };
    place
        .get_or_init(|| Certificate::generate().expect("P-256 keys can be made"))
        .clone()
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("a literal address")
}
