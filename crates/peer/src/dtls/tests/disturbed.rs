//! Handshakes over a wire that loses, delays, repeats, cuts and damages, and among forgeries.

use std::time::{Duration, Instant};

use whipcord_whip::negotiate::Role;

use super::{
    CLIENT, SERVER,
    certificates::{Key, certificate},
    every_pairing,
    wire::{Chance, LATENCY, Ours, Wire, deliver, fragment, mirror, start},
};
use crate::dtls::Dtls;

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

fn relay(now: Instant, from: &mut Ours, to: &mut Ours, size: usize, reversed: bool) {
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
