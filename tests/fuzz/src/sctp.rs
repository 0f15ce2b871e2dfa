//! The packets of an encoder with data channels, as DTLS opens them: with right ports, checksums and, mostly, tags. Its memory stays
//! bounded, and it sends no more than it was asked for.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use bytes::Bytes;
use whipcord_peer::sctp::Sctp;
use whipcord_whip::{Data, DataPolicy, Offer, Preferences, negotiate::Role, negotiate::negotiate};

use crate::input::Input;

const OFFER: &str = include_str!("session/data.sdp");
/// The encoder's verification tag, and the number of its first DATA.
const TAG: u32 = 77;
const FIRST: u32 = 1000;
/// An acknowledgement, what answers a HEARTBEAT and a COOKIE ECHO, two resets and our own of each, and confirmations of channels.
const ANSWERS_MAX: usize = 12;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let mut now = start();
    let role = if flags & 1 == 0 { Role::Server } else { Role::Client };
    let mut sctp = Sctp::new(role, offered(flags & 2 != 0));
    sctp.begin(now);
    let mut tag = tag_of(sctp.poll_transmit());
    if flags & 4 == 0 && role == Role::Server {
        tag = connect(&mut sctp, now);
    }
    while !input.is_empty() {
        // Each packet: how long after the one before, whether its tag is ours, its length.
        let [wait, tagged, length] = input.array();
        now += Duration::from_millis(u64::from(wait) * 8);
        sctp.handle_timeout(now);
        assert!(drain(&mut sctp) < 300, "more than the window at once");
        let chunks = input.slice(usize::from(length) * 4);
        let tag = if tagged == 0 { tag } else { 0 };
        let _ = sctp.receive(now, &packet(tag, chunks));
        let sent = drain(&mut sctp);
        // A window of 256 KiB, in packets of some 1150 bytes; without an echo, what answers a packet.
        let most = if flags & 2 != 0 { 300 } else { ANSWERS_MAX };
        assert!(sent <= most, "{sent} packets for one");
        while sctp.poll_opened().is_some() {}
        assert!(sctp.stats().channels <= 64);
        assert!(sctp.poll_timeout().is_none_or(|due| due > now));
    }
}

fn drain(sctp: &mut Sctp) -> usize {
    std::iter::from_fn(|| sctp.poll_transmit()).count()
}

/// Encoder and we, as far as an INIT and a COOKIE ECHO go. Returns our tag.
fn connect(sctp: &mut Sctp, now: Instant) -> u32 {
    let mut init = vec![1, 0, 0, 28];
    init.extend(TAG.to_be_bytes());
    init.extend(200_000_u32.to_be_bytes());
    init.extend([0, 64, 0, 64]);
    init.extend(FIRST.to_be_bytes());
    // RFC 5061 section 4.2.7: RE-CONFIG and FORWARD TSN.
    init.extend([0x80, 0x08, 0, 6, 130, 192, 0, 0]);
    sctp.receive(now, &packet(0, &init)).expect("a legal INIT");
    let answer = sctp.poll_transmit().expect("an INIT is answered");
    let tag = tag_of(Some(answer.clone()));
    // Its first parameter is the cookie.
    let length = usize::from(u16::from_be_bytes([answer[34], answer[35]]));
    let cookie = &answer[36..32 + length];
    let mut echo = vec![10, 0];
    echo.extend(u16::try_from(length).expect("a short cookie").to_be_bytes());
    echo.extend_from_slice(cookie);
    sctp.receive(now, &packet(tag, &echo)).expect("our cookie");
    tag
}

/// The tag that the sender of an INIT or an INIT ACK wants.
fn tag_of(packet: Option<Bytes>) -> u32 {
    packet.map_or(0, |packet| {
        u32::from_be_bytes([packet[16], packet[17], packet[18], packet[19]])
    })
}

fn packet(tag: u32, chunks: &[u8]) -> Bytes {
    let mut packet = [5000_u16.to_be_bytes(), 5000_u16.to_be_bytes()].concat();
    packet.extend(tag.to_be_bytes());
    packet.extend([0; 4]);
    packet.extend_from_slice(chunks);
    let checksum = crc32c::crc32c(&packet).to_le_bytes();
    packet[8..12].copy_from_slice(&checksum);
    packet.into()
}

fn offered(echo: bool) -> Data {
    let offer = Offer::parse(OFFER.as_bytes()).expect("a good offer");
    let preferences = Preferences {
        data: if echo { DataPolicy::Echo } else { DataPolicy::Accept },
        ..Preferences::default()
    };
    let negotiated = negotiate(&offer, &preferences).expect("an acceptable offer");
    negotiated.data.expect("data channels")
}

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}
