//! Encoders behind a bad network.

use std::{thread, time::Duration};

use whipcord_tests::{
    encoder::Encoder,
    eventually,
    network::{Datagrams, Impairment, Network},
    recording::Recording,
    whipcord::Whipcord,
};

/// Over a long round trip, a passive FFmpeg is easily poisoned: any DTLS that reaches it after the handshake, such as a
/// repeated flight, makes it drop packets from then on.
#[test]
fn passive_ffmpeg_goes_on_sending_over_a_long_round_trip() {
    let mut whipcord = Whipcord::standalone();
    let delay = Duration::from_millis(75);
    let network = Network::to(
        &whipcord,
        Impairment {
            delay,
            ..Impairment::NONE
        },
    );
    let publishing = Encoder::FfmpegPassive.publish_to(&network.whip_url("live"), &whipcord, 12, &[]);
    let packets = || {
        whipcord
            .connected("live")
            .map(|session| session.packets_received)
            .filter(|packets| *packets > 0)
    };
    eventually("packets arrive", Duration::from_secs(10), packets);
    // After 2 s and after 8 s, each for as long as the pattern's GOP: FFmpeg begins with what it read while connecting.
    let received_after = |seconds| {
        thread::sleep(Duration::from_secs(seconds));
        packets().unwrap()
    };
    let early = received_after(2).abs_diff(received_after(2));
    let late = received_after(4).abs_diff(received_after(2));
    publishing.sent();
    println!("packets within 2 s: {early} after 2 s, {late} after 8 s");
    assert!(
        late as f64 >= 0.95 * early as f64,
        "packets within 2 s: {early} after 2 s, {late} after 8 s"
    );
    assert_eq!(whipcord.terminate().code(), Some(0));
    let recording = Recording::read(&whipcord.recording("live"));
    assert!(recording.readable() >= 342, "{} of 360 pictures", recording.readable());
}

/// 20 % of the DTLS datagrams are lost each way. STUN is not, as FFmpeg sends its one request once. (That no handshake of
/// 50 fails, in either role, is tested without a network.)
#[test]
fn handshakes_get_through_heavy_loss() {
    for encoder in [Encoder::FfmpegActive, Encoder::AiortcH264, Encoder::AiortcVp8] {
        connects(
            encoder,
            Impairment {
                lost: Datagrams::Dtls,
                loss_up: 0.2,
                loss_down: 0.2,
                ..Impairment::NONE
            },
        );
    }
}

/// A passive FFmpeg sends its last flight once: whoever loses that cannot get it again, as FFmpeg reads no DTLS any more.
/// So it is only what Whipcord sends that gets lost here.
#[test]
fn handshakes_with_passive_ffmpeg_get_through_loss_of_what_whipcord_sends() {
    connects(
        Encoder::FfmpegPassive,
        Impairment {
            lost: Datagrams::Dtls,
            loss_down: 0.2,
            ..Impairment::NONE
        },
    );
}

/// Publishes with three seeds.
fn connects(encoder: Encoder, impairment: Impairment) {
    let whipcord = Whipcord::standalone();
    for seed in 1..=3 {
        let network = Network::to(&whipcord, Impairment { seed, ..impairment });
        let stream = format!("live/{seed}");
        let patience = [("HANDSHAKE_TIMEOUT", "20000")];
        encoder
            .publish_to(&network.whip_url(&stream), &whipcord, 2, &patience)
            .sent();
        assert_eq!(
            whipcord.recordings(&stream).len(),
            1,
            "{encoder:?}, seed {seed}: nothing recorded"
        );
    }
}

/// Lost packets are asked for and sent again, doubled ones counted once, overtaken ones put in order.
#[test]
fn chromium_is_repaired() {
    let mut whipcord = Whipcord::standalone();
    let delay = Duration::from_millis(20);
    let impairment = Impairment {
        delay,
        loss_up: 0.02,
        loss_down: 0.02,
        duplicate: 0.01,
        reorder: 0.01,
        ..Impairment::NONE
    };
    let network = Network::to(&whipcord, impairment);
    let sent = Encoder::ChromiumVp8
        .publish_to(&network.whip_url("live"), &whipcord, 10, &[])
        .sent();
    assert_eq!(whipcord.terminate().code(), Some(0));
    let recording = Recording::read(&whipcord.recording("live"));
    println!("{} of {:?} pictures", recording.readable(), sent.frames);
    assert_eq!(recording.complaints, "");
    assert!(recording.readable() as f64 >= 0.95 * f64::from(sent.frames.unwrap()));
}
