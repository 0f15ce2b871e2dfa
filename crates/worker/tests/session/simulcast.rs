//! Simulcast as OBS offers it: three rids, the largest first, no announced SSRC and no RTX.

use std::time::{Duration, Instant};

use whipcord_proto::worker::{ConnectionState, Session, Track};

use crate::{
    bed::{Bed, blocking, eventually, fingerprint},
    encoder::{Answer, Encoder},
};

const OFFER: &str = include_str!("../../../whip/tests/offers/obs-32.1-simulcast.offer.sdp");

/// Header extensions of the offer: MID is 1, RID is 2.
const MID_VIDEO: [u8; 2] = [0x10, b'1'];
const RID: u8 = 0x20;

/// Made by x264, of 1920 x 1080, 1280 x 720 and 640 x 360; they share a picture parameter set.
const SPS: [&[u8]; 3] = [
    b"\x67\x42\xc0\x28\xd9\x00\x78\x02\x27\xe5\xc0\x44\x00\x00\x03\x00\x04\x00\x00\x03\x00\xc8\x3c\x60\xc9\x20",
    b"\x67\x42\xc0\x1f\xd9\x00\x50\x05\xbb\x01\x10\x00\x00\x03\x00\x10\x00\x00\x03\x03\x20\xf1\x83\x24\x80",
    b"\x67\x42\xc0\x1e\xd9\x00\xa0\x2f\xf9\x70\x11\x00\x00\x03\x00\x01\x00\x00\x03\x00\x32\x0f\x16\x2e\x48",
];
const PPS: &[u8] = b"\x68\xcb\x83\xcb\x20";
const SIZES: [(u32, u32); 3] = [(1920, 1080), (1280, 720), (640, 360)];

const BETWEEN_PICTURES: Duration = Duration::from_millis(40);

/// Sends pictures of its layers when they are due, each a keyframe: SPS, PPS and an IDR slice of some hundred bytes.
struct Layers {
    encoder: Encoder,
    next: Instant,
    sent: u64,
}

impl Layers {
    fn send(&mut self, layers: std::ops::Range<usize>) {
        if Instant::now() < self.next {
            return;
        }
        self.next += BETWEEN_PICTURES;
        let n = self.sent;
        self.sent += 1;
        for layer in layers {
            let mut aggregate = vec![0x18];
            for nal in [SPS[layer], PPS] {
                aggregate.extend_from_slice(&(nal.len() as u16).to_be_bytes());
                aggregate.extend_from_slice(nal);
            }
            let slice = [&[0x65, 0x88, 0x84][..], &vec![0; 900 - 300 * layer]].concat();
            let extensions = [MID_VIDEO, [RID, b'0' + layer as u8]].concat();
            // Each layer's clock begins somewhere else.
            let (ssrc, timestamp) = (0x100 + layer as u32, (layer as u64 * 1_000_000_000) + n * 3600);
            for (part, payload) in (0..).zip([&aggregate, &slice]) {
                self.encoder
                    .rtp_with(&extensions, 96, ssrc, 2 * n + part, timestamp, payload);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_are_listed_and_when_the_largest_stops_the_next_one_is_recorded() {
    let bed = Bed::start().await;
    let mut encoder = Encoder::new();
    let created = bed.create(1, &encoder.offer_like(OFFER)).await.unwrap();
    blocking(|| encoder.connect(&Answer::parse(&created.answer), &fingerprint(&created.answer)));
    let mut layers = Layers {
        encoder,
        next: Instant::now(),
        sent: 0,
    };
    let mut seen = Session::default();
    eventually("all layers are listed, and the largest is recorded", async || {
        blocking(|| layers.send(0..3));
        seen = bed.get(1).await.unwrap();
        seen.tracks.len() == 3 && seen.tracks.iter().all(is_measured) && recorded(&seen) == ["0"]
    })
    .await;
    let rids: Vec<&str> = seen.tracks.iter().map(|track| track.rid.as_str()).collect();
    let sizes: Vec<_> = seen.tracks.iter().map(|track| (track.width, track.height)).collect();
    assert_eq!((rids, sizes), (vec!["0", "1", "2"], SIZES.to_vec()));
    assert!(
        seen.tracks
            .is_sorted_by_key(|track| std::cmp::Reverse(track.bitrate_bps)),
        "{:?}",
        seen.tracks
    );

    eventually("the next one is recorded", async || {
        blocking(|| layers.send(1..3));
        seen = bed.get(1).await.unwrap();
        !seen.tracks[0].active && seen.tracks[0].bitrate_bps == 0 && recorded(&seen) == ["1"]
    })
    .await;
    assert!(seen.tracks[1..].iter().all(is_measured), "{:?}", seen.tracks);
    assert_eq!(seen.state(), ConnectionState::Connected);
    assert_eq!((seen.recording_frames_dropped, seen.recording_packets_lost), (0, 0));

    eventually("the largest is recorded again", async || {
        blocking(|| layers.send(0..3));
        seen = bed.get(1).await.unwrap();
        seen.tracks[0].active && recorded(&seen) == ["0"]
    })
    .await;
    bed.delete(1, bed.owner.clone()).await.unwrap();
    bed.stop().await;
}

fn is_measured(track: &Track) -> bool {
    let pictures = track.frames_per_second;
    track.active && track.width > 0 && track.bitrate_bps > 0 && (15.0..=35.0).contains(&pictures)
}

/// The layer whose keyframes are counted.
fn recorded(session: &Session) -> Vec<&str> {
    let tracks = session.tracks.iter().filter(|track| track.keyframes > 0);
    tracks.map(|track| track.rid.as_str()).collect()
}
