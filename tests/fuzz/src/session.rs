//! A port with one session, and a session that another port has connected.

use std::{
    net::SocketAddr,
    sync::OnceLock,
    time::{Duration, Instant},
};

use crate::stun::signed;
use whipcord_peer::{
    Certificate, Limits, Mux, Path, Received, SessionKey,
    dtls::{self, Dtls},
    srtp::{Keys, Sealer},
};
use whipcord_whip::{
    Credentials, Offer, Preferences,
    negotiate::{Negotiated, Role, negotiate},
};

pub const PWD: &str = "serverpasswordserverpassword";
/// Sessions that are silent end after 30 s; those that were silent from the middle of a handshake on after 30 s more.
pub const LIFE_MAX: Duration = Duration::from_secs(61);

const OFFER: &str = include_str!("session/offer.sdp");

/// A session as another port's checkpoint describes it, and what its encoder seals with.
pub struct Live {
    pub checkpoint: Vec<u8>,
    pub keys: Keys,
}

/// One time for all inputs: each behaves the same whenever it is run.
pub fn beginning() -> Instant {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    *BEGINNING.get_or_init(Instant::now)
}

pub fn mux() -> Mux {
    Mux::new(certificate(), Limits { sessions_max: 3 }, [7; 32])
}

pub fn path(encoder: u8) -> Path {
    let local = SocketAddr::from(([192, 0, 2, 1], 8189));
    Path::udp(local, SocketAddr::from(([198, 51, 100, encoder], 50_000)))
}

/// A session before its first datagram, with H.264 in two layers, RTX and transport-wide feedback.
pub fn create(mux: &mut Mux, role: Role, ufrag: &str) -> SessionKey {
    let mut offer = offer().clone();
    offer.role = role;
    offer.fingerprints = vec![certificate().fingerprint().clone()];
    let (key, _) = mux
        .create(beginning(), offer, credentials(ufrag), &[path(0).local], 1)
        .expect("room");
    key
}

pub fn credentials(ufrag: &str) -> Credentials {
    Credentials {
        ufrag: ufrag.to_owned(),
        pwd: PWD.to_owned(),
    }
}

/// A connectivity check for one of our ufrags, with these attributes behind the name.
pub fn check(ufrag: &str, attributes: &[u8]) -> Vec<u8> {
    let name = format!("{ufrag}:clnt");
    let mut all = vec![0, 6, 0, name.len() as u8];
    all.extend(name.bytes());
    all.resize(all.len().next_multiple_of(4), 0);
    all.extend(attributes);
    signed(&all, PWD)
}

/// Connected once per process: it takes signatures of both sides.
pub fn live() -> &'static Live {
    static LIVE: OnceLock<Live> = OnceLock::new();
    LIVE.get_or_init(connect)
}

/// Sends a datagram and does what a shell would do with it.
pub fn receive(mux: &mut Mux, now: Instant, path: Path, datagram: &mut [u8]) {
    let len = datagram.len();
    if let Received::Media { packet, .. } = mux.receive(now, path, datagram) {
        assert!(packet.payload.len() < len);
    }
    while mux.step_handshake(now) {}
    let mut buffer = vec![];
    while let Some(held) = mux.poll_held(&mut buffer) {
        assert!(held.arrival <= now);
    }
}

fn connect() -> Live {
    let now = beginning();
    let (mut mux, path) = (mux(), path(0));
    let key = create(&mut mux, Role::Server, "live");
    receive(&mut mux, now, path, &mut check("live", &[0, 37, 0, 0]));
    let announced = [certificate().fingerprint().clone()];
    let mut dtls = Dtls::new(now, Role::Client, &certificate(), &announced).expect("our own certificate serves");
    let mut buffer = vec![];
    let mut connected = None;
    // Each side answers the other's flight: six in all (RFC 6347 §4.2.4).
    for _ in 0..6 {
        while let Some(mut datagram) = dtls.poll_transmit() {
            receive(&mut mux, now, path, &mut datagram);
        }
        while mux.poll_transmit(&mut buffer).is_some() {
            if (20..64).contains(&buffer[0]) {
                dtls.receive(now, &buffer).expect("a flight is DTLS, and short");
            }
        }
        match dtls.poll_output() {
            Some(dtls::Output::Connected(keys)) => connected = Some(keys),
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    }
    let keys = connected.expect("a handshake without loss");
    // Opus, by its payload type.
    let mut packet = b"\x80\x6f\0\x07\0\0\0\0\x0a\x0a\x0a\x0a\xfc\xff\xfe".to_vec();
    let sealer = Sealer::new(keys.profile, &keys.local).expect("keys fit their profile");
    sealer.seal_rtp(&mut packet, 12, 7);
    receive(&mut mux, now, path, &mut packet);
    let checkpoint = mux.checkpoint(key).expect("a session with media");
    Live {
        checkpoint: checkpoint.encode(),
        keys,
    }
}

fn offer() -> &'static Negotiated {
    static NEGOTIATED: OnceLock<Negotiated> = OnceLock::new();
    NEGOTIATED.get_or_init(|| {
        let offer = Offer::parse(OFFER.as_bytes()).expect("a good offer");
        negotiate(&offer, &Preferences::default()).expect("an acceptable offer")
    })
}

/// Of both sides: key generation is the slowest thing here.
fn certificate() -> Certificate {
    static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    CERTIFICATE
        .get_or_init(|| Certificate::generate().expect("P-256 keys can be made"))
        .clone()
}
