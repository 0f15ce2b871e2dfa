//! Two ends, a wire that does what a test wants, and one simulated clock.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use rtc_dtls::{
    config::{ClientAuthType, ConfigBuilder},
    crypto::Certificate as KeyAndChain,
    endpoint::{Endpoint, EndpointEvent},
    extension::extension_use_srtp::SrtpProtectionProfile,
};
use rtc_shared::TransportProtocol;
use whipcord_whip::{negotiate::Role, offer::Fingerprint};

use crate::{
    dtls::{Certificate, Dtls, Error, Output},
    srtp::Keys,
    stats::Dropped,
};

pub(super) const LATENCY: Duration = Duration::from_millis(10);

/// What the wire does to a datagram: it arrives after each of these delays.
pub(super) type Fate = Vec<Duration>;

pub(super) fn deliver() -> Fate {
    vec![LATENCY]
}

/// SplitMix64: enough chance for a wire, and repeatable.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }

    pub(super) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// One of our own, with what it said.
pub(super) struct Ours {
    pub(super) dtls: Dtls,
    pub(super) keys: Option<Keys>,
    pub(super) failed: Option<Error>,
    pub(super) closed: bool,
    pub(super) dropped: Dropped,
}

impl Ours {
    pub(super) fn new(now: Instant, role: Role, own: &Certificate, peer: &[Fingerprint]) -> Self {
        let dtls = Dtls::new(now, role, own, peer).expect("randomness");
        Self {
            dtls,
            keys: None,
            failed: None,
            closed: false,
            dropped: Dropped::default(),
        }
    }

    pub(super) fn receive(&mut self, now: Instant, datagram: &[u8]) {
        if let Err(reason) = self.dtls.receive(now, datagram) {
            self.dropped.add(reason);
        }
        self.listen();
    }

    fn listen(&mut self) {
        while let Some(output) = self.dtls.poll_output() {
            match output {
                Output::Connected(keys) => self.keys = Some(keys),
                Output::Closed => self.closed = true,
                Output::Failed(error) => self.failed = Some(error),
            }
        }
    }
}

/// rtc-dtls as it comes, with its own timer.
pub(super) struct Raw {
    endpoint: Endpoint,
    pub(super) completed: bool,
    pub(super) closed: bool,
    pub(super) error: Option<String>,
}

pub(super) fn peer_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5000))
}

impl Raw {
    pub(super) fn new(now: Instant, role: Role, own: &KeyAndChain, profiles: &[SrtpProtectionProfile]) -> Self {
        let config = ConfigBuilder::default()
            .with_crypto_provider(rtc_crypto::default_provider().expect("a provider"))
            .with_certificates(vec![own.clone()])
            .with_srtp_protection_profiles(profiles.to_vec())
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            .with_insecure_skip_verify(true)
            .with_server_name("encoder".to_owned())
            .build(role == Role::Client, None)
            .expect("a configuration");
        let config = Arc::new(config);
        let server = (role == Role::Server).then(|| config.clone());
        let mut endpoint = Endpoint::new(SocketAddr::from(([127, 0, 0, 1], 4000)), TransportProtocol::UDP, server);
        if role == Role::Client {
            endpoint
                .connect(now, peer_address(), config, None)
                .expect("a ClientHello");
        }
        Self {
            endpoint,
            completed: false,
            closed: false,
            error: None,
        }
    }

    pub(super) fn exported(&self, length: usize) -> Vec<u8> {
        let state = self
            .endpoint
            .get_connection_state(peer_address())
            .expect("an association");
        state
            .export_keying_material("EXTRACTOR-dtls_srtp", &[], length)
            .expect("keys")
            .as_ref()
            .to_vec()
    }

    pub(super) fn close(&mut self, now: Instant) {
        drop(self.endpoint.stop(now, peer_address()));
    }

    fn receive(&mut self, now: Instant, datagram: &[u8]) {
        match self
            .endpoint
            .read(now, peer_address(), None, bytes::BytesMut::from(datagram))
        {
            Ok(events) => {
                for event in events {
                    match event {
                        EndpointEvent::HandshakeComplete => self.completed = true,
                        EndpointEvent::PeerClosed => self.closed = true,
                        _ => {}
                    }
                }
            }
            Err(error) => self.error = Some(error.to_string()),
        }
    }
}

#[expect(clippy::large_enum_variant, reason = "two of them per test")]
pub(super) enum End {
    Ours(Ours),
    Raw(Raw),
}

impl End {
    pub(super) fn ours(&mut self) -> &mut Ours {
        match self {
            Self::Ours(ours) => ours,
            Self::Raw(_) => panic!("not one of ours"),
        }
    }

    pub(super) fn raw(&mut self) -> &mut Raw {
        match self {
            Self::Raw(raw) => raw,
            Self::Ours(_) => panic!("one of ours"),
        }
    }

    fn receive(&mut self, now: Instant, datagram: &[u8]) {
        match self {
            Self::Ours(ours) => ours.receive(now, datagram),
            Self::Raw(raw) => raw.receive(now, datagram),
        }
    }

    fn transmits(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| match self {
            Self::Ours(ours) => ours.dtls.poll_transmit(),
            Self::Raw(raw) => raw.endpoint.poll_transmit().map(|transmit| transmit.message.to_vec()),
        })
        .collect()
    }

    fn due(&self) -> Option<Instant> {
        match self {
            Self::Ours(ours) => ours.dtls.poll_timeout(),
            Self::Raw(raw) => raw.endpoint.poll_timeout(&peer_address()),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Ours(ours) => {
                ours.dtls.handle_timeout(now);
                ours.listen();
            }
            Self::Raw(raw) => drop(raw.endpoint.handle_timeout(peer_address(), now)),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        match self {
            Self::Ours(ours) => ours.keys.is_some(),
            Self::Raw(raw) => raw.completed,
        }
    }
}

/// Index 0 is the client, 1 the server.
pub(super) struct Wire {
    pub(super) now: Instant,
    pub(super) start: Instant,
    pub(super) ends: [End; 2],
    in_flight: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    order: u64,
    /// Every datagram sent: by whom, when, what.
    pub(super) log: Vec<(usize, Duration, Vec<u8>)>,
}

pub(super) fn start() -> Instant {
    Instant::now() + Duration::from_secs(100)
}

impl Wire {
    pub(super) fn new(start: Instant, client: End, server: End) -> Self {
        let in_flight = BTreeMap::new();
        Self {
            now: start,
            start,
            ends: [client, server],
            in_flight,
            order: 0,
            log: Vec::new(),
        }
    }

    /// Two of our own, each expecting the other's certificate.
    pub(super) fn ours(client: &Certificate, server: &Certificate) -> Self {
        let start = start();
        let announced = |certificate: &Certificate| vec![certificate.fingerprint().clone()];
        let one = Ours::new(start, Role::Client, client, &announced(server));
        let other = Ours::new(start, Role::Server, server, &announced(client));
        Self::new(start, End::Ours(one), End::Ours(other))
    }

    pub(super) fn client(&mut self) -> &mut Ours {
        self.ends[0].ours()
    }

    pub(super) fn server(&mut self) -> &mut Ours {
        self.ends[1].ours()
    }

    /// Runs until `until` after the start, or until nothing more can happen. `fate` sees the sender, and how many datagrams it sent before.
    pub(super) fn run(&mut self, until: Duration, mut fate: impl FnMut(usize, usize, &[u8]) -> Fate) {
        loop {
            self.send(&mut fate);
            let arrival = self.in_flight.first_key_value().map(|((at, _), _)| *at);
            let due = self.ends.iter().filter_map(End::due).min();
            let Some(next) = [arrival, due].into_iter().flatten().min() else {
                return;
            };
            if next > self.start + until {
                return;
            }
            self.now = self.now.max(next);
            let now = self.now;
            if let Some(((_, _), (to, datagram))) = self
                .in_flight
                .first_entry()
                .filter(|e| e.key().0 <= now)
                .map(|e| e.remove_entry())
            {
                self.ends[to].receive(now, &datagram);
            } else {
                self.ends.iter_mut().for_each(|end| end.handle_timeout(now));
            }
        }
    }

    /// Until both are connected, or 30 s have passed.
    pub(super) fn connect(&mut self, mut fate: impl FnMut(usize, usize, &[u8]) -> Fate) -> bool {
        let mut until = Duration::ZERO;
        while until < Duration::from_secs(30) && !self.is_connected() {
            until += Duration::from_millis(5);
            self.run(until, &mut fate);
        }
        self.is_connected()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.ends.iter().all(End::is_connected)
    }

    pub(super) fn count(&self, sender: usize) -> usize {
        self.log.iter().filter(|(one, _, _)| *one == sender).count()
    }

    /// Puts a datagram on the wire towards `to`.
    pub(super) fn inject(&mut self, to: usize, datagram: &[u8]) {
        let now = self.now;
        self.ends[to].receive(now, datagram);
    }

    fn send(&mut self, fate: &mut impl FnMut(usize, usize, &[u8]) -> Fate) {
        for sender in 0..2 {
            for datagram in self.ends[sender].transmits() {
                for delay in fate(sender, self.count(sender), &datagram) {
                    self.order += 1;
                    self.in_flight
                        .insert((self.now + delay, self.order), (1 - sender, datagram.clone()));
                }
                self.log.push((sender, self.now - self.start, datagram));
            }
        }
    }
}

/// Both sides have the same keys, each the other's way round.
pub(super) fn mirror(one: &Keys, other: &Keys) -> bool {
    one.profile == other.profile
        && one.local.key == other.remote.key
        && one.local.salt == other.remote.salt
        && one.remote.key == other.local.key
        && one.remote.salt == other.local.salt
        && one.local.key != one.remote.key
}

/// Splits the plaintext handshake records of a datagram into fragments of at most `size` bytes, a datagram each, last first if `reversed`.
pub(super) fn fragment(datagram: &[u8], size: usize, reversed: bool) -> Vec<Vec<u8>> {
    let mut records: VecDeque<Vec<u8>> = VecDeque::new();
    let mut rest = datagram;
    while rest.len() > 13 {
        let length = 13 + usize::from(u16::from_be_bytes([rest[11], rest[12]]));
        let (record, after) = rest.split_at(length);
        rest = after;
        if record[0] != 22 || record[3..5] != [0, 0] {
            records.push_back(record.to_vec());
            continue;
        }
        let body = &record[25..];
        for (index, piece) in body.chunks(size).enumerate() {
            let mut fragment = record[..25].to_vec();
            fragment[11..13].copy_from_slice(&u16::try_from(12 + piece.len()).expect("small").to_be_bytes());
            fragment[19..22].copy_from_slice(&u32::try_from(index * size).expect("small").to_be_bytes()[1..]);
            fragment[22..25].copy_from_slice(&u32::try_from(piece.len()).expect("small").to_be_bytes()[1..]);
            fragment.extend(piece);
            // A number of its own, as a sender would give it.
            fragment[8] = fragment[10].wrapping_add(1);
            fragment[10] = u8::try_from(index).expect("few");
            records.push_back(fragment);
        }
        if body.is_empty() {
            records.push_back(record.to_vec());
        }
    }
    if reversed {
        records.into_iter().rev().collect()
    } else {
        records.into()
    }
}
