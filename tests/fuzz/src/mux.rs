//! A port with two sessions, one before its handshake and one with keys that were adopted: datagrams of all kinds, and time.

use std::time::{Duration, Instant};

use crate::{
    input::Input,
    session::{self, Live},
};
use whipcord_peer::{Checkpoint, Mux, SessionKey, event::TrackId, rtp::Header, srtp::Sealer};
use whipcord_whip::negotiate::Role;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut port = Port::new(if input.byte() & 1 == 0 {
        Role::Server
    } else {
        Role::Client
    });
    while !input.is_empty() {
        port.step(&mut input);
    }
    port.fall_silent();
}

struct Port {
    now: Instant,
    mux: Mux,
    /// Not connected, and adopted.
    sessions: [SessionKey; 2],
    sealer: Sealer,
    /// The encoder's next.
    srtcp_index: u32,
    restarts: u32,
}

const UFRAGS: [&str; 2] = ["created", "live"];

impl Port {
    fn new(role: Role) -> Self {
        let Live { checkpoint, keys } = session::live();
        let mut mux = session::mux();
        let created = session::create(&mut mux, role, UFRAGS[0]);
        let checkpoint = Checkpoint::decode(checkpoint).expect("our own");
        let adopted = mux.adopt(session::beginning(), &checkpoint, 2).expect("room");
        Self {
            now: session::beginning(),
            mux,
            sessions: [created, adopted],
            sealer: Sealer::new(keys.profile, &keys.local).expect("keys fit their profile"),
            srtcp_index: 0,
            restarts: 0,
        }
    }

    /// A byte says what happens, another which of the sessions or encoders it is about.
    fn step(&mut self, input: &mut Input<'_>) {
        let (what, which) = (input.byte() % 8, input.byte());
        let (key, ufrag) = (self.sessions[usize::from(which & 1)], UFRAGS[usize::from(which & 1)]);
        match what {
            0 => {
                let datagram = Self::body(input).to_vec();
                self.receive(which, datagram);
            }
            1 => {
                let datagram = session::check(ufrag, Self::body(input));
                self.receive(which, datagram);
            }
            2 => {
                if let Some(datagram) = self.rtp(Self::body(input)) {
                    self.receive(which, datagram);
                }
            }
            3 => {
                if let Some(datagram) = self.rtcp(Self::body(input)) {
                    self.receive(which, datagram);
                }
            }
            4 => self.pass(Duration::from_millis(input.word().into())),
            5 => {
                self.restarts += 1;
                let local = session::credentials(&format!("restarted{}", self.restarts));
                self.mux.restart(key, session::credentials("remote"), local);
            }
            6 => self.mux.request_keyframe(key, TrackId(input.byte())),
            _ => {
                if let Some(checkpoint) = self.mux.checkpoint(key) {
                    assert!(Checkpoint::decode(&checkpoint.encode()).is_ok_and(|read| read == checkpoint));
                    self.mux.persisted(key, &checkpoint);
                }
            }
        }
        self.drain();
    }

    fn body<'a>(input: &mut Input<'a>) -> &'a [u8] {
        let len = input.word() & 0x0fff;
        input.slice(len.into())
    }

    fn receive(&mut self, encoder: u8, mut datagram: Vec<u8>) {
        session::receive(&mut self.mux, self.now, session::path(encoder >> 1 & 3), &mut datagram);
    }

    /// As the adopted session's encoder seals it; its roll-over counters are 0.
    fn rtp(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let header = Header::parse(packet).ok()?;
        let mut sealed = packet.to_vec();
        self.sealer
            .seal_rtp(&mut sealed, header.len(), u64::from(header.sequence));
        Some(sealed)
    }

    fn rtcp(&mut self, compound: &[u8]) -> Option<Vec<u8>> {
        if compound.len() < 8 {
            return None;
        }
        let mut sealed = compound.to_vec();
        self.sealer.seal_rtcp(&mut sealed, self.srtcp_index);
        self.srtcp_index += 1;
        Some(sealed)
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.mux.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.mux.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        let mut buffer = vec![];
        while self.mux.poll_transmit(&mut buffer).is_some() {
            assert!((1..=1500).contains(&buffer.len()));
        }
        while self.mux.poll_event().is_some() {}
        for key in self.sessions {
            // Two layers of video, and audio.
            assert!(self.mux.stats(key).is_none_or(|stats| stats.tracks.len() <= 3));
        }
    }

    /// No encoder sends any more: every session ends, and no timer stays.
    fn fall_silent(&mut self) {
        self.pass(session::LIFE_MAX);
        assert_eq!((self.mux.sessions(), self.mux.poll_timeout()), (0, None));
    }
}
