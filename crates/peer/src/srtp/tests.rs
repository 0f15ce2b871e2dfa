//! Packets sealed and opened; vectors of the RFCs are in `vectors`.

mod vectors;

use proptest::prelude::*;
use whipcord_whip::negotiate::Role;

use super::cipher::Cipher;
use super::derivation::keystream;
use super::{Keys, Master, Opener, Profile, Replay, Sealer, Unauthentic, WrongKeyLength, estimate};

const PROFILES: [Profile; 3] = [
    Profile::Aes128CmHmacSha1_80,
    Profile::AeadAes128Gcm,
    Profile::AeadAes256Gcm,
];

#[test]
fn a_profile_is_known_by_its_number_in_the_registry() {
    assert_eq!(PROFILES.map(Profile::number), [1, 7, 8]);
    assert_eq!(
        PROFILES.map(|profile| Profile::from_number(profile.number())),
        PROFILES.map(Some)
    );
    // SRTP_AES128_CM_HMAC_SHA1_32 is not ours.
    assert_eq!(Profile::from_number(2), None);
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
    digits
        .chunks_exact(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn master(profile: Profile) -> Master {
    Master {
        key: (0..profile.key_len() as u8).collect(),
        salt: (100..100 + profile.salt_len() as u8).collect(),
    }
}

fn pair(profile: Profile) -> (Sealer, Opener) {
    (
        Sealer::new(profile, &master(profile)).unwrap(),
        Opener::new(profile, &master(profile)).unwrap(),
    )
}

/// A packet with a fixed header.
fn rtp(sequence: u16, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0, 7]);
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

#[test]
fn whatever_is_too_short_is_refused() {
    for profile in PROFILES {
        let (_, opener) = pair(profile);
        for len in 0..48 {
            let datagram = vec![0x80; len];
            assert_eq!(opener.open_rtcp(&mut datagram.clone()), Err(Unauthentic));
            for header_len in 0..60 {
                assert!(!opener.probe_rtp(&datagram, header_len, 0));
                assert_eq!(opener.open_rtp(&mut datagram.clone(), header_len, 0), Err(Unauthentic));
            }
        }
    }
}

#[test]
fn the_exporter_gives_each_side_what_the_other_opens() {
    for profile in PROFILES {
        let material: Vec<u8> = (0..profile.exporter_len() as u8).collect();
        let client = Keys::from_exporter(profile, Role::Client, &material).unwrap();
        let server = Keys::from_exporter(profile, Role::Server, &material).unwrap();
        assert_eq!((&client.local, &client.remote), (&server.remote, &server.local));
        let (key, salt) = (profile.key_len(), profile.salt_len());
        assert_eq!(client.local.key, material[..key]);
        assert_eq!(server.local.key, material[key..2 * key]);
        assert_eq!(client.local.salt, material[2 * key..2 * key + salt]);
        assert_eq!(server.local.salt, material[2 * key + salt..]);
        assert_eq!(Keys::from_exporter(profile, Role::Client, &material[1..]), None);
    }
}

#[test]
fn keys_show_nothing() {
    let keys = Keys::from_exporter(Profile::AeadAes128Gcm, Role::Client, &[0xab; 56]).unwrap();
    let (sealer, opener) = pair(Profile::Aes128CmHmacSha1_80);
    for text in [
        format!("{keys:?}"),
        format!("{:?}", keys.local),
        format!("{sealer:?}"),
        format!("{opener:?}"),
    ] {
        assert!(!text.contains("171") && !text.contains("ab, "), "{text}");
    }
}

#[test]
fn keys_of_another_length_are_refused() {
    for profile in PROFILES {
        for (key, salt) in [
            (profile.key_len() - 1, profile.salt_len()),
            (profile.key_len(), profile.salt_len() + 1),
        ] {
            let master = Master {
                key: vec![0; key],
                salt: vec![0; salt],
            };
            assert_eq!(Opener::new(profile, &master).unwrap_err(), WrongKeyLength);
            assert_eq!(Sealer::new(profile, &master).unwrap_err(), WrongKeyLength);
        }
    }
}

#[test]
fn a_probe_leaves_the_packet_whole_for_the_next_guess() {
    for profile in PROFILES {
        let (sealer, opener) = pair(profile);
        let mut packet = rtp(14, 9, b"first of a stream");
        sealer.seal_rtp(&mut packet, 12, (1 << 16) + 14);
        let sealed = packet.clone();
        assert!(!opener.probe_rtp(&packet, 12, 14), "roll-over counter 0");
        assert!(opener.probe_rtp(&packet, 12, (1 << 16) + 14), "roll-over counter 1");
        assert_eq!(packet, sealed);
        assert!(opener.open_rtp(&mut packet, 12, (1 << 16) + 14).is_ok());

        let mut large = rtp(14, 9, &[0; 2049]);
        sealer.seal_rtp(&mut large, 12, 14);
        assert_eq!(
            opener.probe_rtp(&large, 12, 14),
            profile == Profile::Aes128CmHmacSha1_80
        );
        assert!(opener.open_rtp(&mut large, 12, 14).is_ok());
    }
}

/// An empty payload is a packet too: padding-only packets shrink to it.
#[test]
fn an_empty_payload_opens() {
    for profile in PROFILES {
        let (sealer, opener) = pair(profile);
        let mut packet = rtp(1, 9, b"");
        sealer.seal_rtp(&mut packet, 12, 1);
        assert_eq!(opener.open_rtp(&mut packet, 12, 1), Ok(12));
    }
}

fn profiles() -> impl Strategy<Value = Profile> {
    prop::sample::select(&PROFILES[..])
}

proptest! {
    #[test]
    fn what_was_sealed_opens(
        profile in profiles(),
        header_len in 12_usize..80,
        ssrc: u32,
        index in 0..1_u64 << 48,
        payload in prop::collection::vec(any::<u8>(), 0..1500),
    ) {
        let (sealer, opener) = pair(profile);
        let mut packet = rtp(index as u16, ssrc, &[0x55; 80][..header_len - 12]);
        packet.extend_from_slice(&payload);
        let plain = packet.clone();
        sealer.seal_rtp(&mut packet, header_len, index);
        prop_assert_eq!(packet.len(), plain.len() + profile.tag_len());
        prop_assert!(payload.len() < 16 || packet[header_len..plain.len()] != plain[header_len..]);
        prop_assert!(opener.probe_rtp(&packet, header_len, index));
        prop_assert!(!opener.probe_rtp(&packet, header_len, index ^ (1 << 16)));
        let end = opener.open_rtp(&mut packet, header_len, index).unwrap();
        prop_assert_eq!(&packet[..end], &plain[..]);
    }

    #[test]
    fn what_was_sealed_as_control_opens(
        profile in profiles(),
        index in 0..1_u32 << 31,
        packet in prop::collection::vec(any::<u8>(), 8..1500),
    ) {
        let (sealer, opener) = pair(profile);
        let mut sealed = packet.clone();
        sealer.seal_rtcp(&mut sealed, index);
        let (end, opened) = opener.open_rtcp(&mut sealed).unwrap();
        prop_assert_eq!((&sealed[..end], opened), (&packet[..], index));
    }

    #[test]
    fn one_flipped_bit_anywhere_is_refused(profile in profiles(), at: prop::sample::Index, bit in 0..8) {
        let (sealer, opener) = pair(profile);
        let mut packet = rtp(7, 9, b"some payload, longer than one block of AES");
        let mut control = packet.clone();
        sealer.seal_rtp(&mut packet, 12, 7);
        sealer.seal_rtcp(&mut control, 7);
        let (byte, control_byte) = (at.index(packet.len()), at.index(control.len()));
        packet[byte] ^= 1_u8 << bit;
        control[control_byte] ^= 1_u8 << bit;
        prop_assert!(!opener.probe_rtp(&packet, 12, 7));
        prop_assert_eq!(opener.open_rtp(&mut packet, 12, 7), Err(Unauthentic));
        prop_assert_eq!(opener.open_rtcp(&mut control), Err(Unauthentic));
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(
        profile in profiles(),
        mut bytes in prop::collection::vec(any::<u8>(), 0..80),
        header_len in 0_usize..100,
        index: u64,
    ) {
        let (_, opener) = pair(profile);
        prop_assert!(!opener.probe_rtp(&bytes, header_len, index));
        prop_assert_eq!(opener.open_rtp(&mut bytes.clone(), header_len, index), Err(Unauthentic));
        prop_assert_eq!(opener.open_rtcp(&mut bytes), Err(Unauthentic));
    }
}

/// A stream that starts shortly before a roll-over, whose first packets are lost, and that is reordered and duplicated at each wrap:
/// every packet that arrives is accepted once, and none fails to authenticate.
#[test]
fn a_stream_over_many_roll_overs_is_accepted_exactly_once() {
    const START: u64 = 65_530;
    const LOST: u64 = 20;
    const PACKETS: u64 = 5 * 65_536;
    let (sealer, opener) = pair(Profile::AeadAes128Gcm);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut dice = move |sides: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % sides
    };
    let mut order: Vec<u64> = (START + LOST..START + PACKETS).collect();
    for at in 1..order.len() {
        let near_a_wrap = (order[at] + 500) % 65_536 < 1000;
        if near_a_wrap && dice(50) == 0 {
            let back = (1 + dice(40)).min(at as u64) as usize;
            order.swap(at, at - back);
        }
    }

    let mut replay = Replay::new();
    let mut accepted = 0;
    for index in order {
        let sequence = index as u16;
        let mut packet = rtp(sequence, 9, &index.to_be_bytes());
        sealer.seal_rtp(&mut packet, 12, index);
        for copy in 0..2 {
            let guess = match replay.highest() {
                Some(highest) => estimate(highest, sequence),
                None => (0..2)
                    .map(|roll_over| roll_over << 16 | u64::from(sequence))
                    .find(|guess| opener.probe_rtp(&packet, 12, *guess))
                    .unwrap(),
            };
            assert_eq!(guess, index);
            assert_eq!(replay.check(guess), copy == 0, "copy {copy} of {index}");
            if copy == 0 {
                assert!(opener.open_rtp(&mut packet, 12, guess).is_ok(), "{index} authenticates");
                replay.commit(guess);
                accepted += 1;
            }
        }
    }
    assert_eq!(accepted, PACKETS - LOST);
}
