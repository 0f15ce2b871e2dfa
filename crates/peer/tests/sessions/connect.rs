//! From the answer to the first packet, and every way in which that can fail.

use std::time::Duration;

use whipcord_peer::{EndReason, Event, Path, stats::DropReason};

use crate::{
    bed::{Bed, ENCODER, SERVER, address},
    network::To,
    publisher::Habits,
};

const SETUPS: [&str; 3] = ["actpass", "active", "passive"];

#[test]
fn an_encoder_connects_in_every_dtls_role() {
    for setup in SETUPS {
        let bed = Bed::live(Habits {
            setup,
            ..Habits::default()
        });
        let kinds = ["StunSeen", "HandshakeStarted", "Connected"];
        let seen: Vec<String> = bed.events.iter().map(|event| format!("{event:?}")).collect();
        for (event, kind) in seen.iter().zip(kinds) {
            assert!(event.starts_with(kind), "{setup}: {seen:?}");
        }
        assert!(bed.has(&Event::FirstMedia), "{setup}: {seen:?}");
    }
}

#[test]
fn every_packet_of_a_clean_network_comes_out_once_and_in_order() {
    let mut bed = Bed::live(Habits::default());
    bed.run(Duration::from_secs(2));
    let sequences = bed.video_sequences();
    let expected: Vec<u64> = (sequences[0]..sequences[0] + sequences.len() as u64).collect();
    assert_eq!(sequences[0], 1000);
    assert_eq!(sequences, expected);
    assert_eq!(bed.mux.stats(bed.key).expect("alive").dropped.total(), 0);
}

#[test]
fn a_handshake_survives_the_loss_of_any_single_datagram() {
    for setup in ["actpass", "passive"] {
        let clean = Bed::live(Habits {
            setup,
            ..Habits::default()
        })
        .network
        .sent;
        for direction in [To::Server, To::Publisher] {
            for nth in 0..clean.min(14) {
                let mut bed = Bed::new(Habits {
                    setup,
                    ..Habits::default()
                });
                bed.network.drop_one = Some((direction, nth));
                let done = bed.run_until(Duration::from_secs(10), |bed| bed.has(&Event::FirstMedia));
                assert!(done, "{setup}, {direction:?} datagram {nth} lost: {:?}", bed.events);
            }
        }
    }
}

#[test]
fn no_handshake_fails_at_a_fifth_lost_each_way() {
    for setup in ["actpass", "passive"] {
        for seed in 0..50 {
            let mut bed = Bed::seeded(
                Habits {
                    setup,
                    ..Habits::default()
                },
                seed,
            );
            bed.network.loss = 0.2;
            bed.network.duplication = 0.02;
            bed.network.reordering = 0.05;
            let done = bed.run_until(Duration::from_secs(30), |bed| bed.has(&Event::FirstMedia));
            assert!(done, "{setup}, seed {seed}: {:?}", bed.events);
        }
    }
}

#[test]
fn media_that_overtakes_the_end_of_the_handshake_is_held_and_not_lost() {
    // As DTLS server the encoder is done before we are: its Finished can be lost while its media is not.
    let mut overtaken = 0;
    for nth in 0..14 {
        let mut bed = Bed::new(Habits {
            setup: "passive",
            ..Habits::default()
        });
        bed.network.drop_one = Some((To::Server, nth));
        let is_connected = |bed: &Bed| bed.events.iter().any(|event| matches!(event, Event::Connected { .. }));
        bed.run_until(Duration::from_secs(3), |bed| bed.publisher.is_connected());
        bed.run(Duration::from_millis(30));
        if !bed.publisher.is_connected() || is_connected(&bed) {
            continue;
        }
        overtaken += 1;
        assert!(bed.media.is_empty());
        assert!(bed.run_until(Duration::from_secs(3), is_connected), "datagram {nth}");
        bed.run(Duration::from_millis(100));
        let first: Vec<u64> = bed.video_sequences().into_iter().take(8).collect();
        assert_eq!(first, (1000..1008).collect::<Vec<_>>(), "datagram {nth}");
    }
    assert!(overtaken > 0, "no lost datagram made media overtake the handshake");
}

#[test]
fn nothing_is_made_for_a_session_that_sends_no_stun_and_it_ends_after_30_s() {
    let mut bed = Bed::new(Habits::default());
    bed.publisher.checks = false;
    bed.run(Duration::from_secs(29));
    assert!(bed.events.is_empty());
    bed.run(Duration::from_secs(2));
    assert_eq!((bed.events.len(), bed.ended(EndReason::NoStun)), (1, true));
    assert_eq!(bed.mux.sessions(), 0);
}

#[test]
fn stun_with_a_wrong_password_is_dropped_counted_and_told_once() {
    let mut bed = Bed::new(Habits::default());
    let mut wrong = bed.publisher.server.clone();
    wrong.pwd = "notthepasswordnotthepassword".into();
    for _ in 0..3 {
        let check = bed.publisher.check(&wrong, true);
        bed.receive(address(ENCODER), check);
    }
    bed.publisher.checks = false;
    bed.exchange();
    let path = Path::udp(address(SERVER), address(ENCODER));
    assert_eq!(bed.events, [Event::StunWrongPassword { path }]);
    assert_eq!(
        bed.mux
            .stats(bed.key)
            .expect("alive")
            .dropped
            .count(DropReason::WrongPassword),
        3
    );
    assert_eq!(bed.network.sent, 0, "a stranger is not answered");
}

#[test]
fn a_handshake_that_never_ends_is_given_up_after_30_s() {
    let mut bed = Bed::new(Habits::default());
    // Only STUN passes: it keeps the session from falling silent.
    let end = bed.now + Duration::from_secs(40);
    while bed.now < end && !bed.ended(EndReason::HandshakeTimeout) {
        let check = bed.publisher.check(&bed.publisher.server.clone(), true);
        bed.receive(address(ENCODER), check);
        bed.now += Duration::from_secs(1);
        bed.mux.handle_timeout(bed.now);
        while let Some((_, event)) = bed.mux.poll_event() {
            bed.events.push(event);
        }
    }
    assert!(bed.has(&Event::HandshakeStarted));
    assert!(bed.ended(EndReason::HandshakeTimeout), "{:?}", bed.events);
}

#[test]
fn a_lost_encoder_is_first_disconnected_and_then_gone() {
    let mut bed = Bed::live(Habits::default());
    bed.network.cut = true;
    let lost_at = bed.now;
    assert!(bed.run_until(Duration::from_secs(60), |bed| bed.has(&Event::Disconnected)));
    assert_eq!((bed.now - lost_at).as_secs(), 7);
    assert!(bed.run_until(Duration::from_secs(60), |bed| bed.ended(EndReason::Silent)));
    assert!(
        (29..=31).contains(&(bed.now - lost_at).as_secs()),
        "{:?}",
        bed.now - lost_at
    );
    assert_eq!(bed.mux.sessions(), 0);
    assert!(
        bed.mux.poll_timeout().is_none() || {
            bed.mux.handle_timeout(bed.now + Duration::from_secs(60));
            true
        }
    );
    assert!(bed.mux.poll_timeout().is_none(), "nothing of it is left");
}

#[test]
fn an_encoder_that_comes_back_within_30_s_goes_on() {
    let mut bed = Bed::live(Habits::default());
    bed.network.cut = true;
    bed.run(Duration::from_secs(20));
    bed.network.cut = false;
    let before = bed.media.len();
    bed.run(Duration::from_secs(1));
    assert!(
        bed.has(&Event::Disconnected) && bed.has(&Event::Reconnected),
        "{:?}",
        bed.events
    );
    assert!(bed.media.len() > before + 50);
}

#[test]
fn close_notify_from_the_encoder_ends_the_session() {
    let mut bed = Bed::live(Habits::default());
    bed.publisher.publishing = false;
    bed.publisher.close_dtls(bed.now);
    bed.run(Duration::from_millis(100));
    assert!(bed.ended(EndReason::ClosedByPeer), "{:?}", bed.events);
}

#[test]
fn a_closed_session_says_close_notify_but_not_to_ffmpeg() {
    for (session_name, told) in [("-", true), ("FFmpegPublishSession", false)] {
        let mut bed = Bed::live(Habits {
            setup: "passive",
            session_name,
            ..Habits::default()
        });
        bed.mux.close(bed.now, bed.key, EndReason::Deleted);
        bed.publisher.publishing = false;
        bed.run(Duration::from_millis(100));
        assert!(bed.ended(EndReason::Deleted));
        let packets = bed.last().map_or(0, |(_, last)| last.packets);
        assert_eq!(packets, bed.media.len() as u64, "its last figures");
        assert_eq!(bed.publisher.heard.closed, told, "{session_name}");
        assert!(bed.mux.stats(bed.key).is_none());
        if !told {
            assert_eq!(bed.publisher.heard.dtls_after_completion, 0);
        }
    }
}

#[test]
fn no_dtls_is_sent_to_an_encoder_that_was_the_dtls_server_once_it_is_done() {
    let mut bed = Bed::live(Habits {
        setup: "passive",
        ..Habits::default()
    });
    bed.run(Duration::from_secs(20));
    assert_eq!(bed.publisher.heard.dtls_after_completion, 0);
}

#[test]
fn a_certificate_that_the_offer_did_not_announce_is_refused() {
    let mut bed = Bed::new(Habits::default());
    let mut impostor = Bed::new(Habits::default());
    impostor.publisher.certificate = whipcord_peer::Certificate::generate().expect("P-256 keys can be made");
    impostor.publisher.answered(bed.now, &bed.answer);
    bed.publisher = impostor.publisher;
    bed.run(Duration::from_secs(2));
    assert!(bed.ended(EndReason::FingerprintMismatch), "{:?}", bed.events);
    assert!(bed.media.is_empty());
}

#[test]
fn five_hundred_encoders_connect_through_one_port() {
    let mut bed = Bed::new(Habits::default());
    let mut others = vec![];
    for n in 0..500u16 {
        let from = address(&format!("203.0.113.{}:{}", 1 + n / 250, 40_000 + n));
        let habits = Habits {
            rate: 10,
            ..Habits::default()
        };
        let mut publisher = crate::publisher::Publisher::new(habits, from, crate::bed::certificate("encoder"));
        let (_, answer) = crate::bed::create(
            &mut bed.mux,
            bed.now,
            &publisher.offer(),
            &format!("serverufragnumber{n:04}"),
        );
        publisher.answered(bed.now, &answer);
        others.push(publisher);
    }
    for _ in 0..400 {
        bed.now += Duration::from_millis(10);
        for publisher in &mut others {
            publisher.handle_timeout(bed.now);
            while let Some(datagram) = publisher.poll_transmit() {
                bed.network.send(bed.now, To::Server, publisher.address, datagram);
            }
        }
        while let Some(arrived) = bed.network.arrived(bed.now) {
            match arrived.to {
                To::Server => bed.receive(arrived.publisher, arrived.datagram),
                To::Publisher => {
                    let mut datagram = arrived.datagram;
                    let publisher = others
                        .iter_mut()
                        .find(|publisher| publisher.address == arrived.publisher);
                    if let Some(publisher) = publisher {
                        publisher.receive(bed.now, &mut datagram);
                    }
                }
            }
        }
        bed.mux.handle_timeout(bed.now);
        bed.exchange();
    }
    let connected = others.iter().filter(|publisher| publisher.is_connected()).count();
    assert_eq!(connected, 500);
    // All announce the same SSRCs, as appliances do: the address tells them apart.
    assert!(bed.media.len() > 500 * 10, "{}", bed.media.len());
}

#[test]
fn a_check_that_cannot_be_granted_gets_an_error_and_opens_no_path() {
    // ICE-CONTROLLED (RFC 8445 §7.3.1.1), and an attribute that must be understood (RFC 8489 §6.3.1).
    for (attribute, code) in [(0x8029, 487), (0x7fff, 420)] {
        let mut bed = Bed::new(Habits::default());
        bed.publisher.checks = false;
        let check = bed.publisher.check_with(&bed.publisher.server.clone(), attribute);
        bed.receive(address(ENCODER), check);
        let mut answer = vec![];
        assert!(bed.mux.poll_transmit(&mut answer).is_some());
        assert_eq!(&answer[..2], [0x01, 0x11], "an error response");
        let at = answer
            .windows(4)
            .position(|window| window[..2] == [0, 9])
            .expect("ERROR-CODE");
        assert_eq!(u16::from(answer[at + 6]) * 100 + u16::from(answer[at + 7]), code);
        bed.exchange();
        assert!(bed.events.is_empty(), "{:?}", bed.events);
    }
}
