//! RTCP: the input as a compound that an encoder sent, and as packets whose arrival is reported to it.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use crate::input::Input;
use whipcord_peer::rtcp::{
    nack::Missing,
    reception::Reception,
    sender_reports,
    twcc::Arrivals,
    write::{generic_nack, receiver_report},
};
use whipcord_peer::srtp::estimate;

pub fn run(data: &[u8]) {
    // Header, SSRC, NTP time and RTP time.
    assert!(20 * sender_reports(data).count() <= data.len());
    arrivals(Input::new(data));
}

/// Each packet is a sequence number and the milliseconds since the one before.
fn arrivals(mut input: Input<'_>) {
    let mut now = beginning();
    let first = input.word();
    let mut highest = u64::from(first);
    let (mut transport, mut missing) = (Arrivals::default(), Missing::restored(highest));
    let mut reception = Reception::new(90_000, highest);
    let mut out = vec![];
    while !input.is_empty() {
        let (sequence, millis) = (input.word(), input.byte());
        now += Duration::from_millis(millis.into());
        transport.record(now, sequence);
        let sequence = estimate(highest, sequence);
        highest = highest.max(sequence);
        missing.received(now, sequence);
        reception.received(now, sequence, sequence as u32);
        // A shell does so every 20 ms; here it may be rarer.
        if millis % 8 == 0 {
            let due = missing.due(now);
            assert!(due.len() <= 200, "more than one NACK asks for");
            generic_nack(&mut out, 1, 2, &due);
            assert_readable(&mut out);
        }
        if millis % 32 == 0 {
            report(now, &mut transport, &mut reception, &mut out);
        }
    }
    report(now, &mut transport, &mut reception, &mut out);
}

fn report(now: Instant, transport: &mut Arrivals, reception: &mut Reception, out: &mut Vec<u8>) {
    receiver_report(out, 1, &[reception.block(now, 2)], "cname");
    assert_readable(out);
    // Each says something of one arrival at least, and 2048 of them are kept.
    for _ in 0..=2048 {
        if transport.is_empty() {
            return;
        }
        transport.feedback(out, 1, 2);
        assert!(out.len() <= 1200);
        assert_readable(out);
    }
    panic!("feedback without end");
}

/// Whole packets, whose lengths add up; forgets them.
fn assert_readable(out: &mut Vec<u8>) {
    let mut rest = out.as_slice();
    while let [0x80..=0xbf, _, high, low, ..] = *rest {
        let len = 4 * (1 + usize::from(u16::from_be_bytes([high, low])));
        rest = rest.get(len..).expect("a whole packet");
    }
    assert!(rest.is_empty());
    out.clear();
}

fn beginning() -> Instant {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    *BEGINNING.get_or_init(Instant::now)
}
