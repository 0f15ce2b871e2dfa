//! What an encoder that keeps to the rules sees.

use super::{client::Protocol, wire::Wire, *};

const ROLES: [Role; 2] = [Role::Client, Role::Server];

#[test]
fn a_channel_is_opened_and_its_messages_are_counted() {
    for role in ROLES {
        let mut wire = Wire::connected(role, false);
        let now = wire.now;
        wire.client.open(now, 2, 0, 0, "chat");
        wire.client.send(now, 2, Protocol::String, b"hello");
        wire.client.send(now, 2, Protocol::Binary, &[7; 20]);
        // SCTP has no empty message: one byte stands for it.
        wire.client.send(now, 2, Protocol::StringEmpty, &[0]);
        wire.until(Duration::from_secs(1), |wire| wire.ours.stats().messages == 3);
        let expected = DataStats {
            channels: 1,
            messages: 3,
            bytes: 25,
        };
        assert_eq!(
            (wire.ours.stats(), wire.labels.join(",").as_str()),
            (expected, "chat"),
            "{role:?}"
        );
        wire.run(Duration::from_secs(1));
        let heard = &wire.client.heard[&2];
        assert_eq!(
            heard,
            &[(Protocol::Dcep, Bytes::from_static(&[2]))],
            "confirmed, and nothing else"
        );
    }
}

#[test]
fn a_channel_that_both_sides_know_of_is_counted_without_a_label() {
    let mut wire = Wire::connected(Role::Server, false);
    let now = wire.now;
    wire.client.association().open_stream(6, Protocol::Binary).unwrap();
    wire.client.send(now, 6, Protocol::Binary, b"known");
    wire.until(Duration::from_secs(1), |wire| wire.ours.stats().messages == 1);
    assert_eq!(
        (wire.ours.stats().channels, wire.labels.as_slice()),
        (1, &[String::new()][..])
    );
}

#[test]
fn a_closed_channel_is_no_longer_counted_and_closed_on_our_side_too() {
    let mut wire = Wire::connected(Role::Server, false);
    let now = wire.now;
    for stream in [0, 2] {
        wire.client.open(now, stream, 0, 0, "one");
    }
    wire.until(Duration::from_secs(1), |wire| wire.ours.stats().channels == 2);
    // The encoder's end of its own data is acknowledged by then.
    wire.run(Duration::from_secs(1));
    let now = wire.now;
    wire.client.close(now, 0);
    wire.until(Duration::from_secs(5), |wire| wire.ours.stats().channels == 1);
    wire.until(Duration::from_secs(5), |wire| wire.client.reset == [0]);
    let now = wire.now;
    wire.client.open(now, 0, 0, 0, "two");
    wire.until(Duration::from_secs(1), |wire| wire.ours.stats().channels == 2);
    assert_eq!(wire.labels, ["one", "one", "two"]);
}

#[test]
fn messages_come_back_where_that_is_asked_for() {
    for role in ROLES {
        let mut wire = Wire::connected(role, true);
        let now = wire.now;
        wire.client.open(now, 1, 0, 0, "echo");
        let messages: [(Protocol, &[u8]); 3] = [
            (Protocol::String, b"hello"),
            (Protocol::BinaryEmpty, &[0]),
            (Protocol::Binary, &[9; 64 * 1024]),
        ];
        for (protocol, message) in messages {
            wire.client.send(now, 1, protocol, message);
        }
        wire.until(Duration::from_secs(5), |wire| {
            wire.client.heard.get(&1).is_some_and(|heard| heard.len() == 4)
        });
        let heard = &wire.client.heard[&1];
        let expected = messages.map(|(protocol, message)| (protocol, Bytes::from_static(message)));
        assert_eq!(heard[1..], expected, "{role:?}");
    }
}

/// More than the window holds, over a wire that loses and reorders, in messages of all sizes: each arrives once, in order.
#[test]
fn nothing_is_lost_over_a_bad_wire() {
    for (role, loss, reordered) in [
        (Role::Server, 0, 30),
        (Role::Server, 5, 10),
        (Role::Client, 5, 10),
        (Role::Client, 20, 0),
    ] {
        let mut wire = Wire::new(role, true);
        (wire.loss, wire.reordered) = (loss, reordered);
        wire.until(Duration::from_secs(60), |wire| wire.client.connected);
        let now = wire.now;
        wire.client.open(now, 0, 0, 0, "bulk");
        let sizes = [1, 100, 1200, 5000, 30_000, 65_536];
        let messages: Vec<Bytes> = (0..60_u8)
            .map(|n| vec![n; sizes[usize::from(n) % sizes.len()]].into())
            .collect();
        for message in &messages {
            wire.client.send(now, 0, Protocol::Binary, message);
        }
        wire.until(Duration::from_secs(3600), |wire| {
            wire.client.heard.get(&0).is_some_and(|heard| heard.len() == 61)
        });
        let heard = wire.client.heard[&0][1..].iter().map(|(_, message)| message);
        assert!(heard.eq(&messages), "{role:?}, {loss} % lost, {reordered} % reordered");
        assert_eq!(wire.ours.stats().messages, 60);
    }
}

/// The encoder gives messages up; those that arrive are whole, and later ones are not held up.
#[test]
fn an_unreliable_channel_goes_on_over_a_bad_wire() {
    for kind in [1, 0x81] {
        let mut wire = Wire::connected(Role::Server, false);
        let now = wire.now;
        wire.client.open(now, 0, kind, 0, "now or never");
        wire.run(Duration::from_secs(1));
        wire.loss = 10;
        for round in 0..200_u8 {
            let now = wire.now;
            wire.client.send(now, 0, Protocol::Binary, &[round; 2000]);
            wire.run(Duration::from_millis(20));
        }
        wire.loss = 0;
        wire.run(Duration::from_secs(10));
        let before = wire.ours.stats();
        assert!((100..200).contains(&before.messages), "{before:?}");
        assert_eq!(before.bytes, 2000 * before.messages);
        let now = wire.now;
        wire.client.send(now, 0, Protocol::Binary, b"last");
        wire.until(Duration::from_secs(2), |wire| {
            wire.ours.stats().messages == before.messages + 1
        });
    }
}

/// Each packet of the handshake in turn is lost, once.
#[test]
fn a_handshake_survives_the_loss_of_any_packet() {
    for role in ROLES {
        for lost in 0..4 {
            let mut wire = Wire::new(role, false);
            let (mut seen, mut count) = (0, 0);
            wire.lose(move |_| {
                seen += 1;
                seen == lost + 1
            });
            wire.until(Duration::from_secs(20), |wire| {
                count += 1;
                wire.client.connected && count > 3
            });
            let now = wire.now;
            wire.client.open(now, 4, 0, 0, "chat");
            wire.until(Duration::from_secs(20), |wire| wire.ours.stats().channels == 1);
        }
    }
}

#[test]
fn an_encoder_on_another_port_is_waited_for() {
    let now = Instant::now();
    let mut ours = Sctp::new(Role::Client, data(5001, false));
    ours.begin(now);
    assert_eq!((ours.poll_transmit(), ours.poll_timeout()), (None, None));
}
