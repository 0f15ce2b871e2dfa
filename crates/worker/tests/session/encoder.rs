//! A small encoder: ICE, DTLS and SRTP of its own side over a real socket. One picture format (VP8) and Opus.

use std::{
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use aws_lc_rs::hmac;
use whipcord_peer::{
    Certificate,
    dtls::{Dtls, Output},
    srtp::Sealer,
};
use whipcord_whip::{negotiate::Role, offer::Fingerprint};

pub(crate) const AUDIO_SSRC: u32 = 0x1111;
pub(crate) const VIDEO_SSRC: u32 = 0x2222;

const PASSWORD: &str = "encoderencoderencoder1";
const WAIT: Duration = Duration::from_secs(20);

pub(crate) struct Encoder {
    socket: UdpSocket,
    certificate: Certificate,
    pub(crate) ufrag: String,
    connected: Option<Connected>,
    /// RTCP datagrams received, still encrypted.
    pub(crate) feedback: usize,
    sequence: u64,
}

struct Connected {
    answer: Answer,
    dtls: Dtls,
    sealer: Sealer,
}

/// What an encoder reads in an answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) ufrag: String,
    pub(crate) pwd: String,
    pub(crate) address: SocketAddr,
}

impl Answer {
    pub(crate) fn parse(sdp: &str) -> Self {
        let value = |name: &str| {
            let found = sdp.lines().find_map(|line| line.strip_prefix(&format!("a={name}:")));
            found.unwrap_or_else(|| panic!("no {name} in {sdp}")).trim().to_owned()
        };
        let candidate = value("candidate");
        let words: Vec<&str> = candidate.split(' ').collect();
        let address = SocketAddr::new(words[4].parse().unwrap(), words[5].parse().unwrap());
        Self {
            ufrag: value("ice-ufrag"),
            pwd: value("ice-pwd"),
            address,
        }
    }
}

impl Encoder {
    pub(crate) fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let certificate = Certificate::generate().unwrap();
        Self {
            socket,
            certificate,
            ufrag: "encd".into(),
            connected: None,
            feedback: 0,
            sequence: 0,
        }
    }

    pub(crate) fn offer(&self) -> String {
        let section = |media: &str, mid: u8, ssrc: u32, lines: &str| {
            let (ufrag, fingerprint) = (&self.ufrag, self.certificate.fingerprint());
            format!(
                "m={media}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=sendonly\r\na=rtcp-mux\r\na=ice-ufrag:{ufrag}\r\n\
                 a=ice-pwd:{PASSWORD}\r\na=fingerprint:{fingerprint}\r\na=setup:active\r\n{lines}a=ssrc:{ssrc} cname:x\r\n"
            )
        };
        let audio = section(
            "audio 9 UDP/TLS/RTP/SAVPF 111",
            0,
            AUDIO_SSRC,
            "a=rtpmap:111 opus/48000/2\r\n",
        );
        let video = "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n";
        let video = section("video 9 UDP/TLS/RTP/SAVPF 96", 1, VIDEO_SSRC, video);
        format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n{audio}{video}")
    }

    /// A recorded offer, with this encoder's own transport.
    pub(crate) fn offer_like(&self, recorded: &str) -> String {
        let own = [
            ("a=ice-ufrag:", self.ufrag.clone()),
            ("a=ice-pwd:", PASSWORD.to_owned()),
            ("a=fingerprint:", self.certificate.fingerprint().to_string()),
        ];
        let line = |line: &str| match own.iter().find(|(name, _)| line.starts_with(name)) {
            Some((name, value)) => format!("{name}{value}\r\n"),
            None => format!("{line}\r\n"),
        };
        recorded.lines().map(line).collect()
    }

    /// ICE and DTLS, until keys exist.
    pub(crate) fn connect(&mut self, answer: &Answer, fingerprint: &Fingerprint) {
        self.check(answer);
        let now = Instant::now();
        let mut dtls = Dtls::new(now, Role::Client, &self.certificate, std::slice::from_ref(fingerprint)).unwrap();
        let deadline = now + WAIT;
        let keys = loop {
            assert!(Instant::now() < deadline, "DTLS");
            while let Some(datagram) = dtls.poll_transmit() {
                self.socket.send_to(&datagram, answer.address).unwrap();
            }
            match dtls.poll_output() {
                Some(Output::Connected(keys)) => break keys,
                Some(other) => panic!("{other:?}"),
                None => {}
            }
            if let Some(datagram) = self.receive() {
                let _ = dtls.receive(Instant::now(), &datagram);
            }
            dtls.handle_timeout(Instant::now());
        };
        let sealer = Sealer::new(keys.profile, &keys.local).unwrap();
        self.connected = Some(Connected {
            answer: answer.clone(),
            dtls,
            sealer,
        });
    }

    /// A connectivity check that nominates, repeated until it is answered.
    pub(crate) fn check(&mut self, answer: &Answer) {
        let deadline = Instant::now() + WAIT;
        loop {
            assert!(Instant::now() < deadline, "no answer to STUN");
            self.socket
                .send_to(&binding_request(answer, &self.ufrag), answer.address)
                .unwrap();
            // RFC 8489 §5: a success response to a binding request.
            if self
                .receive()
                .is_some_and(|datagram| datagram.starts_with(&[0x01, 0x01]))
            {
                return;
            }
        }
    }

    /// Media of this time, as fast as it goes; the first picture is a keyframe.
    pub(crate) fn send(&mut self, duration: Duration) {
        for step in 0..duration.as_millis() as u64 / 40 {
            let n = self.sequence;
            self.sequence += 1;
            let picture: &[u8] = match step {
                // RFC 7741 §4.2 and RFC 6386 §9.1: a keyframe of 320 x 240.
                0 => &[
                    0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00, 1, 2, 3,
                ],
                _ => &[0x10, 0x11, 0x02, 0x00, 1, 2, 3],
            };
            self.rtp(96, VIDEO_SSRC, n, n * 3600, &[picture, &[0; 500]].concat());
            self.rtp(111, AUDIO_SSRC, 2 * n, 2 * n * 960, &[0xfc, 1, 2]);
            self.rtp(111, AUDIO_SSRC, 2 * n + 1, (2 * n + 1) * 960, &[0xfc, 1, 2]);
        }
    }

    pub(crate) fn rtp(&mut self, payload_type: u8, ssrc: u32, sequence: u64, timestamp: u64, payload: &[u8]) {
        self.rtp_with(&[], payload_type, ssrc, sequence, timestamp, payload);
    }

    /// With header extensions (RFC 8285 §4.2), whole words of them.
    pub(crate) fn rtp_with(
        &mut self,
        extensions: &[u8],
        payload_type: u8,
        ssrc: u32,
        sequence: u64,
        timestamp: u64,
        payload: &[u8],
    ) {
        let connected = self.connected.as_ref().expect("connect first");
        let extended = if extensions.is_empty() { 0x80 } else { 0x90 };
        let mut packet = vec![extended, 0x80 | payload_type];
        packet.extend_from_slice(&(sequence as u16).to_be_bytes());
        packet.extend_from_slice(&(timestamp as u32).to_be_bytes());
        packet.extend_from_slice(&ssrc.to_be_bytes());
        if !extensions.is_empty() {
            packet.extend_from_slice(&[0xbe, 0xde, 0, (extensions.len() / 4) as u8]);
            packet.extend_from_slice(extensions);
        }
        let header = packet.len();
        packet.extend_from_slice(payload);
        connected.sealer.seal_rtp(&mut packet, header, sequence);
        self.socket.send_to(&packet, connected.answer.address).unwrap();
    }

    /// Any datagram, as an attacker sends it.
    pub(crate) fn raw(&self, to: SocketAddr, datagram: &[u8]) {
        self.socket.send_to(datagram, to).unwrap();
    }

    /// Reads until nothing comes for a moment; true if a close_notify was among it.
    pub(crate) fn drain(&mut self) -> bool {
        while let Some(datagram) = self.receive() {
            match datagram[0] {
                20..=63 => {
                    let Some(connected) = &mut self.connected else { continue };
                    let _ = connected.dtls.receive(Instant::now(), &datagram);
                    if let Some(Output::Closed) = connected.dtls.poll_output() {
                        return true;
                    }
                }
                128..=191 => self.feedback += 1,
                _ => {}
            }
        }
        false
    }

    /// Ends properly.
    pub(crate) fn close(&mut self) {
        let connected = self.connected.as_mut().expect("connect first");
        connected.dtls.close(Instant::now());
        while let Some(datagram) = connected.dtls.poll_transmit() {
            self.socket.send_to(&datagram, connected.answer.address).unwrap();
        }
    }

    fn receive(&self) -> Option<Vec<u8>> {
        let mut buffer = [0; 2048];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(buffer[..length].to_vec())
    }
}

/// RFC 8445 §7.1, RFC 8489 §5 and §14.
fn binding_request(answer: &Answer, ufrag: &str) -> Vec<u8> {
    let mut message = vec![0x00, 0x01, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    message.extend_from_slice(b"transaction1");
    attribute(&mut message, 0x0006, format!("{}:{ufrag}", answer.ufrag).as_bytes());
    attribute(&mut message, 0x0024, &1_u32.to_be_bytes());
    attribute(&mut message, 0x802a, &7_u64.to_be_bytes());
    attribute(&mut message, 0x0025, &[]);
    // The length covers MESSAGE-INTEGRITY before it is computed.
    set_length(&mut message, 24);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, answer.pwd.as_bytes());
    let tag = hmac::sign(&key, &message);
    attribute(&mut message, 0x0008, tag.as_ref());
    message
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&(value.len() as u16).to_be_bytes());
    message.extend_from_slice(value);
    message.resize(message.len().next_multiple_of(4), 0);
    set_length(message, 0);
}

fn set_length(message: &mut [u8], more: usize) {
    let length = (message.len() - 20 + more) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}
