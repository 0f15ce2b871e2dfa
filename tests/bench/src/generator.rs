//! Encoders: real ICE and DTLS with the server, then sealed RTP at a set pace, as GSO bursts or one by one.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use aws_lc_rs::hmac;
use whipcord_peer::{
    Path,
    srtp::{Profile, Sealer},
    stun,
};
use whipcord_udp::{Options, Socket};
use whipcord_whip::negotiate::Role;

use crate::{
    handshake::{Association, Dtls},
    server::{Cipher, Kind, Server},
};

/// A full video packet: 24 bytes of header and extension, 1160 of payload, up to 16 of tag.
const PAYLOAD_BYTES: usize = 1160;
/// What an encoder sends at once: one small frame, or a slice.
const BURST: usize = 8;
const PAYLOAD_TYPE: u8 = 96;
const UFRAG: &str = "benchufrag";
const PWD: &str = "benchpasswordbenchpassword";
/// No handshake on loopback takes this long.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);

/// How datagrams reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Offload {
    /// One system call per burst, and GRO at the other end.
    Bursts,
    /// One system call per datagram: what a network card without coalescing delivers.
    Single,
}

/// One connected encoder.
pub(crate) struct Encoder {
    socket: Socket,
    local: SocketAddr,
    server: SocketAddr,
    sealer: Sealer,
    ssrc: u32,
    sequence: u64,
    /// POST sent → answer read → keys, as the encoder saw it.
    pub(crate) answered: Duration,
    pub(crate) connected: Duration,
}

/// One encoder of each number, one after another, as this kind of server has them.
pub(crate) fn connect(
    server: &Server,
    kind: Kind,
    cipher: Cipher,
    numbers: Range<u32>,
) -> anyhow::Result<Vec<Encoder>> {
    let dtls = Dtls::new(cipher)?;
    match kind {
        Kind::Floor => numbers.map(|n| Encoder::keyed(server.address, cipher, n)).collect(),
        Kind::Worker | Kind::Observed | Kind::Stock => {
            numbers.map(|n| Encoder::connect(server.address, &dtls, n)).collect()
        }
    }
}

impl Encoder {
    /// A session of the floor: keys without a handshake.
    fn keyed(server: SocketAddr, cipher: Cipher, n: u32) -> anyhow::Result<Self> {
        let sealer = Sealer::new(cipher.profile(), &cipher.fixed_master())?;
        Self::new(server, sealer, n, Duration::ZERO, Duration::ZERO)
    }

    /// A session by POST, ICE and DTLS.
    fn connect(http: SocketAddr, dtls: &Dtls, n: u32) -> anyhow::Result<Self> {
        let start = Instant::now();
        let answer = post(http, &offer(dtls, n))?;
        let answered = start.elapsed();
        let value = |name: &str| -> anyhow::Result<&str> {
            answer
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .map(str::trim)
                .with_context(|| format!("{name} in {answer}"))
        };
        let candidate = answer
            .lines()
            .find(|line| line.starts_with("a=candidate") && line.contains(" typ host"));
        let words: Vec<&str> = candidate.context("a candidate")?.split_whitespace().collect();
        let server = SocketAddr::new(words[4].parse()?, words[5].parse()?);
        let role = if value("a=setup:")? == "active" {
            Role::Server
        } else {
            Role::Client
        };
        let (ufrag, pwd) = (value("a=ice-ufrag:")?, value("a=ice-pwd:")?);
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        let sealer = negotiate(&socket, dtls, role, ufrag, pwd)?;
        let local = socket.local_addr()?;
        drop(socket);
        let mut encoder = Self::new(server, sealer, n, answered, start.elapsed())?;
        // The same port again, now with offloads.
        encoder.socket = Socket::bind(local, Options::default())?;
        encoder.local = local;
        Ok(encoder)
    }

    fn new(
        server: SocketAddr,
        sealer: Sealer,
        n: u32,
        answered: Duration,
        connected: Duration,
    ) -> anyhow::Result<Self> {
        let socket = Socket::bind(SocketAddr::from(([127, 0, 0, 1], 0)), Options::default())?;
        let local = socket.local_address();
        Ok(Self {
            socket,
            local,
            server,
            sealer,
            ssrc: ssrc(n),
            sequence: 100,
            answered,
            connected,
        })
    }

    /// One burst; how many packets it had.
    pub(crate) fn send_burst(&mut self, offload: Offload, n_packets: usize) -> usize {
        for _ in 0..n_packets {
            let packet = self.packet();
            self.socket.send(self.local, self.server, &packet);
            if offload == Offload::Single {
                self.socket.flush();
            }
        }
        self.socket.flush();
        n_packets
    }

    fn packet(&mut self) -> Vec<u8> {
        let sequence = self.sequence;
        self.sequence += 1;
        let mut packet = Vec::with_capacity(PAYLOAD_BYTES + 48);
        packet.extend([0x90, PAYLOAD_TYPE]);
        packet.extend((sequence as u16).to_be_bytes());
        packet.extend((sequence as u32).wrapping_mul(90).to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        // transport-wide sequence number (id 3) and MID (id 4), padded to 8 bytes.
        packet.extend([0xbe, 0xde, 0, 2, 0x31]);
        packet.extend((sequence as u16).to_be_bytes());
        packet.extend([0x40, b'0', 0, 0, 0]);
        let header_len = packet.len();
        packet.resize(header_len + PAYLOAD_BYTES, 0x5a);
        self.sealer.seal_rtp(&mut packet, header_len, sequence);
        packet
    }
}

/// Sends `rate` packets per second in all for `time`, round robin; how many were sent.
pub(crate) fn blast(encoders: &mut [Encoder], offload: Offload, rate: u32, time: Duration) -> u64 {
    let start = Instant::now();
    let gap = Duration::from_secs(1) * BURST as u32 / rate;
    let mut sent = 0;
    let mut due = start;
    while due < start + time {
        for encoder in encoders.iter_mut() {
            while Instant::now() < due {
                std::hint::spin_loop();
            }
            sent += encoder.send_burst(offload, BURST) as u64;
            due += gap;
        }
    }
    sent
}

fn ssrc(n: u32) -> u32 {
    0x1000_0000 + n
}

fn offer(dtls: &Dtls, n: u32) -> String {
    let ssrc = ssrc(n);
    [
        "v=0",
        &format!("o=- {n} 1 IN IP4 127.0.0.1"),
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        &format!("m=video 9 UDP/TLS/RTP/SAVPF {PAYLOAD_TYPE}"),
        "c=IN IP4 0.0.0.0",
        &format!("a=ice-ufrag:{UFRAG}"),
        &format!("a=ice-pwd:{PWD}"),
        &format!("a=fingerprint:sha-256 {}", dtls.fingerprint()),
        "a=setup:actpass",
        "a=mid:0",
        "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=sendonly",
        "a=msid:bench video",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        &format!("a=rtpmap:{PAYLOAD_TYPE} VP8/90000"),
        &format!("a=rtcp-fb:{PAYLOAD_TYPE} nack"),
        &format!("a=rtcp-fb:{PAYLOAD_TYPE} nack pli"),
        &format!("a=rtcp-fb:{PAYLOAD_TYPE} transport-cc"),
        &format!("a=ssrc:{ssrc} cname:bench"),
        &format!("a=ssrc:{ssrc} msid:bench video"),
        "",
    ]
    .join("\r\n")
}

/// ICE as the controlling side, answering the server's own checks if it makes any, then DTLS.
fn negotiate(socket: &UdpSocket, dtls: &Dtls, role: Role, ufrag: &str, pwd: &str) -> anyhow::Result<Sealer> {
    let start = Instant::now();
    let mut association: Option<Association> = None;
    let mut buffer = [0; 4096];
    socket.send(&check(ufrag, pwd))?;
    while start.elapsed() < CONNECT_WITHIN {
        let len = match socket.recv(&mut buffer) {
            Ok(len) => len,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                socket.send(&check(ufrag, pwd))?;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let datagram = &buffer[..len];
        match datagram.first() {
            Some(0) => answer_check(socket, datagram)?,
            Some(1) if association.is_none() => association = Some(Association::new(dtls, role)?),
            Some(20..=63) => {
                let association = match &mut association {
                    Some(association) => association,
                    none => none.insert(Association::new(dtls, role)?),
                };
                let keys = association.receive(datagram)?;
                while let Some(datagram) = association.poll_transmit() {
                    socket.send(&datagram)?;
                }
                if let Some(keys) = keys {
                    return Ok(Sealer::new(keys.profile, &keys.local)?);
                }
            }
            _ => {}
        }
        if let Some(association) = &mut association {
            while let Some(datagram) = association.poll_transmit() {
                socket.send(&datagram)?;
            }
        }
    }
    bail!("no connection within {CONNECT_WITHIN:?}")
}

fn answer_check(socket: &UdpSocket, datagram: &[u8]) -> anyhow::Result<()> {
    if let Ok(request) = stun::Request::parse(datagram) {
        let path = Path::udp(socket.local_addr()?, socket.peer_addr()?);
        let mut answer = vec![];
        request.success(path.remote, PWD, &mut answer);
        socket.send(&answer)?;
    }
    Ok(())
}

/// A nominating binding request (RFC 8489 §5, RFC 8445 §7.1).
fn check(ufrag: &str, pwd: &str) -> Vec<u8> {
    let mut attributes = vec![];
    attribute(&mut attributes, 0x0006, format!("{ufrag}:{UFRAG}").as_bytes());
    attribute(&mut attributes, 0x0024, &0x7e00_00ffu32.to_be_bytes());
    attribute(&mut attributes, 0x802a, &1u64.to_be_bytes());
    attribute(&mut attributes, 0x0025, &[]);
    let mut request = vec![0, 1];
    request.extend((attributes.len() as u16 + 24).to_be_bytes());
    request.extend(0x2112_a442u32.to_be_bytes());
    request.extend([0; 12]);
    request.extend(attributes);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, pwd.as_bytes());
    let tag = hmac::sign(&key, &request);
    attribute(&mut request, 0x0008, tag.as_ref());
    request
}

fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend(kind.to_be_bytes());
    out.extend((value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

fn post(http: SocketAddr, body: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(http)?;
    let len = body.len();
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: bench\r\nContent-Type: text/plain\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{body}"
    )?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let (head, answer) = response.split_once("\r\n\r\n").context("a response")?;
    if !head.starts_with("HTTP/1.1 200") || !answer.starts_with("v=0") {
        bail!("the server answered {head}\n{answer}");
    }
    Ok(answer.to_owned())
}

/// So that the arithmetic of a packet's size stays true.
const _: () = assert!(PAYLOAD_BYTES + 24 + Profile::AeadAes128Gcm.tag_len() == 1200);
