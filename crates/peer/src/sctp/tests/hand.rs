//! An encoder whose packets are made by hand.

use super::*;

const OUR_PORT: [u8; 2] = 5000_u16.to_be_bytes();

/// An encoder's side made by hand: it says what it likes.
pub(super) struct Hand {
    pub(super) now: Instant,
    pub(super) ours: Sctp,
    /// Ours for it, as in the header of what it sends.
    pub(super) tag: u32,
    pub(super) tsn: u32,
    pub(super) last: Vec<Bytes>,
    pub(super) dropped: u64,
}

pub(super) fn chunk(kind: u8, flags: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + body.len()).unwrap().to_be_bytes();
    let mut chunk = vec![kind, flags, length[0], length[1]];
    chunk.extend_from_slice(body);
    chunk.resize(chunk.len().next_multiple_of(4), 0);
    chunk
}

fn packet(tag: u32, chunks: &[Vec<u8>]) -> Bytes {
    let mut packet = [OUR_PORT, OUR_PORT].concat();
    packet.extend(tag.to_be_bytes());
    packet.extend([0; 4]);
    packet.extend(chunks.concat());
    let checksum = crc32c::crc32c(&packet).to_le_bytes();
    packet[8..12].copy_from_slice(&checksum);
    packet.into()
}

pub(super) fn init(tag: u32, tsn: u32) -> Vec<u8> {
    // RFC 5061 §4.2.7: RE-CONFIG and FORWARD TSN.
    init_with(tag, tsn, &[0x80, 0x08, 0, 6, 130, 192, 0, 0])
}

pub(super) fn init_with(tag: u32, tsn: u32, parameters: &[u8]) -> Vec<u8> {
    let mut body = tag.to_be_bytes().to_vec();
    body.extend(200_000_u32.to_be_bytes());
    body.extend([0, 100, 0, 100]);
    body.extend(tsn.to_be_bytes());
    body.extend_from_slice(parameters);
    chunk(1, 0, &body)
}

/// Flags: 1 ends a message, 2 begins one, 4 is unordered.
pub(super) fn data_chunk(tsn: u32, stream: u16, number: u16, protocol: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut body = tsn.to_be_bytes().to_vec();
    body.extend(stream.to_be_bytes());
    body.extend(number.to_be_bytes());
    body.extend(protocol.to_be_bytes());
    body.extend_from_slice(payload);
    chunk(0, flags, &body)
}

impl Hand {
    /// Connected, as the one that began, with this first number.
    pub(super) fn connected(tsn: u32) -> Self {
        Self::connected_with(tsn, false)
    }

    pub(super) fn connected_with(tsn: u32, echo: bool) -> Self {
        Self::connected_by(&init(77, tsn), tsn, echo).0
    }

    /// And the COOKIE ECHO.
    pub(super) fn connected_by(init: &[u8], tsn: u32, echo: bool) -> (Self, Vec<u8>) {
        let now = Instant::now();
        let mut hand = Self {
            now,
            ours: Sctp::new(Role::Server, data(5000, echo)),
            tag: 0,
            tsn,
            last: vec![],
            dropped: 0,
        };
        hand.say(&[init.to_vec()]);
        let (tag, cookie) = hand.accepted();
        hand.tag = tag;
        let cookie_echo = chunk(10, 0, &cookie);
        hand.say(std::slice::from_ref(&cookie_echo));
        assert!(hand.is_open());
        (hand, cookie_echo)
    }

    /// Our tag and cookie, from the INIT ACK.
    pub(super) fn accepted(&self) -> (u32, Vec<u8>) {
        let answer = packet::chunks(&self.last[0]).next().unwrap().unwrap();
        assert_eq!(answer.kind, packet::Kind::InitAck);
        let length = usize::from(answer.half(18).unwrap());
        assert_eq!(answer.half(16), Some(7), "the cookie stands first");
        (answer.word(0).unwrap(), answer.body[20..16 + length].to_vec())
    }

    pub(super) fn say(&mut self, chunks: &[Vec<u8>]) {
        self.dropped += u64::from(self.ours.receive(self.now, &packet(self.tag, chunks)).is_err());
        self.now += Duration::from_millis(1);
        self.ours.handle_timeout(self.now);
        self.last = std::iter::from_fn(|| self.ours.poll_transmit()).collect();
    }

    /// The next chunk of data in order.
    pub(super) fn data(&mut self, stream: u16, number: u16, protocol: u32, flags: u8, payload: &[u8]) {
        let tsn = self.tsn;
        self.tsn = tsn.wrapping_add(1);
        self.say(&[data_chunk(tsn, stream, number, protocol, flags, payload)]);
    }

    /// Long enough for a delayed acknowledgement, which comes after 200 ms.
    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.ours.handle_timeout(self.now);
        while self.ours.poll_transmit().is_some() {}
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(&self.ours.stage, Stage::Open(open) if matches!(open.handshake, Handshake::Complete))
    }

    /// Channels still work.
    pub(super) fn works(&mut self) {
        let before = self.ours.stats().messages;
        self.data(40, 0, 51, 7, b"still here");
        assert_eq!(self.ours.stats().messages, before + 1);
    }
}
