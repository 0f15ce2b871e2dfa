//! What it costs to look for keyframes: each of the first packets of a picture is looked at, and there is no worker that does not. So the
//! look alone is timed, on this core, beside opening the packet that is looked at, on the same core and in turns.

use std::{hint::black_box, time::Instant};

use whipcord_media::{Codec, depacketise::is_of_keyframe};
use whipcord_peer::{
    rtp::Header,
    srtp::{Opener, Sealer},
};

use crate::{report, server::Cipher};

/// Times each is done for one figure.
const TIMES: u32 = 20_000;
/// Figures of each, of which the median counts.
const ROUNDS: usize = 15;
/// As an encoder's packets of video.
const PAYLOAD_BYTES: usize = 1160;

/// The first bytes of payloads that are no keyframe's: one that is ends the looks at its picture.
const PAYLOADS: [(Codec, &str, &[u8]); 5] = [
    (Codec::H264, "H.264", &[0x7c, 0x41, 0x9a]),
    (Codec::H265, "H.265", &[0x62, 0x01, 0x81, 0xd0]),
    (Codec::Vp8, "VP8", &[0x90, 0x80, 0x11, 0x31]),
    (Codec::Vp9, "VP9", &[0xa8, 0x91, 0x22, 0x01]),
    (Codec::Av1, "AV1", &[0x10, 0x32, 0x80, 0x00]),
];

/// Of one codec.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LookCost {
    pub(crate) codec: &'static str,
    pub(crate) nanos: f64,
    /// Opening one packet.
    pub(crate) open_nanos: f64,
}

pub(crate) fn costs() -> anyhow::Result<Vec<LookCost>> {
    let packet = sealed()?;
    let opener = Opener::new(Cipher::Gcm.profile(), &Cipher::Gcm.fixed_master())?;
    let costs = PAYLOADS.map(|(codec, name, begins)| {
        let mut payload = begins.to_vec();
        payload.resize(PAYLOAD_BYTES, 0x5a);
        let (mut looks, mut opens) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            looks.push(nanos(|| {
                black_box(is_of_keyframe(black_box(codec), black_box(&payload)));
            }));
            let mut buffer = packet.clone();
            opens.push(nanos(|| {
                buffer.copy_from_slice(&packet);
                let header = Header::parse(&buffer).map_or(0, |header| header.len());
                black_box(opener.open_rtp(&mut buffer, header, 1).is_ok());
            }));
        }
        LookCost {
            codec: name,
            nanos: report::median(looks.into_iter()),
            open_nanos: report::median(opens.into_iter()),
        }
    });
    Ok(costs.to_vec())
}

/// A packet as an encoder sends it.
fn sealed() -> anyhow::Result<Vec<u8>> {
    let mut packet = vec![0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1];
    let header = packet.len();
    packet.resize(header + PAYLOAD_BYTES, 0x5a);
    Sealer::new(Cipher::Gcm.profile(), &Cipher::Gcm.fixed_master())?.seal_rtp(&mut packet, header, 1);
    Ok(packet)
}

fn nanos(mut act: impl FnMut()) -> f64 {
    let begun = Instant::now();
    (0..TIMES).for_each(|_| act());
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
}
