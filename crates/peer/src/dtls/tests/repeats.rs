//! When a handshake sends what it sent before.

use std::{collections::BTreeSet, time::Duration};

use super::{
    CLIENT, SERVER,
    certificates::{Key, certificate},
    connected,
    wire::{Wire, deliver},
};
use crate::dtls::record;

#[test]
fn a_client_hello_is_one_small_datagram_repeated_early_with_new_record_numbers() {
    let mut wire = Wire::ours(&certificate(Key::P256), &certificate(Key::P256));
    wire.run(Duration::from_millis(4000), |_, _, _| vec![]);
    let times: Vec<_> = wire.log.iter().map(|(_, at, _)| *at).collect();
    assert_eq!(times, milliseconds(&[0, 60, 180, 420, 900, 1860, 2860, 3860]));
    for (number, (_, _, hello)) in wire.log.iter().enumerate() {
        assert!(hello.len() < 1200);
        assert_eq!(usize::from(hello[10]), number);
        assert_eq!(hello[11..], wire.log[0].2[11..]);
    }
}

#[test]
fn after_the_first_record_a_client_repeats_each_second_only() {
    let mut wire = Wire::ours(&certificate(Key::P256), &certificate(Key::P256));
    // The HelloVerifyRequest arrives; nothing of the client's does after its first datagram.
    let fate = |sender, index, _: &[u8]| {
        if sender == CLIENT && index > 0 {
            vec![]
        } else {
            deliver()
        }
    };
    wire.run(Duration::from_millis(3100), fate);
    let times: Vec<_> = wire
        .log
        .iter()
        .filter(|(sender, _, _)| *sender == CLIENT)
        .map(|(_, at, _)| *at)
        .collect();
    assert_eq!(times, milliseconds(&[0, 20, 1020, 2020, 3020]));
}

/// Even where the record leads nowhere: the encoder is there, and will answer.
#[test]
fn any_record_of_the_peer_ends_a_clients_early_repeats() {
    let mut wire = Wire::ours(&certificate(Key::P256), &certificate(Key::P256));
    wire.run(Duration::from_millis(100), |_, _, _| vec![]);
    wire.inject(CLIENT, &[21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 90, 0, 2, 1, 112]);
    wire.run(Duration::from_millis(2100), |_, _, _| vec![]);
    let times: Vec<_> = wire.log.iter().map(|(_, at, _)| *at).collect();
    assert_eq!(times, milliseconds(&[0, 60, 1060, 2060]));
}

#[test]
fn a_server_answers_a_repeated_hello_without_waiting_for_its_timer() {
    let mut wire = Wire::ours(&certificate(Key::P256), &certificate(Key::P256));
    let fate = |sender, index, _: &[u8]| {
        if sender == CLIENT && index > 1 {
            vec![]
        } else {
            deliver()
        }
    };
    wire.run(Duration::from_millis(800), fate);
    let (hello, sent) = (
        wire.log
            .iter()
            .filter(|(sender, _, _)| *sender == CLIENT)
            .nth(1)
            .cloned(),
        wire.count(SERVER),
    );
    let hello = hello.expect("a second ClientHello").2;
    wire.now = wire.start + Duration::from_millis(800);
    for _ in 0..5 {
        wire.inject(SERVER, &hello);
    }
    let flight = wire
        .log
        .iter()
        .filter(|(sender, at, _)| *sender == SERVER && *at == Duration::from_millis(30))
        .count();
    wire.run(Duration::from_millis(810), fate);
    assert_eq!(wire.count(SERVER) - sent, flight);
}

#[test]
fn a_server_repeats_its_flight_with_back_off_until_it_is_answered() {
    let mut wire = Wire::ours(&certificate(Key::P256), &certificate(Key::P256));
    // The client's second ClientHello is its last datagram that arrives: the certificate flight waits for an answer.
    let fate = |sender, index, _: &[u8]| {
        if sender == CLIENT && index > 1 {
            vec![]
        } else {
            deliver()
        }
    };
    wire.run(Duration::from_millis(3500), fate);
    let mut times: Vec<_> = wire
        .log
        .iter()
        .filter(|(sender, _, _)| *sender == SERVER)
        .map(|(_, at, _)| *at)
        .collect();
    times.dedup();
    assert_eq!(times, milliseconds(&[10, 30, 130, 330, 730, 1530, 2530]));
}

#[test]
fn a_client_that_lost_the_servers_last_flight_gets_it_again() {
    let mut wire = Wire::ours(&certificate(Key::P256), &certificate(Key::P256));
    let server_datagrams = connected().count(SERVER);
    let fate = |sender, index, _: &[u8]| {
        if sender == SERVER && index == server_datagrams - 1 {
            vec![]
        } else {
            deliver()
        }
    };
    assert!(wire.connect(fate));
    assert!(wire.now - wire.start > Duration::from_secs(1));
}

/// A server that lost its answer has seen the Finished, and drops the same record as a replay.
#[test]
fn a_client_repeats_its_finished_in_a_new_record_each_time() {
    let mut wire = Wire::ours(&certificate(Key::P256), &certificate(Key::P256));
    // The server's last flight never arrives.
    let server_datagrams = connected().count(SERVER);
    let fate = |sender, index, _: &[u8]| {
        if sender == SERVER && index >= server_datagrams - 1 {
            vec![]
        } else {
            deliver()
        }
    };
    wire.run(Duration::from_millis(20_500), fate);
    let mut finished: Vec<&[u8]> = Vec::new();
    for (_, _, datagram) in wire.log.iter().filter(|(sender, _, _)| *sender == CLIENT) {
        finished.extend(
            record::records(datagram)
                .filter(|record| record.epoch == 1)
                .map(|record| record.bytes),
        );
    }
    assert_eq!(finished.len(), 21);
    let numbers: BTreeSet<_> = finished.iter().map(|record| &record[5..11]).collect();
    assert_eq!(numbers.len(), 8, "the first and seven more; the rest repeat the last");
    assert!(wire.client().failed.is_none());
    let now = wire.now;
    let (_, _, answer) = wire
        .log
        .iter()
        .rfind(|(sender, _, _)| *sender == SERVER)
        .cloned()
        .expect("an answer");
    wire.client().receive(now, &answer);
    assert!(wire.client().keys.is_some());
}

fn milliseconds(times: &[u64]) -> Vec<Duration> {
    times.iter().copied().map(Duration::from_millis).collect()
}
