//! What a handshake ends in.

use std::time::Duration;

use whipcord_whip::{
    negotiate::Role,
    offer::{Fingerprint, HashAlgorithm},
};

use super::{
    CLIENT, CM32, CM80, GCM128, GCM256, RtcProfile, SERVER,
    certificates::{KEYS, Key, certificate, key_and_chain},
    every_pairing, raw_client, raw_server,
    wire::{End, Ours, Raw, Wire, deliver, mirror, start},
};
use crate::{
    dtls::{Certificate, Error},
    srtp::{Keys, Profile},
};

#[test]
fn every_kind_of_certificate_connects_in_both_roles_with_the_same_keys() {
    for (client, server) in every_pairing() {
        let mut wire = Wire::ours(&client, &server);
        assert!(wire.connect(|_, _, _| deliver()));
        let keys = wire.server().keys.clone().expect("connected");
        assert!(mirror(wire.client().keys.as_ref().expect("connected"), &keys));
        assert_eq!(keys.profile, Profile::AeadAes128Gcm);
    }
}

#[test]
fn a_plain_rtc_dtls_connects_in_both_roles_and_exports_the_same_keys() {
    for key in KEYS {
        for role in [Role::Client, Role::Server] {
            let (start, own, peer) = (start(), certificate(Key::P256), key_and_chain(key));
            let announced = Certificate::from_key(peer.clone())
                .expect("a certificate")
                .fingerprint()
                .clone();
            let ours = End::Ours(Ours::new(start, role, &own, &[announced]));
            let peer_role = if role == Role::Client {
                Role::Server
            } else {
                Role::Client
            };
            let raw = End::Raw(Raw::new(start, peer_role, &peer, &[CM80]));
            let (mut wire, us) = match role {
                Role::Client => (Wire::new(start, ours, raw), CLIENT),
                Role::Server => (Wire::new(start, raw, ours), SERVER),
            };
            assert!(wire.connect(|_, _, _| deliver()), "{key:?} {role:?}");
            let keys = wire.ends[us].ours().keys.clone().expect("connected");
            let material = wire.ends[1 - us].raw().exported(60);
            let theirs = Keys::from_exporter(Profile::Aes128CmHmacSha1_80, peer_role, &material).expect("60 bytes");
            assert!(mirror(&keys, &theirs));
        }
    }
}

#[test]
fn gcm_is_chosen_whatever_the_clients_order() {
    let table: [(&[RtcProfile], Profile); 5] = [
        (&[CM80, GCM256, GCM128], Profile::AeadAes128Gcm),
        (&[CM32, GCM128, CM80], Profile::AeadAes128Gcm),
        (&[CM80, GCM256], Profile::AeadAes256Gcm),
        (&[CM32, CM80], Profile::Aes128CmHmacSha1_80),
        (&[CM80], Profile::Aes128CmHmacSha1_80),
    ];
    for (offered, expected) in table {
        let mut wire = raw_client(offered);
        assert!(wire.connect(|_, _, _| deliver()), "{offered:?}");
        assert_eq!(
            wire.server().keys.as_ref().map(|keys| keys.profile),
            Some(expected),
            "{offered:?}"
        );
    }
}

#[test]
fn as_client_the_servers_choice_is_taken() {
    for (theirs, expected) in [(GCM256, Profile::AeadAes256Gcm), (CM80, Profile::Aes128CmHmacSha1_80)] {
        let mut wire = raw_server(&[theirs]);
        assert!(wire.connect(|_, _, _| deliver()));
        assert_eq!(wire.client().keys.as_ref().map(|keys| keys.profile), Some(expected));
    }
}

#[test]
fn no_common_profile_fails_with_an_alert() {
    for offered in [&[CM32][..], &[]] {
        let mut wire = raw_client(offered);
        wire.run(Duration::from_secs(5), |_, _, _| deliver());
        assert_eq!(wire.server().failed, Some(Error::NoSrtpProfile), "{offered:?}");
        assert!(
            wire.ends[CLIENT]
                .raw()
                .error
                .as_ref()
                .is_some_and(|error| error.contains("Alert"))
        );
    }
    for known in [&[CM32][..], &[]] {
        let mut wire = raw_server(known);
        wire.run(Duration::from_secs(5), |_, _, _| deliver());
        // The server is the one to refuse: insufficient_security.
        assert_eq!(wire.client().failed, Some(Error::Alert(71)), "{known:?}");
    }
}

#[test]
fn a_certificate_that_was_not_announced_fails_both_sides() {
    let (own, other) = (certificate(Key::P256), certificate(Key::P256));
    let announced = |certificate: &Certificate| vec![certificate.fingerprint().clone()];
    let table = [
        (
            announced(&other),
            announced(&own),
            Some(Error::FingerprintMismatch),
            Some(Error::Alert(42)),
        ),
        (
            announced(&own),
            announced(&other),
            Some(Error::Alert(42)),
            Some(Error::FingerprintMismatch),
        ),
        (
            announced(&own),
            vec![],
            Some(Error::Alert(42)),
            Some(Error::FingerprintMismatch),
        ),
    ];
    for (client_expects, server_expects, client_fails, server_fails) in table {
        let start = start();
        let client = End::Ours(Ours::new(start, Role::Client, &own, &client_expects));
        let server = End::Ours(Ours::new(start, Role::Server, &own, &server_expects));
        let mut wire = Wire::new(start, client, server);
        wire.run(Duration::from_secs(5), |_, _, _| deliver());
        assert_eq!(
            (wire.client().failed, wire.server().failed),
            (client_fails, server_fails)
        );
        assert!(wire.client().keys.is_none() && wire.server().keys.is_none());
    }
}

#[test]
fn any_announced_fingerprint_of_any_hash_will_do() {
    let own = certificate(Key::P256);
    let peer = key_and_chain(Key::P256);
    let leaf = peer.certificate[0].as_ref();
    let of = |algorithm, function| Fingerprint {
        algorithm,
        digest: aws_lc_rs::digest::digest(function, leaf).as_ref().to_vec(),
    };
    let wrong = own.fingerprint().clone();
    for announced in [
        vec![of(HashAlgorithm::Sha384, &aws_lc_rs::digest::SHA384)],
        vec![of(HashAlgorithm::Sha512, &aws_lc_rs::digest::SHA512)],
        vec![wrong, of(HashAlgorithm::Sha256, &aws_lc_rs::digest::SHA256)],
    ] {
        let start = start();
        let client = End::Raw(Raw::new(start, Role::Client, &peer, &[CM80]));
        let server = End::Ours(Ours::new(start, Role::Server, &own, &announced));
        assert!(
            Wire::new(start, client, server).connect(|_, _, _| deliver()),
            "{announced:?}"
        );
    }
}

#[test]
fn closing_during_the_handshake_tells_the_peer() {
    let mut wire = Wire::ours(&certificate(Key::P256), &certificate(Key::P256));
    wire.run(Duration::from_millis(15), |_, _, _| deliver());
    let now = wire.now;
    wire.server().dtls.close(now);
    wire.run(Duration::from_secs(5), |_, _, _| deliver());
    assert!(wire.client().closed);
}
