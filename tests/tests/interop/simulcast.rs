//! Simulcast layers: what is told of them, and which is recorded.

use std::time::Duration;

use whipcord_tests::{
    encoder::Encoder,
    eventually, matrix,
    recording::{Recording, picture_sizes},
    whipcord::{Track, Whipcord},
};

use crate::played::is_played;

/// Half of it with all layers. Chromium takes some seconds until it trusts the path with all three.
const SECONDS: u32 = 40;
/// Connecting, and until a second's figures of all layers are there.
const ALL_LAYERS: Duration = Duration::from_secs(30);
/// From the start of the stream to its half, and 2 s and a look more.
const STOPPED: Duration = Duration::from_secs(40);
/// How long the picture may stand when its layer has stopped: 1.5 s until it is noticed, and a keyframe's way.
const STANDS: f64 = 3.0;

#[test]
fn chromium_simulcast() {
    published(Encoder::ChromiumSimulcast, r#"video/webm; codecs="vp8, opus""#);
}

#[test]
fn chromium_simulcast_h264() {
    published(
        Encoder::ChromiumSimulcastH264,
        r#"video/mp4; codecs="avc3.42e01f, opus""#,
    );
}

#[test]
fn chromium_simulcast_vp9() {
    published(
        Encoder::ChromiumSimulcastVp9,
        r#"video/mp4; codecs="vp09.00.31.08, opus""#,
    );
}

#[test]
fn chromium_simulcast_av1() {
    published(
        Encoder::ChromiumSimulcastAv1,
        r#"video/mp4; codecs="av01.0.05M.08, opus""#,
    );
}

/// `kind`: what the recording is to a browser.
fn published(encoder: Encoder, kind: &str) {
    let mut whipcord = Whipcord::standalone();
    let publishing = encoder.publish(&whipcord, "live", SECONDS);
    let expected = [("q", 320, 180), ("h", 640, 360), ("f", 1280, 720)];
    let all = eventually("all layers are active", ALL_LAYERS, || {
        layers(&whipcord).filter(|layers| layers.len() == 3 && layers.iter().all(is_flowing))
    });
    println!("all: {all:?}");
    for (layer, (rid, width, height)) in all.iter().zip(expected) {
        let told = (layer.rid.as_deref(), layer.width, layer.height);
        assert_eq!(told, (Some(rid), Some(width), Some(height)), "{layer:?}");
    }
    assert!(all[0].bitrate_bps < all[1].bitrate_bps && all[1].bitrate_bps < all[2].bitrate_bps);
    let rest = eventually("the largest layer is inactive", STOPPED, || {
        layers(&whipcord).filter(|layers| layers.len() == 3 && !layers[2].active)
    });
    println!("after the largest: {rest:?}");
    assert!(rest[..2].iter().all(is_flowing), "{rest:?}");
    assert_eq!((rest[2].bitrate_bps, rest[2].frames_per_second), (0, Some(0.0)));
    let sent = publishing.sent();
    assert_eq!(whipcord.terminate().code(), Some(0));
    let words = is_recorded(&whipcord, sent.last.unwrap());
    // The size of its pictures changes within.
    is_played(&whipcord.recording("live"), kind);
    matrix::note(encoder, &words);
}

/// The largest layer, and from its end on the next one. What was seen, for the matrix.
fn is_recorded(whipcord: &Whipcord, last_drawn: u32) -> String {
    let file = whipcord.recording("live");
    let mut sizes = picture_sizes(&file);
    let (pictures, largest) = (sizes.len(), sizes.iter().filter(|size| **size == (1280, 720)).count());
    sizes.dedup();
    let recording = Recording::read(&file);
    let (first, last) = recording.numbers().unwrap();
    let gap = recording.longest_gap();
    println!(
        "{largest} of {pictures} pictures are of the largest layer; {sizes:?}, {first}..={last} of {last_drawn}, longest gap {gap:.3} s"
    );
    assert_eq!(recording.complaints, "", "the decoders complain");
    assert!(sizes.ends_with(&[(1280, 720), (640, 360)]), "{sizes:?}");
    assert!(largest >= 60, "{largest} pictures of the largest layer");
    assert!(gap <= STANDS, "{gap} s");
    assert!(last_drawn - last <= 15, "it ends with {last} of {last_drawn}");
    format!(
        "{}, three layers, the next after {gap:.1} s when the largest stopped",
        matrix::words(&recording)
    )
}

/// The video layers of the stream, in the offer's order.
fn layers(whipcord: &Whipcord) -> Option<Vec<Track>> {
    let tracks = whipcord.connected("live")?.tracks;
    Some(tracks.into_iter().filter(|track| track.rid.is_some()).collect())
}

/// A rate below a third of what is drawn would be a machine that is too slow, or wrong.
fn is_flowing(layer: &Track) -> bool {
    let pictures = layer.frames_per_second.unwrap();
    layer.active && layer.width.is_some() && layer.bitrate_bps > 20_000 && (10.0..35.0).contains(&pictures)
}
