//! What the standards, and another implementation, say must come out.

use super::*;

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
