//! SRTP and SRTCP under fixed keys: the input as it arrives, and the input sealed, opened, and opened again with a bit changed.

use std::sync::OnceLock;

use crate::input::Input;
use whipcord_peer::{
    rtp::Header,
    srtp::{Master, Opener, Profile, Sealer},
};

const PROFILES: [Profile; 3] = [
    Profile::Aes128CmHmacSha1_80,
    Profile::AeadAes128Gcm,
    Profile::AeadAes256Gcm,
];

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (opener, sealer) = &keys()[usize::from(input.byte()) % PROFILES.len()];
    let index = u64::from_be_bytes(input.array()) >> 16;
    let changed_bit = usize::from(input.word());
    let packet = input.slice(usize::MAX);

    open(opener, packet, index);
    if let Ok(header) = Header::parse(packet) {
        let mut sealed = packet.to_vec();
        sealer.seal_rtp(&mut sealed, header.len(), index);
        let mut opened = sealed.clone();
        assert_eq!(opener.open_rtp(&mut opened, header.len(), index), Ok(packet.len()));
        assert_eq!(opened[..packet.len()], *packet);
        change(&mut sealed, changed_bit);
        assert!(opener.open_rtp(&mut sealed, header.len(), index).is_err());
    }
    if packet.len() >= 8 {
        let index = index as u32 >> 1;
        let mut sealed = packet.to_vec();
        sealer.seal_rtcp(&mut sealed, index);
        let mut opened = sealed.clone();
        assert_eq!(opener.open_rtcp(&mut opened), Ok((packet.len(), index)));
        assert_eq!(opened[..packet.len()], *packet);
        change(&mut sealed, changed_bit);
        assert!(opener.open_rtcp(&mut sealed).is_err());
    }
}

/// What a probe says, opening does.
fn open(opener: &Opener, packet: &[u8], index: u64) {
    /// The longest payload that is probed.
    const PROBED_MAX: usize = 2048;
    let parsed = Header::parse(packet).map(|header| header.len());
    for header_len in [0, 12, packet.len(), parsed.unwrap_or(usize::MAX)] {
        let probed = opener.probe_rtp(packet, header_len, index);
        let opened = opener.open_rtp(&mut packet.to_vec(), header_len, index);
        assert!(probed == opened.is_ok() || (opened.is_ok() && packet.len() > PROBED_MAX));
        assert!(opened.is_err() || opened.is_ok_and(|end| (header_len..packet.len()).contains(&end)));
    }
    let opened = opener.open_rtcp(&mut packet.to_vec());
    assert!(opened.is_err() || opened.is_ok_and(|(end, index)| end < packet.len() && index < 1 << 31));
}

fn change(packet: &mut [u8], bit: usize) {
    let bit = bit % (8 * packet.len());
    packet[bit / 8] ^= 1 << (bit % 8);
}

fn keys() -> &'static [(Opener, Sealer); 3] {
    static KEYS: OnceLock<[(Opener, Sealer); 3]> = OnceLock::new();
    KEYS.get_or_init(|| {
        PROFILES.map(|profile| {
            let master = Master {
                key: vec![0x4b; profile.key_len()],
                salt: vec![0x53; profile.salt_len()],
            };
            let opener = Opener::new(profile, &master).expect("keys of the profile's length");
            let sealer = Sealer::new(profile, &master).expect("keys of the profile's length");
            (opener, sealer)
        })
    })
}
