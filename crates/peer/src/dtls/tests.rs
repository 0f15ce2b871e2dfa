//! Handshakes between two of our own, over a simulated wire.

mod certificates;
mod parsers;
mod wire;

use std::time::Duration;

use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile as RtcProfile;
use whipcord_whip::{
    negotiate::Role,
    offer::{Fingerprint, HashAlgorithm},
};

use super::{Certificate, Dtls, Error, record};
use crate::{
    srtp::{Keys, Profile},
    stats::DropReason,
};
use certificates::{KEYS, Key, certificate, key_and_chain};
use wire::{Chance, End, LATENCY, Ours, Raw, Wire, deliver, fragment, mirror, start};

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

fn milliseconds(times: &[u64]) -> Vec<Duration> {
    times.iter().copied().map(Duration::from_millis).collect()
}

// === what a handshake ends in ===

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

// === loss ===

#[test]
fn dropping_any_single_datagram_still_connects() {
    for (client, server) in every_pairing() {
        let mut undisturbed = Wire::ours(&client, &server);
        assert!(undisturbed.connect(|_, _, _| deliver()));
        for direction in [CLIENT, SERVER] {
            for lost in 0..undisturbed.count(direction) {
                let mut wire = Wire::ours(&client, &server);
                let fate = |sender, index, _: &[u8]| {
                    if (sender, index) == (direction, lost) {
                        vec![]
                    } else {
                        deliver()
                    }
                };
                assert!(wire.connect(fate), "datagram {lost} of {direction}");
                let keys = wire.server().keys.clone().expect("connected");
                assert!(mirror(wire.client().keys.as_ref().expect("connected"), &keys));
            }
        }
    }
}

#[test]
fn a_fifth_lost_each_way_fails_no_handshake() {
    let (own, rsa) = (certificate(Key::P256), certificate(Key::Rsa2048));
    for (client, server) in [(&own, &rsa), (&rsa, &own)] {
        for seed in 0..50 {
            let mut chance = Chance(seed);
            let mut wire = Wire::ours(client, server);
            assert!(
                wire.connect(|_, _, _| if chance.percent(20) { vec![] } else { deliver() }),
                "seed {seed}"
            );
        }
    }
}

#[test]
fn loss_duplication_reordering_and_delay_together_fail_no_handshake() {
    let own = certificate(Key::P256);
    for seed in 0..100 {
        let mut chance = Chance(seed);
        let mut wire = Wire::ours(&own, &own);
        let fate = |_, _, _: &[u8]| {
            let copies = [0, 1, 1, 1, 2, 3][chance.below(6)];
            (0..copies)
                .map(|_| LATENCY * u32::try_from(1 + chance.below(40)).expect("small"))
                .collect()
        };
        assert!(wire.connect(fate), "seed {seed}");
    }
}

#[test]
fn handshakes_in_fragments_connect() {
    let own = certificate(Key::P256);
    for (size, reversed) in [(1000, false), (100, false), (100, true), (40, true)] {
        let start = start();
        let announced = [own.fingerprint().clone()];
        let mut client = Ours::new(start, Role::Client, &own, &announced);
        let mut server = Ours::new(start, Role::Server, &own, &announced);
        for _ in 0..8 {
            relay(start, &mut client, &mut server, size, reversed);
            relay(start, &mut server, &mut client, size, reversed);
        }
        assert!(client.keys.is_some() && server.keys.is_some(), "{size} {reversed}");
    }
}

/// A ClientHello of two fragments, as those with a post-quantum key share are: in two records of one datagram, and in two datagrams.
#[test]
fn a_client_hello_in_two_fragments_is_answered_when_it_is_whole() {
    let own = certificate(Key::P256);
    let announced = [own.fingerprint().clone()];
    let mut client = Dtls::new(start(), Role::Client, &own, &announced).expect("randomness");
    let pieces = fragment(&client.poll_transmit().expect("a ClientHello"), 100, false);
    assert!(pieces.len() >= 2);
    let mut together = Dtls::new(start(), Role::Server, &own, &announced).expect("randomness");
    together.receive(start(), &pieces.concat()).expect("within the budget");
    assert!(together.poll_transmit().is_some());
    let mut apart = Dtls::new(start(), Role::Server, &own, &announced).expect("randomness");
    let (last, first) = pieces.split_last().expect("pieces");
    for piece in first {
        apart.receive(start(), piece).expect("within the budget");
    }
    assert!(apart.poll_transmit().is_none());
    apart.receive(start(), last).expect("within the budget");
    assert!(apart.poll_transmit().is_some());
}

// === when what is sent ===

#[test]
fn a_client_hello_is_one_small_datagram_repeated_early_with_new_record_numbers() {
    let mut wire = Wire::ours(&certificate(Key::P256), &certificate(Key::P256));
    wire.run(Duration::from_millis(4000), |_, _, _| vec![]);
    let times: Vec<_> = wire.log.iter().map(|(_, at, _)| *at).collect();
    assert_eq!(times, milliseconds(&[0, 60, 180, 420, 900, 1860, 2860, 3860]));
    for (number, (_, _, hello)) in wire.log.iter().enumerate() {
        assert!(hello.len() < 1200);
        assert_eq!(usize::from(hello[10]), number);
        assert_eq!(hello[11..], wire.log[0].2[11..]);
    }
}

#[test]
fn after_the_first_record_a_client_repeats_each_second_only() {
    let mut wire = Wire::ours(&certificate(Key::P256), &certificate(Key::P256));
    // The HelloVerifyRequest arrives; nothing of the client's does after its first datagram.
    let fate = |sender, index, _: &[u8]| {
        if sender == CLIENT && index > 0 {
            vec![]
        } else {
            deliver()
        }
    };
    wire.run(Duration::from_millis(3100), fate);
    let times: Vec<_> = wire
        .log
        .iter()
        .filter(|(sender, _, _)| *sender == CLIENT)
        .map(|(_, at, _)| *at)
        .collect();
    assert_eq!(times, milliseconds(&[0, 20, 1020, 2020, 3020]));
}

/// Even where the record leads nowhere: the encoder is there, and will answer.
#[test]
fn any_record_of_the_peer_ends_a_clients_early_repeats() {
    let mut wire = Wire::ours(&certificate(Key::P256), &certificate(Key::P256));
    wire.run(Duration::from_millis(100), |_, _, _| vec![]);
    wire.inject(CLIENT, &[21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 90, 0, 2, 1, 112]);
    wire.run(Duration::from_millis(2100), |_, _, _| vec![]);
    let times: Vec<_> = wire.log.iter().map(|(_, at, _)| *at).collect();
    assert_eq!(times, milliseconds(&[0, 60, 1060, 2060]));
}

#[test]
fn a_server_answers_a_repeated_hello_without_waiting_for_its_timer() {
    let mut wire = Wire::ours(&certificate(Key::P256), &certificate(Key::P256));
    let fate = |sender, index, _: &[u8]| {
        if sender == CLIENT && index > 1 {
            vec![]
        } else {
            deliver()
        }
    };
    wire.run(Duration::from_millis(800), fate);
    let (hello, sent) = (
        wire.log
            .iter()
            .filter(|(sender, _, _)| *sender == CLIENT)
            .nth(1)
            .cloned(),
        wire.count(SERVER),
    );
    let hello = hello.expect("a second ClientHello").2;
    wire.now = wire.start + Duration::from_millis(800);
    for _ in 0..5 {
        wire.inject(SERVER, &hello);
    }
    let flight = wire
        .log
        .iter()
        .filter(|(sender, at, _)| *sender == SERVER && *at == Duration::from_millis(30))
        .count();
    wire.run(Duration::from_millis(810), fate);
    assert_eq!(wire.count(SERVER) - sent, flight);
}

#[test]
fn a_server_repeats_its_flight_with_back_off_until_it_is_answered() {
    let mut wire = Wire::ours(&certificate(Key::P256), &certificate(Key::P256));
    // The client's second ClientHello is its last datagram that arrives: the certificate flight waits for an answer.
    let fate = |sender, index, _: &[u8]| {
        if sender == CLIENT && index > 1 {
            vec![]
        } else {
            deliver()
        }
    };
    wire.run(Duration::from_millis(3500), fate);
    let mut times: Vec<_> = wire
        .log
        .iter()
        .filter(|(sender, _, _)| *sender == SERVER)
        .map(|(_, at, _)| *at)
        .collect();
    times.dedup();
    assert_eq!(times, milliseconds(&[10, 30, 130, 330, 730, 1530, 2530]));
}

#[test]
fn a_connected_client_sends_nothing_more_whatever_arrives() {
    let mut wire = connected();
    let sent = wire.count(CLIENT);
    let flights: Vec<_> = wire
        .log
        .iter()
        .filter(|(sender, _, _)| *sender == SERVER)
        .map(|(_, _, sent)| sent.clone())
        .collect();
    for _ in 0..20 {
        for flight in &flights {
            wire.now += Duration::from_millis(700);
            wire.inject(CLIENT, flight);
        }
    }
    wire.run(Duration::from_secs(1000), |_, _, _| deliver());
    assert_eq!(wire.count(CLIENT), sent);
    assert_eq!(wire.client().dtls.poll_timeout(), None);
}

#[test]
fn a_connected_server_answers_a_repeated_flight_at_most_each_50_ms() {
    let mut wire = connected();
    let answered = wire.count(SERVER);
    let (_, _, last_flight) = wire
        .log
        .iter()
        .rfind(|(sender, _, _)| *sender == CLIENT)
        .cloned()
        .expect("a flight");
    let mut answers = 0;
    for _ in 0..10 {
        wire.now += Duration::from_millis(51);
        for _ in 0..2 {
            wire.inject(SERVER, &last_flight);
            answers += std::iter::from_fn(|| wire.server().dtls.poll_transmit()).count();
        }
    }
    assert_eq!(answers, 10);
    assert_eq!(wire.count(SERVER), answered);
}

#[test]
fn a_client_that_lost_the_servers_last_flight_gets_it_again() {
    let mut wire = Wire::ours(&certificate(Key::P256), &certificate(Key::P256));
    let server_datagrams = connected().count(SERVER);
    let fate = |sender, index, _: &[u8]| {
        if sender == SERVER && index == server_datagrams - 1 {
            vec![]
        } else {
            deliver()
        }
    };
    assert!(wire.connect(fate));
    assert!(wire.now - wire.start > Duration::from_secs(1));
}

/// A server that lost its answer has seen the Finished, and drops the same record as a replay.
#[test]
fn a_client_repeats_its_finished_in_a_new_record_each_time() {
    let mut wire = Wire::ours(&certificate(Key::P256), &certificate(Key::P256));
    // The server's last flight never arrives.
    let server_datagrams = connected().count(SERVER);
    let fate = |sender, index, _: &[u8]| {
        if sender == SERVER && index >= server_datagrams - 1 {
            vec![]
        } else {
            deliver()
        }
    };
    wire.run(Duration::from_millis(20_500), fate);
    let mut finished: Vec<&[u8]> = Vec::new();
    for (_, _, datagram) in wire.log.iter().filter(|(sender, _, _)| *sender == CLIENT) {
        finished.extend(
            record::records(datagram)
                .filter(|record| record.epoch == 1)
                .map(|record| record.bytes),
        );
    }
    assert_eq!(finished.len(), 21);
    let numbers: std::collections::BTreeSet<_> = finished.iter().map(|record| &record[5..11]).collect();
    assert_eq!(numbers.len(), 8, "the first and seven more; the rest repeat the last");
    assert!(wire.client().failed.is_none());
    let now = wire.now;
    let (_, _, answer) = wire
        .log
        .iter()
        .rfind(|(sender, _, _)| *sender == SERVER)
        .cloned()
        .expect("an answer");
    wire.client().receive(now, &answer);
    assert!(wire.client().keys.is_some());
}

// === the end ===

#[test]
fn close_notify_is_sent_understood_and_answered() {
    for closing in [CLIENT, SERVER] {
        let mut wire = connected();
        let now = wire.now;
        wire.ends[closing].ours().dtls.close(now);
        let before = wire.count(1 - closing);
        wire.run(Duration::from_secs(100), |_, _, _| deliver());
        assert!(wire.ends[1 - closing].ours().closed);
        assert_eq!(wire.count(1 - closing), before + 1);
    }
}

#[test]
fn a_plain_rtc_dtls_that_closes_is_understood() {
    let mut wire = raw_client(&[CM80]);
    assert!(wire.connect(|_, _, _| deliver()));
    let now = wire.now;
    wire.ends[CLIENT].raw().close(now);
    wire.run(Duration::from_secs(100), |_, _, _| deliver());
    assert!(wire.server().closed);
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

// === strangers ===

#[test]
fn nothing_forged_ends_or_disturbs_a_connected_association() {
    let mut wire = connected();
    let plaintext_alert = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 99, 0, 2, 2, 40];
    let plaintext_close = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 98, 0, 2, 1, 0];
    // ChangeCipherSpec is not protected even in the protected epoch.
    let cipher_change = [20, 254, 253, 0, 1, 0, 0, 0, 0, 0, 97, 0, 1, 1];
    let data = [23, 254, 253, 0, 0, 0, 0, 0, 0, 0, 96, 0, 3, 1, 2, 3];
    for forged in [&plaintext_alert[..], &plaintext_close, &cipher_change, &data] {
        wire.inject(SERVER, forged);
        wire.inject(CLIENT, forged);
    }
    assert!(!wire.server().closed && !wire.client().closed);
    let now = wire.now;
    wire.client().dtls.close(now);
    wire.run(Duration::from_secs(100), |_, _, _| deliver());
    assert!(wire.server().closed);
}

#[test]
fn a_flood_is_dropped_and_counted_and_a_close_is_understood_after_it() {
    let mut wire = connected();
    let (_, _, last_flight) = wire
        .log
        .iter()
        .rfind(|(sender, _, _)| *sender == CLIENT)
        .cloned()
        .expect("a flight");
    for _ in 0..10_000 {
        wire.inject(SERVER, &last_flight);
    }
    assert!(wire.server().dropped.count(DropReason::RateLimited) > 9_900);
    assert!(std::iter::from_fn(|| wire.server().dtls.poll_transmit()).count() <= 1);
    wire.now += Duration::from_secs(1);
    let now = wire.now;
    wire.client().dtls.close(now);
    wire.run(Duration::from_secs(100), |_, _, _| deliver());
    assert!(wire.server().closed);
}

#[test]
fn what_is_not_dtls_is_dropped_and_counted() {
    let mut wire = connected();
    for datagram in [
        &[][..],
        &[0, 1, 0, 0],
        &[128, 1],
        &[22, 254, 253, 0, 0],
        &[63; 40],
        &[25; 40],
    ] {
        wire.inject(SERVER, datagram);
    }
    let dropped = wire.server().dropped;
    assert_eq!((dropped.count(DropReason::Malformed), dropped.total()), (6, 6));
}

/// Each once, from the peer's address, before its first message is whole.
#[test]
fn a_forged_alert_or_fragment_does_not_stop_a_handshake() {
    let fatal = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 90, 0, 2, 2, 40];
    let close = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 90, 0, 2, 1, 0];
    // Four bytes of a first message of 4000: ClientHello and ServerHello are shorter.
    let fragment = |kind| {
        let mut record = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 91, 0, 16];
        record.extend([kind, 0, 0x0f, 0xa0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4]);
        record
    };
    let (hello, server_hello) = (fragment(1), fragment(2));
    for forged in [&fatal[..], &close, &hello, &server_hello] {
        for to in [CLIENT, SERVER] {
            let mut wire = Wire::ours(&certificate(Key::P256), &certificate(Key::P256));
            wire.inject(to, forged);
            assert!(wire.connect(|_, _, _| deliver()), "{forged:?} to {to}");
        }
    }
}

#[test]
fn a_forged_finished_or_a_warning_does_not_stop_a_handshake() {
    let mut wire = Wire::ours(&certificate(Key::P256), &certificate(Key::P256));
    wire.run(Duration::from_millis(25), |_, _, _| deliver());
    let warning = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 90, 0, 2, 1, 112];
    let mut finished = vec![
        22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 91, 0, 24, 20, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 12,
    ];
    finished.extend([7; 12]);
    for sequence in 0..8 {
        finished[18] = sequence;
        for to in [CLIENT, SERVER] {
            wire.inject(to, &finished);
            wire.inject(to, &warning);
        }
    }
    assert!(wire.connect(|_, _, _| deliver()));
}

/// Every datagram of a handshake, damaged in many ways, reaches its receiver before the real one does.
#[test]
fn garbage_at_every_step_never_panics() {
    let own = certificate(Key::P256);
    for seed in 0..200 {
        let mut chance = Chance(seed);
        let start = start();
        let announced = [own.fingerprint().clone()];
        let mut ends = [Role::Client, Role::Server].map(|role| Ours::new(start, role, &own, &announced));
        for step in 0..16 {
            let (sender, receiver) = (step % 2, 1 - step % 2);
            while let Some(datagram) = ends[sender].dtls.poll_transmit() {
                for _ in 0..3 {
                    ends[receiver].receive(start, &damaged(&datagram, &mut chance));
                }
                ends[receiver].receive(start, &datagram);
            }
            ends[sender]
                .dtls
                .handle_timeout(start + Duration::from_secs(step as u64));
        }
    }
}

#[test]
fn debug_shows_no_keys_and_a_session_may_change_threads() {
    fn is_send(_: &impl Send) {}
    let mut wire = connected();
    is_send(&wire.server().dtls);
    assert_eq!(
        format!("{:?}", wire.server().dtls),
        r#"Dtls { role: Server, phase: "connected", .. }"#
    );
    assert_eq!(format!("{:?}", certificate(Key::P256)), "Certificate");
}

// === what the tests stand on ===

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

fn relay(now: std::time::Instant, from: &mut Ours, to: &mut Ours, size: usize, reversed: bool) {
    while let Some(datagram) = from.dtls.poll_transmit() {
        for piece in fragment(&datagram, size, reversed) {
            to.receive(now, &piece);
        }
    }
}

fn damaged(datagram: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = datagram.to_vec();
    match chance.below(4) {
        0 => bytes.truncate(chance.below(bytes.len())),
        1 => bytes.extend((0..chance.below(60)).map(|index| index as u8)),
        _ => {}
    }
    for _ in 0..chance.below(8) {
        if !bytes.is_empty() {
            let at = chance.below(bytes.len());
            bytes[at] = chance.next() as u8;
        }
    }
    bytes
}
