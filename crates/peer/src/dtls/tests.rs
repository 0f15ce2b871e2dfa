//! Handshakes between two of our own, over a simulated wire.

mod certificates;
mod connected;
mod disturbed;
mod handshakes;
mod parsers;
mod repeats;
mod wire;

use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile as RtcProfile;
use whipcord_whip::negotiate::Role;

use super::Certificate;
use certificates::{KEYS, Key, certificate, key_and_chain};
use wire::{End, Ours, Raw, Wire, deliver, start};

const CLIENT: usize = 0;
const SERVER: usize = 1;
const GCM128: RtcProfile = RtcProfile::Srtp_Aead_Aes_128_Gcm;
const GCM256: RtcProfile = RtcProfile::Srtp_Aead_Aes_256_Gcm;
const CM80: RtcProfile = RtcProfile::Srtp_Aes128_Cm_Hmac_Sha1_80;
const CM32: RtcProfile = RtcProfile::Srtp_Aes128_Cm_Hmac_Sha1_32;

/// Our certificate is EC P-256; the peer's is of each kind; we are client and server.
fn every_pairing() -> impl Iterator<Item = (Certificate, Certificate)> {
    let own = certificate(Key::P256);
    KEYS.into_iter().flat_map(move |key| {
        let peer = certificate(key);
        [(own.clone(), peer.clone()), (peer, own.clone())]
    })
}

fn connected() -> Wire {
    let mut wire = Wire::ours(&certificate(Key::P256), &certificate(Key::P256));
    assert!(wire.connect(|_, _, _| deliver()));
    wire
}

fn raw_client(profiles: &[RtcProfile]) -> Wire {
    let (start, own, peer) = (start(), certificate(Key::P256), key_and_chain(Key::P256));
    let announced = Certificate::from_key(peer.clone())
        .expect("a certificate")
        .fingerprint()
        .clone();
    let client = End::Raw(Raw::new(start, Role::Client, &peer, profiles));
    Wire::new(
        start,
        client,
        End::Ours(Ours::new(start, Role::Server, &own, &[announced])),
    )
}

fn raw_server(profiles: &[RtcProfile]) -> Wire {
    let (start, own, peer) = (start(), certificate(Key::P256), key_and_chain(Key::P256));
    let announced = Certificate::from_key(peer.clone())
        .expect("a certificate")
        .fingerprint()
        .clone();
    let server = End::Raw(Raw::new(start, Role::Server, &peer, profiles));
    Wire::new(
        start,
        End::Ours(Ours::new(start, Role::Client, &own, &[announced])),
        server,
    )
}
