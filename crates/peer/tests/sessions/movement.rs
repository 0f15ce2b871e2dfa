//! An encoder moves, and its session with it.

use std::time::Duration;

use whipcord_peer::{EndReason, Event, Path, stats::DropReason};
use whipcord_whip::Credentials;

use crate::{
    bed::{Bed, ENCODER, SERVER, address, certificate, create},
    publisher::{Habits, Publisher},
};

const ELSEWHERE: &str = "203.0.113.9:40404";

#[test]
fn media_from_a_new_address_is_recognised_by_its_keys_before_any_stun() {
    let mut bed = Bed::live(Habits::default());
    bed.publisher.checks = false;
    bed.publisher.address = address(ELSEWHERE);
    let before = bed.media.len();
    bed.run(Duration::from_millis(100));
    assert!(bed.media.len() >= before + 8, "media from the new address is lost");
    bed.run(Duration::from_secs(1));
    let path = Path::udp(address(SERVER), address(ELSEWHERE));
    assert!(bed.has(&Event::PathChanged { path }), "{:?}", bed.events);
    assert_eq!(bed.mux.stats(bed.key).expect("alive").path, Some(path));
    // And feedback follows it there.
    let reports = bed.publisher.heard.receiver_reports;
    bed.run(Duration::from_secs(3));
    assert!(bed.publisher.heard.receiver_reports >= reports + 2);
}

/// Encoders use constant SSRCs, so the next session of one has those of the last.
#[test]
fn sessions_that_ended_leave_their_ssrcs_to_later_ones() {
    let mut bed = Bed::live(Habits::default());
    for turn in 0..5 {
        bed.mux.close(bed.now, bed.key, EndReason::Deleted);
        bed.publish_again(&format!("serverufrag-{turn}"));
        bed.run(Duration::from_millis(500));
    }
    bed.publisher.checks = false;
    bed.publisher.address = address(ELSEWHERE);
    let before = bed.media.len();
    bed.run(Duration::from_millis(100));
    assert!(
        bed.media.len() >= before + 8,
        "the sixth session is not found by its SSRC"
    );
}

#[test]
fn a_forger_at_another_address_does_not_move_the_session() {
    let mut bed = Bed::live(Habits::default());
    let sealed = bed.publisher.next[0];
    bed.publisher.send_video(0, 100);
    let mut genuine = bed.publisher.poll_transmit().expect("just sent");
    for byte in 0..40 {
        let mut forged = genuine.clone();
        let at = forged.len() - 1 - byte;
        forged[at] ^= 1;
        bed.receive(address(ELSEWHERE), forged);
    }
    assert!(
        !bed.media
            .iter()
            .any(|media| media.sequence == sealed && !media.payload.is_empty() && media.track.0 == 1)
    );
    assert_eq!(bed.mux.dropped().count(DropReason::UnknownAddress), 40);
    bed.run(Duration::from_secs(1));
    assert_eq!(
        bed.mux.stats(bed.key).expect("alive").path.map(|path| path.remote),
        Some(address(ENCODER))
    );
    genuine.truncate(20);
    bed.receive(address(ELSEWHERE), genuine);
}

#[test]
fn a_check_that_nominates_another_path_moves_an_encoder_that_fell_silent_on_the_old_one() {
    let mut bed = Bed::live(Habits::default());
    bed.network.cut = true;
    bed.run(Duration::from_secs(1));
    bed.network.cut = false;
    bed.publisher.publishing = false;
    bed.publisher.address = address(ELSEWHERE);
    let check = bed.publisher.check(&bed.publisher.server.clone(), true);
    bed.receive(address(ELSEWHERE), check);
    assert_eq!(
        bed.mux.stats(bed.key).expect("alive").path.map(|path| path.remote),
        Some(address(ELSEWHERE))
    );
}

/// A publisher with a session of its own, which may have the same SSRCs, forges the source of its checks, again and again.
#[test]
fn a_check_from_a_forged_address_takes_nothing_from_the_session_that_is_there() {
    let mut bed = Bed::live(Habits::default());
    bed.publisher.checks = false;
    let mut attacker = attacker(&mut bed);
    let media_in = |bed: &mut Bed, milliseconds| {
        let before = bed.media.len();
        bed.run(Duration::from_millis(milliseconds));
        bed.media.len() - before
    };
    let undisturbed = media_in(&mut bed, 1000);
    let mut disturbed = 0;
    for _ in 0..10 {
        let check = attacker.check(&attacker.server.clone(), true);
        bed.receive(address(ENCODER), check);
        disturbed += media_in(&mut bed, 100);
    }
    assert_eq!(disturbed, undisturbed);
    assert_eq!(bed.mux.dropped().count(DropReason::AddressTaken), 10);
}

#[test]
fn a_check_from_a_forged_address_takes_no_handshake() {
    let mut bed = Bed::new(Habits::default());
    let mut attacker = attacker(&mut bed);
    // The encoder's first check, and at once another's from its address.
    let check = bed.publisher.check(&bed.publisher.server.clone(), true);
    bed.receive(address(ENCODER), check);
    for _ in 0..50 {
        let check = attacker.check(&attacker.server.clone(), true);
        bed.receive(address(ENCODER), check);
        bed.run(Duration::from_millis(10));
    }
    assert!(bed.publisher.is_connected(), "{:?}", bed.events);
    assert!(!bed.media.is_empty() && bed.mux.stats(bed.key).expect("alive").packets > 0);
}

/// One that fell silent may lose its address; its keys give it back.
#[test]
fn media_takes_an_address_back_from_a_session_that_has_the_same_ssrc() {
    let mut bed = Bed::live(Habits::default());
    bed.publisher.checks = false;
    let attacker = attacker(&mut bed);
    let encoder = std::mem::replace(&mut bed.publisher, attacker);
    bed.run(Duration::from_secs(8));
    assert!(bed.publisher.is_connected(), "{:?}", bed.events);
    let check = bed.publisher.check(&bed.publisher.server.clone(), true);
    bed.receive(address(ENCODER), check);
    assert_eq!(bed.mux.dropped().count(DropReason::AddressTaken), 0, "silent for 8 s");
    bed.publisher = encoder;
    let packets = |bed: &Bed| bed.mux.stats(bed.key).expect("alive").packets;
    let before = packets(&bed);
    bed.run(Duration::from_secs(1));
    assert!(packets(&bed) > before + 30, "{} and {before}", packets(&bed));
}

fn attacker(bed: &mut Bed) -> Publisher {
    let mut attacker = Publisher::new(Habits::default(), address(ELSEWHERE), certificate("encoder"));
    let (_, answer) = create(&mut bed.mux, bed.now, &attacker.offer(), "serverufrag2");
    attacker.answered(bed.now, &answer);
    attacker
}

fn credentials(name: &str) -> Credentials {
    Credentials {
        ufrag: format!("{name}ufrag"),
        pwd: format!("{name}password{name}password"),
    }
}

#[test]
fn an_ice_restart_keeps_media_flowing_and_ends_the_old_credentials_30_s_after_the_new_ones_carry_srtp() {
    let mut bed = Bed::live(Habits::default());
    let old = bed.publisher.server.clone();
    let new = credentials("second");
    assert!(bed.mux.restart(bed.key, credentials("client2"), new.clone()));
    bed.run(Duration::from_secs(5));
    assert!(
        !bed.has(&Event::Restarted),
        "nothing was checked with the new credentials yet"
    );
    // The encoder checks from elsewhere, with the new credentials.
    bed.publisher.server = new.clone();
    bed.publisher.address = address(ELSEWHERE);
    let check = bed.publisher.check(&new, true);
    bed.publisher.push(check);
    let before = bed.media.len();
    bed.run(Duration::from_secs(2));
    assert!(bed.has(&Event::Restarted), "{:?}", bed.events);
    assert!(
        bed.media.len() >= before + 190,
        "media went on: {}",
        bed.media.len() - before
    );
    let answers = |bed: &mut Bed, credentials: &Credentials| {
        let before = bed.publisher.heard.stun_successes;
        let check = bed.publisher.check(credentials, false);
        bed.publisher.push(check);
        bed.run(Duration::from_millis(50));
        bed.publisher.heard.stun_successes > before
    };
    assert!(answers(&mut bed, &old), "old credentials are answered meanwhile");
    bed.run(Duration::from_secs(31));
    assert!(!answers(&mut bed, &old), "and no longer");
    assert!(answers(&mut bed, &new));
    assert_eq!(
        bed.events
            .iter()
            .filter(|event| matches!(event, Event::Connected { .. }))
            .count(),
        1
    );
}

/// As Chromium does where the answer to its PATCH comes after its new candidates.
#[test]
fn an_encoder_that_restarts_and_keeps_our_old_ufrag_has_restarted() {
    let mut bed = Bed::live(Habits::default());
    let old = bed.publisher.server.clone();
    let elsewhere = Path::udp(address(SERVER), address(ELSEWHERE));
    assert!(bed.mux.restart(bed.key, credentials("client2"), credentials("second")));
    bed.publisher.address = address(ELSEWHERE);
    bed.publisher.local = credentials("client2");
    let check = bed.publisher.check(&old, true);
    bed.publisher.push(check);
    bed.run(Duration::from_millis(100));
    assert!(bed.has(&Event::PathChanged { path: elsewhere }), "{:?}", bed.events);
    assert!(bed.has(&Event::Restarted), "{:?}", bed.events);
    // Its checks go on with that ufrag, and are answered after the 30 s, too.
    bed.run(Duration::from_secs(40));
    let (answered, media) = (bed.publisher.heard.stun_successes, bed.media.len());
    let check = bed.publisher.check(&old, false);
    bed.publisher.push(check);
    bed.run(Duration::from_secs(1));
    assert!(bed.publisher.heard.stun_successes > answered);
    assert!(bed.media.len() > media + 90);
    assert_eq!(bed.events.iter().filter(|event| **event == Event::Restarted).count(), 1);
}

#[test]
fn restarts_that_are_pending_are_answered_but_for_all_between_the_last_two_and_the_one_in_use() {
    let mut bed = Bed::live(Habits::default());
    let first = bed.publisher.server.clone();
    for name in ["second", "third", "fourth"] {
        assert!(bed.mux.restart(bed.key, credentials("client"), credentials(name)));
    }
    for (credentials, answered) in [
        (credentials("second"), false),
        (credentials("third"), true),
        (credentials("fourth"), true),
        (first, true),
    ] {
        let before = bed.publisher.heard.stun_successes;
        let check = bed.publisher.check(&credentials, false);
        bed.publisher.push(check);
        bed.run(Duration::from_millis(50));
        assert_eq!(
            bed.publisher.heard.stun_successes > before,
            answered,
            "{}",
            credentials.ufrag
        );
    }
    let before = bed.media.len();
    bed.run(Duration::from_secs(1));
    assert!(bed.media.len() > before + 90);
}

#[test]
fn a_restart_that_never_connects_ends_the_session_by_silence_and_not_before() {
    let mut bed = Bed::live(Habits::default());
    bed.mux.restart(bed.key, credentials("client"), credentials("second"));
    bed.network.cut = true;
    bed.run(Duration::from_secs(25));
    assert!(bed.mux.stats(bed.key).is_some());
    bed.run(Duration::from_secs(10));
    assert!(bed.ended(EndReason::Silent));
}
