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

/// RFC 3711 §B.3.
#[test]
fn session_keys_are_those_of_rfc_3711() {
    let master = Master {
        key: hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
        salt: hex("0EC675AD498AFEEBB6960B3AABE6"),
    };
    let table: [(u8, &str); 3] = [
        (0, "C61E7A93744F39EE10734AFE3FF7A087"),
        (
            1,
            "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCEE049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5F
             BCDDDC256D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2",
        ),
        (2, "30CBBC08863D8C85D49DB34A9AE1"),
    ];
    for (label, expected) in table {
        let expected = hex(expected);
        let mut out = vec![0; expected.len()];
        keystream(&master, label, &mut out);
        assert_eq!(out, expected, "label {label}");
    }
}

/// RFC 3711 §B.2: with SSRC, index and payload 0, what comes out is the key stream.
#[test]
fn the_key_stream_is_that_of_rfc_3711() {
    let salt = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD");
    let cipher = Cipher::new(
        Profile::Aes128CmHmacSha1_80,
        &hex("2B7E151628AED2A6ABF7158809CF4F3C"),
        &[0; 20],
        &salt,
    );
    let Cipher::Cm(cm) = cipher else { panic!("AES-CM") };
    let mut stream = vec![0; 0xff02 * 16];
    cm.apply([0; 4], 0, &mut stream);
    assert_eq!(
        stream[..48],
        hex("E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0")
    );
    assert_eq!(
        stream[0xfeff * 16..],
        hex("EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE 6A2CC3787889374FBEB4C81B17BA6C44")
    );
}

/// RFC 7714 §16 and §17 give session keys, not master keys.
fn rfc_7714(profile: Profile) -> (Sealer, Opener) {
    let key: Vec<u8> = (0..profile.key_len() as u8).collect();
    let cipher = || Cipher::new(profile, &key, &[0; 20], b"Quid pro quo");
    (
        Sealer {
            rtp: cipher(),
            rtcp: cipher(),
        },
        Opener {
            rtp: cipher(),
            rtcp: cipher(),
        },
    )
}

const GALLIA: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
    69736120 696e2070 61727465 73207472 6573";
const MARS: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
    deadbeef deadbeef deadbeef deadbeef deadbeef";

/// RFC 7714 §16.1 and §16.2.
#[test]
fn gcm_packets_are_those_of_rfc_7714() {
    let table = [
        (
            Profile::AeadAes128Gcm,
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf
             8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        ),
        (
            Profile::AeadAes256Gcm,
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799
             b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        ),
    ];
    for (profile, sealed) in table {
        let (sealer, opener) = rfc_7714(profile);
        let mut packet = hex(GALLIA);
        sealer.seal_rtp(&mut packet, 12, 0xf17b);
        assert_eq!(packet, hex(sealed), "{profile:?}");
        let end = opener.open_rtp(&mut packet, 12, 0xf17b).unwrap();
        assert_eq!(packet[..end], hex(GALLIA), "{profile:?}");
    }
}

/// RFC 7714 §17.1 to §17.4: encrypted, and only tagged.
#[test]
fn gcm_control_packets_are_those_of_rfc_7714() {
    let table = [
        (
            Profile::AeadAes128Gcm,
            "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded
             0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
            "841dd968 3dd78ec9 2ae58790 125f62b3 000005d4",
        ),
        (
            Profile::AeadAes256Gcm,
            "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658 c61de047
             6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
            "91db4afb feee5a97 8fab4393 ed2615fe 000005d4",
        ),
    ];
    for (profile, encrypted, trailer) in table {
        let (sealer, opener) = rfc_7714(profile);
        let mut packet = hex(MARS);
        sealer.seal_rtcp(&mut packet, 0x5d4);
        assert_eq!(packet, hex(encrypted), "{profile:?}");
        let mut tagged = hex(MARS);
        tagged.extend(hex(trailer));
        for mut packet in [packet, tagged] {
            let (end, index) = opener.open_rtcp(&mut packet).unwrap();
            assert_eq!((&packet[..end], index), (hex(MARS).as_slice(), 0x5d4), "{profile:?}");
        }
    }
}

/// RFC 3711 §3.4: the E bit is authenticated, so nobody turns encryption off on the way; a sender may.
#[test]
fn cm_control_packets_may_come_unencrypted() {
    let (sealer, opener) = pair(Profile::Aes128CmHmacSha1_80);
    let Cipher::Cm(cm) = &sealer.rtcp else { panic!("AES-CM") };
    let mut packet = hex(MARS);
    packet.extend_from_slice(&7_u32.to_be_bytes());
    let tag = cm.rtcp_tag(&packet);
    packet.extend_from_slice(&tag);
    let (end, index) = opener.open_rtcp(&mut packet.clone()).unwrap();
    assert_eq!((&packet[..end], index), (hex(MARS).as_slice(), 7));
    let e = packet.len() - 14;
    packet[e] ^= 0x80;
    assert_eq!(opener.open_rtcp(&mut packet), Err(Unauthentic));
}

/// From master key to bytes on the wire, as libsrtp's own test has them: labels 0 to 2 for RTP, 3 to 5 for RTCP.
#[test]
fn packets_are_those_of_another_implementation() {
    let table = [
        (
            Profile::Aes128CmHmacSha1_80,
            "e1f97a0d3e018be0d64fa32c06de4139",
            "0ec675ad498afeebb6960b3aabe6",
            "4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb",
            "7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798",
        ),
        (
            Profile::AeadAes128Gcm,
            "000102030405060708090a0b0c0d0e0f",
            "a0a1a2a3a4a5a6a7a8a9aaab",
            "c5002ede04cfdd2eb91159e0880aa06e d2976826f796b201df3131a127e8a392",
            "c98b8b5df0392a55852b6c21ac8e7025 c52c6fbea2b3b446ea31123ba88ce61e 80000001",
        ),
    ];
    for (profile, key, salt, rtp_body, rtcp_body) in table {
        let master = Master {
            key: hex(key),
            salt: hex(salt),
        };
        let sealer = Sealer::new(profile, &master).unwrap();
        let mut packet = hex("800f1234decafbadcafebabe");
        packet.extend_from_slice(&[0xab; 16]);
        sealer.seal_rtp(&mut packet, 12, 0x1234);
        assert_eq!(packet[12..], hex(rtp_body), "{profile:?}");
        let mut packet = hex("81c8000bcafebabe");
        packet.extend_from_slice(&[0xab; 16]);
        sealer.seal_rtcp(&mut packet, 1);
        assert_eq!(packet[8..], hex(rtcp_body), "{profile:?}");
    }
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
