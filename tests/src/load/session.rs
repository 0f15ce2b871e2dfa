//! One encoder without a codec: a real POST, ICE, DTLS and SRTP on a socket of its own. What it sends is noise.

use std::{
    collections::HashSet,
    io::{self, ErrorKind},
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use super::{
    check,
    dtls::{self, Association, Role, Sealer},
    offer::{PAYLOAD_TYPE, PWD, Posted, SSRC, UFRAG, offer, post},
};
use crate::http;

/// After an ICE restart.
const UFRAG_AGAIN: &str = "loadufragagain";
const PWD_AGAIN: &str = "loadpasswordagainloadpassword";
/// Of one packet: what is sent is counted, not looked at.
const PAYLOAD_BYTES: usize = 100;
/// The first packet of a frame (RFC 7741 §4.2), and the head of a keyframe of 64×48 (RFC 6386 §9.1).
const KEYFRAME: [u8; 11] = [0x10, 0x50, 0x0b, 0x00, 0x9d, 0x01, 0x2a, 64, 0, 48, 0];
/// The only packet of a picture that needs another one.
const DELTA: [u8; 4] = [0x10, 0x51, 0x0b, 0x00];
/// The last packet of a picture (RFC 3550 §5.1).
const MARKER: u8 = 0x80;
/// An encoder that is not connected by then begins again: OBS's own limit is of that order.
const CONNECT_MAX: Duration = Duration::from_secs(8);
/// A check, or a flight of DTLS, that nothing answers is repeated.
const REPEAT: Duration = Duration::from_millis(300);
/// Larger than any datagram of a server.
const DATAGRAM: usize = 4096;

/// A connected session.
#[derive(Debug)]
pub struct Session {
    pub stream: String,
    /// From `/whip/` on: any gateway takes it.
    pub path: String,
    etag: String,
    /// The encoder's own user fragment, and what the server answered.
    local: &'static str,
    credentials: (String, String),
    socket: UdpSocket,
    sealer: Sealer,
    sequence: u16,
    checks_sent: usize,
    unanswered: HashSet<[u8; 12]>,
}

/// Why there is no session.
#[derive(Debug)]
pub enum Failure {
    /// The gateway's answer is no 201.
    Refused(u16),
    Http(io::Error),
    /// Neither ICE nor DTLS came to an end, or one of them to a bad one.
    NoConnection(String),
}

impl Session {
    /// POST by `origin`, then ICE and DTLS.
    ///
    /// # Errors
    /// A [`Failure`]; an encoder begins again after some time.
    pub fn connect(origin: &str, stream: &str, token: &str) -> Result<Self, Failure> {
        Self::begin(origin, stream, token, &[], &offer("VP8", &dtls::fingerprint()))
    }

    /// The same within a trace of the encoder's own: `traceparent`, as it is sent.
    ///
    /// # Errors
    /// As [`Session::connect`].
    pub fn connect_within(origin: &str, stream: &str, token: &str, traceparent: &str) -> Result<Self, Failure> {
        let headers = [("traceparent", traceparent)];
        Self::begin(origin, stream, token, &headers, &offer("VP8", &dtls::fingerprint()))
    }

    /// The same with a codec by its name in SDP; what it sends is of it only if [`Session::send_picture`] is told so.
    ///
    /// # Errors
    /// As [`Session::connect`].
    pub fn connect_with(origin: &str, stream: &str, token: &str, codec: &str) -> Result<Self, Failure> {
        Self::begin(origin, stream, token, &[], &offer(codec, &dtls::fingerprint()))
    }

    /// One that may be asked for keyframes.
    ///
    /// # Errors
    /// As [`Session::connect`].
    pub fn connect_to_be_asked(origin: &str, stream: &str, token: &str) -> Result<Self, Failure> {
        let offer = offer("VP8", &dtls::fingerprint()) + &format!("a=rtcp-fb:{PAYLOAD_TYPE} nack pli\r\n");
        Self::begin(origin, stream, token, &[], &offer)
    }

    fn begin(origin: &str, stream: &str, token: &str, headers: &[(&str, &str)], offer: &str) -> Result<Self, Failure> {
        let Posted {
            server,
            role,
            credentials,
            path,
            etag,
        } = post(origin, stream, token, headers, offer)?;
        let negotiated = negotiate(server, role, (&credentials.0, &credentials.1));
        let (socket, sealer) = negotiated.map_err(|error| Failure::NoConnection(error.to_string()))?;
        Ok(Self {
            stream: stream.to_owned(),
            path,
            etag,
            local: UFRAG,
            credentials,
            socket,
            sealer,
            sequence: 1,
            checks_sent: 0,
            unanswered: HashSet::new(),
        })
    }

    /// Its id, as the workers list it.
    pub fn sid(&self) -> &str {
        let (_, last) = self.path.rsplit_once('/').expect("a session has a path");
        last.split('.').next().unwrap_or(last)
    }

    /// The session's URL by its id alone.
    pub fn path_by_id(&self) -> String {
        format!("/whip/{}/{}", self.stream, self.sid())
    }

    /// The ids of the keys that sealed its URL and that its ICE credentials were made with: the lower half of the first byte of
    /// either, in base64.
    pub fn key_ids(&self) -> (u8, u8) {
        let hint = self.path.rsplit_once('.').expect("a URL has a hint").1;
        (key_id(hint), key_id(&self.credentials.0))
    }

    /// One packet of media.
    pub fn send(&mut self) {
        let timestamp = u32::from(self.sequence) * 3000;
        self.send_picture(timestamp, &[0x5a; PAYLOAD_BYTES]);
    }

    /// One packet as a keyframe's first.
    pub fn send_keyframe(&mut self) {
        let timestamp = u32::from(self.sequence) * 3000;
        let mut payload = KEYFRAME.to_vec();
        payload.resize(PAYLOAD_BYTES, 0x5a);
        self.send_picture(timestamp, &payload);
    }

    /// One packet that is a whole picture, and no keyframe.
    pub fn send_delta(&mut self) {
        let timestamp = u32::from(self.sequence) * 3000;
        let mut packet = self.packet(timestamp, &DELTA);
        packet[1] |= MARKER;
        self.transmit(&packet);
    }

    /// One packet with this payload.
    pub fn send_picture(&mut self, timestamp: u32, payload: &[u8]) {
        let packet = self.packet(timestamp, payload);
        self.transmit(&packet);
    }

    fn transmit(&mut self, packet: &[u8]) {
        let sealed = self.sealer.seal(packet);
        // A server that is gone answers by ICMP.
        let _ = self.socket.send(&sealed);
    }

    /// Asks for consent (RFC 7675), by the credentials of the session's last ICE restart.
    pub fn check(&mut self) {
        let id = check::next_id();
        self.checks_sent += 1;
        self.unanswered.insert(id);
        let (ufrag, pwd) = &self.credentials;
        let _ = self.socket.send(&check::request(id, self.local, (ufrag, pwd)));
    }

    /// Reads what has come.
    pub fn read(&mut self) {
        let mut buffer = [0; DATAGRAM];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            if let Some(id) = check::answered(&buffer[..length]) {
                self.unanswered.remove(&id);
            }
        }
    }

    /// Checks sent since it is connected, and how many of them nothing answered.
    pub fn checks(&mut self) -> (usize, usize) {
        self.read();
        (self.checks_sent, self.unanswered.len())
    }

    /// PATCH with one more candidate; the status.
    pub fn trickle(&self, origin: &str) -> u16 {
        let fragment = format!(
            "a=ice-ufrag:{UFRAG}\r\na=ice-pwd:{PWD}\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
             a=candidate:1 1 UDP 2130706431 192.0.2.1 5000 typ host\r\na=end-of-candidates\r\n"
        );
        self.patch(origin, &self.etag, &fragment).status
    }

    /// PATCH with new credentials (RFC 9725 §4.3.3); the status. What the server answers are its credentials from now on.
    pub fn restart(&mut self, origin: &str) -> u16 {
        let fragment = format!("a=ice-ufrag:{UFRAG_AGAIN}\r\na=ice-pwd:{PWD_AGAIN}\r\n");
        let response = self.patch(origin, "\"*\"", &fragment);
        let value = |name: &str| {
            let line = response.body.lines().find_map(|line| line.strip_prefix(name));
            line.map(|value| value.trim().to_owned())
        };
        if let (Some(ufrag), Some(pwd)) = (value("a=ice-ufrag:"), value("a=ice-pwd:")) {
            (self.local, self.credentials) = (UFRAG_AGAIN, (ufrag, pwd));
            self.unanswered.clear();
        }
        response.status
    }

    fn patch(&self, origin: &str, if_match: &str, fragment: &str) -> http::Response {
        let headers = [
            ("Content-Type", "application/trickle-ice-sdpfrag"),
            ("If-Match", if_match),
        ];
        http::request("PATCH", &format!("{origin}{}", self.path), &headers, fragment)
    }

    /// DELETE, without a token: the URL is what gives leave. The status.
    ///
    /// # Errors
    /// When the gateway does not answer.
    pub fn delete(&self, origin: &str) -> io::Result<u16> {
        http::attempt("DELETE", &format!("{origin}{}", self.path), &[], "").map(|response| response.status)
    }

    fn packet(&mut self, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = Vec::with_capacity(12 + payload.len());
        packet.extend([0x80, PAYLOAD_TYPE]);
        packet.extend(sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(SSRC.to_be_bytes());
        packet.extend(payload);
        packet
    }
}

/// ICE as the controlling side, then DTLS. The socket does not block from then on.
pub(super) fn negotiate(server: SocketAddr, role: Role, credentials: (&str, &str)) -> io::Result<(UdpSocket, Sealer)> {
    let begun = Instant::now();
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(REPEAT))?;
    let mut association = None;
    let mut buffer = [0; DATAGRAM];
    let check = || socket.send(&check::request(check::next_id(), UFRAG, credentials));
    check()?;
    while begun.elapsed() < CONNECT_MAX {
        let length = match socket.recv(&mut buffer) {
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                check()?;
                let flight = association.as_ref().map_or(&[][..], Association::repeat);
                flight.iter().try_for_each(|datagram| socket.send(datagram).map(drop))?;
                continue;
            }
            Err(error) => return Err(error),
        };
        let datagram = &buffer[..length];
        let is_dtls = datagram.first().is_some_and(|first| (20..=63).contains(first));
        // A client begins once the path is known to be one.
        if association.is_none() && (is_dtls || check::answered(datagram).is_some() && role == Role::Client) {
            association = Some(Association::new(role).map_err(io::Error::other)?);
        }
        let Some(association) = &mut association else { continue };
        let sealer = if is_dtls {
            association.receive(datagram).map_err(io::Error::other)?
        } else {
            None
        };
        for datagram in association.transmit() {
            socket.send(datagram)?;
        }
        if let Some(sealer) = sealer {
            socket.set_nonblocking(true)?;
            return Ok((socket, sealer));
        }
    }
    Err(io::Error::other(format!("no connection within {CONNECT_MAX:?}")))
}

fn key_id(text: &str) -> u8 {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut bits = text
        .bytes()
        .map(|c| ALPHABET.iter().position(|known| *known == c).unwrap_or(62) as u8);
    let (first, second) = (bits.next().unwrap_or(0), bits.next().unwrap_or(0));
    // 62 and 63 are told apart by none of the ids that a test gets to.
    (first & 3) << 2 | second >> 4
}
