//! Encoders that get no further than to ICE or DTLS: each with a fault of its own.

use std::net::UdpSocket;

use super::{
    check, dtls,
    offer::{PAYLOAD_TYPE, Posted, SSRC, UFRAG, offer, post},
    session::{Failure, negotiate},
};

/// What is wrong with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its checks are signed with another password than the answer's.
    WrongPassword,
    /// It checks, and says nothing else.
    NoDtls,
    /// It checks, and sends media that no keys were ever made for.
    NoKeys,
    /// It ends the handshake by this alert.
    Alert(u8),
}

/// One that tries when it is told to.
#[derive(Debug)]
pub struct Broken {
    fault: Fault,
    socket: UdpSocket,
    credentials: (String, String),
    path: String,
}

/// The one record of a fatal alert, but for its number (RFC 6347 §4.1): content type 21, DTLS 1.2, epoch and record number 0, two bytes.
const FATAL_ALERT: [u8; 14] = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2];

impl Broken {
    /// POST by `origin`.
    ///
    /// # Errors
    /// A [`Failure`].
    pub fn post(origin: &str, stream: &str, token: &str, fault: Fault) -> Result<Self, Failure> {
        let Posted {
            server,
            credentials: (ufrag, pwd),
            path,
            ..
        } = post(origin, stream, token, &[], &offer("VP8", &dtls::fingerprint()))?;
        let socket = UdpSocket::bind("127.0.0.1:0").and_then(|socket| {
            socket.connect(server)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        let pwd = if fault == Fault::WrongPassword {
            pwd.chars().rev().collect()
        } else {
            pwd
        };
        Ok(Self {
            fault,
            socket: socket.map_err(Failure::Http)?,
            credentials: (ufrag, pwd),
            path,
        })
    }

    /// Its id, as the workers list it.
    pub fn sid(&self) -> &str {
        let (_, last) = self.path.rsplit_once('/').expect("a session has a path");
        last.split('.').next().unwrap_or(last)
    }

    /// Tries once more.
    pub fn try_again(&self) {
        let (ufrag, pwd) = &self.credentials;
        // What a server answers that has ended the session does not matter.
        let _ = self.socket.send(&check::request(check::next_id(), UFRAG, (ufrag, pwd)));
        let _ = match self.fault {
            Fault::Alert(number) => self.socket.send(&[&FATAL_ALERT[..], &[number]].concat()),
            Fault::NoKeys => self.socket.send(&unkeyed()),
            Fault::WrongPassword | Fault::NoDtls => return,
        };
    }
}

/// What looks like SRTP: before there are keys, nobody can tell that it is none.
fn unkeyed() -> Vec<u8> {
    let mut packet = vec![0x80, PAYLOAD_TYPE];
    packet.resize(8, 0);
    packet.extend(SSRC.to_be_bytes());
    packet.resize(200, 0x5a);
    packet
}

/// An encoder whose offer has another certificate's fingerprint than its own: how it failed.
///
/// # Panics
/// When it is connected.
pub fn with_foreign_fingerprint(origin: &str, stream: &str, token: &str) -> Failure {
    let foreign = ["5A"; 32].join(":");
    let posted = post(origin, stream, token, &[], &offer("VP8", &foreign));
    let connected = posted.and_then(|posted| {
        let (ufrag, pwd) = &posted.credentials;
        let negotiated = negotiate(posted.server, posted.role, (ufrag, pwd));
        negotiated.map_err(|error| Failure::NoConnection(error.to_string()))
    });
    connected.expect_err("no server takes another certificate")
}

/// A POST that offers this codec alone.
///
/// # Errors
/// A [`Failure`].
pub fn offer_codec(origin: &str, stream: &str, token: &str, codec: &str) -> Result<(), Failure> {
    post(origin, stream, token, &[], &offer(codec, &dtls::fingerprint())).map(drop)
}
