//! Media that comes, and what is amiss with it.

use whipcord_tests::{
    cluster::Cluster,
    load::{Part, Session, Show},
    network::{Impairment, Network},
};

use super::{diagnosed, events};
use crate::cluster::live;

#[test]
fn what_is_amiss_with_media_is_said_and_where_nothing_is_it_delivers() {
    let cluster = Cluster::start(2, 1);
    let (origin, token) = (cluster.origin(0), cluster.token());
    let network = Network::between(
        &origin,
        cluster.media(0),
        Impairment {
            loss_up: 0.2,
            ..Impairment::NONE
        },
    );
    let connect = |origin: &str, name: &str, codec: &str, part| {
        let session = Session::connect_with(origin, &format!("show/{name}"), token, codec);
        (session.unwrap(), part)
    };
    let _show = Show::begin(vec![
        connect(&origin, "well", "VP8", Part::Well),
        connect(&origin, "deltas", "VP8", Part::Deltas),
        connect(&origin, "bframes", "H264", Part::BFrames),
        connect(&origin, "paused", "VP8", Part::Paused),
        connect(&origin, "gone", "VP8", Part::Gone),
        connect(&network.origin(), "lossy", "VP8", Part::Well),
    ]);
    let deltas = diagnosed(&cluster, 1, "show/deltas", "no_keyframe", || {});
    assert!(!events(&deltas).contains(&"first_keyframe"), "{deltas}");
    diagnosed(&cluster, 1, "show/bframes", "b_frames", || {});
    let lossy = diagnosed(&cluster, 1, "show/lossy", "loss", || {});
    let percent = lossy["sentence"].as_str().unwrap().split(' ').next().unwrap();
    let percent: f64 = percent.parse().unwrap();
    assert!((5.0..40.0).contains(&percent), "{lossy}");
    let paused = diagnosed(&cluster, 1, "show/paused", "encoder_silent", || {});
    assert!(paused["session"]["ended_seconds_ago"].is_null(), "{paused}");
    diagnosed(&cluster, 1, "show/gone", "encoder_gone", || {});
    // All the while.
    let well = diagnosed(&cluster, 1, "show/well", "delivering", || {});
    for event in ["stun_seen", "connected", "track", "first_media", "first_keyframe"] {
        assert!(events(&well).contains(&event), "{well}");
    }
    let text = cluster.explain(1, "show/well", &[]).unwrap();
    assert!(text.starts_with("It delivers: media comes"), "{text}");
    assert!(text.contains("stun seen 127.0.0.1:"), "{text}");
}

#[test]
fn a_full_disk_is_said() {
    // Two seconds of the pattern, the first piece, have 375 kB.
    const DISK: u64 = 256 << 10;
    let mut cluster = Cluster::start(2, 0);
    cluster.start_worker_on_disk_of(DISK, 0, &[]);
    cluster.wait_until_known(0);
    let mut encoder = live(&cluster, 0, "studio", "120s");
    let told = diagnosed(&cluster, 1, "studio", "disk_full", || {});
    assert!(told["action"].as_str().unwrap().contains("Make room"), "{told}");
    encoder.kill().unwrap();
    encoder.wait().unwrap();
}
