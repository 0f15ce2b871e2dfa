//! Associations after their handshake: repeated flights, strangers, the end.

use std::time::Duration;

use super::{
    CLIENT, CM80, SERVER,
    certificates::{Key, certificate},
    connected, raw_client,
    wire::deliver,
};
use crate::stats::DropReason;

#[test]
fn a_connected_client_sends_nothing_more_whatever_arrives() {
    let mut wire = connected();
    let sent = wire.count(CLIENT);
    let flights: Vec<_> = wire
        .log
        .iter()
        .filter(|(sender, _, _)| *sender == SERVER)
        .map(|(_, _, sent)| sent.clone())
        .collect();
    for _ in 0..20 {
        for flight in &flights {
            wire.now += Duration::from_millis(700);
            wire.inject(CLIENT, flight);
        }
    }
    wire.run(Duration::from_secs(1000), |_, _, _| deliver());
    assert_eq!(wire.count(CLIENT), sent);
    assert_eq!(wire.client().dtls.poll_timeout(), None);
}

#[test]
fn a_connected_server_answers_a_repeated_flight_at_most_each_50_ms() {
    let mut wire = connected();
    let answered = wire.count(SERVER);
    let (_, _, last_flight) = wire
        .log
        .iter()
        .rfind(|(sender, _, _)| *sender == CLIENT)
        .cloned()
        .expect("a flight");
    let mut answers = 0;
    for _ in 0..10 {
        wire.now += Duration::from_millis(51);
        for _ in 0..2 {
            wire.inject(SERVER, &last_flight);
            answers += std::iter::from_fn(|| wire.server().dtls.poll_transmit()).count();
        }
    }
    assert_eq!(answers, 10);
    assert_eq!(wire.count(SERVER), answered);
}

#[test]
fn nothing_forged_ends_or_disturbs_a_connected_association() {
    let mut wire = connected();
    let plaintext_alert = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 99, 0, 2, 2, 40];
    let plaintext_close = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 98, 0, 2, 1, 0];
    // ChangeCipherSpec is not protected even in the protected epoch.
    let cipher_change = [20, 254, 253, 0, 1, 0, 0, 0, 0, 0, 97, 0, 1, 1];
    let data = [23, 254, 253, 0, 0, 0, 0, 0, 0, 0, 96, 0, 3, 1, 2, 3];
    for forged in [&plaintext_alert[..], &plaintext_close, &cipher_change, &data] {
        wire.inject(SERVER, forged);
        wire.inject(CLIENT, forged);
    }
    assert!(!wire.server().closed && !wire.client().closed);
    let now = wire.now;
    wire.client().dtls.close(now);
    wire.run(Duration::from_secs(100), |_, _, _| deliver());
    assert!(wire.server().closed);
}

#[test]
fn a_flood_is_dropped_and_counted_and_a_close_is_understood_after_it() {
    let mut wire = connected();
    let (_, _, last_flight) = wire
        .log
        .iter()
        .rfind(|(sender, _, _)| *sender == CLIENT)
        .cloned()
        .expect("a flight");
    for _ in 0..10_000 {
        wire.inject(SERVER, &last_flight);
    }
    assert!(wire.server().dropped.count(DropReason::RateLimited) > 9_900);
    assert!(std::iter::from_fn(|| wire.server().dtls.poll_transmit()).count() <= 1);
    wire.now += Duration::from_secs(1);
    let now = wire.now;
    wire.client().dtls.close(now);
    wire.run(Duration::from_secs(100), |_, _, _| deliver());
    assert!(wire.server().closed);
}

#[test]
fn what_is_not_dtls_is_dropped_and_counted() {
    let mut wire = connected();
    for datagram in [
        &[][..],
        &[0, 1, 0, 0],
        &[128, 1],
        &[22, 254, 253, 0, 0],
        &[63; 40],
        &[25; 40],
    ] {
        wire.inject(SERVER, datagram);
    }
    let dropped = wire.server().dropped;
    assert_eq!((dropped.count(DropReason::Malformed), dropped.total()), (6, 6));
}

#[test]
fn close_notify_is_sent_understood_and_answered() {
    for closing in [CLIENT, SERVER] {
        let mut wire = connected();
        let now = wire.now;
        wire.ends[closing].ours().dtls.close(now);
        let before = wire.count(1 - closing);
        wire.run(Duration::from_secs(100), |_, _, _| deliver());
        assert!(wire.ends[1 - closing].ours().closed);
        assert_eq!(wire.count(1 - closing), before + 1);
    }
}

#[test]
fn a_plain_rtc_dtls_that_closes_is_understood() {
    let mut wire = raw_client(&[CM80]);
    assert!(wire.connect(|_, _, _| deliver()));
    let now = wire.now;
    wire.ends[CLIENT].raw().close(now);
    wire.run(Duration::from_secs(100), |_, _, _| deliver());
    assert!(wire.server().closed);
}

#[test]
fn debug_shows_no_keys_and_a_session_may_change_threads() {
    fn is_send(_: &impl Send) {}
    let mut wire = connected();
    is_send(&wire.server().dtls);
    assert_eq!(
        format!("{:?}", wire.server().dtls),
        r#"Dtls { role: Server, phase: "connected", .. }"#
    );
    assert_eq!(format!("{:?}", certificate(Key::P256)), "Certificate");
}
