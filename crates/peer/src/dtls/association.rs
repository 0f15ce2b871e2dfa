//! One association of rtc-dtls, behind what we need of it.
//!
//! Its `Endpoint` serves many peers by address. Here each session has its own, under one made-up address, so that a client that
//! moves does not matter; and its timer is not driven but for `reseal` (see `flight`).

use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Instant};

use bytes::BytesMut;
use rtc_dtls::{
    config::HandshakeConfig,
    endpoint::{Endpoint, EndpointEvent},
};
use rtc_shared::{TransportProtocol, error::Error as RtcError};
use whipcord_whip::{negotiate::Role, offer::Fingerprint};

use super::{Error, certificate};
use crate::srtp::Keys;

/// RFC 5764 §4.2.
const EXPORTER_LABEL: &str = "EXTRACTOR-dtls_srtp";
/// RFC 5737 documentation addresses: they never reach a socket.
const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 9);
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)), 9);

pub(super) struct Association {
    endpoint: Endpoint,
}

/// What came of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Nothing,
    /// The handshake is complete.
    Completed,
    /// The peer's close_notify; the reply is queued.
    Closed,
    /// A fatal alert that was protected: the peer's, or ours about a record of the peer's.
    Aborted,
}

impl Association {
    /// Queues a ClientHello.
    pub(super) fn client(now: Instant, config: Arc<HandshakeConfig>) -> Result<Self, Error> {
        let mut endpoint = Endpoint::new(LOCAL, TransportProtocol::UDP, None);
        endpoint
            .connect(now, PEER, config, None)
            .map_err(|error| from_rtc(&error))?;
        Ok(Self { endpoint })
    }

    pub(super) fn server(config: Arc<HandshakeConfig>) -> Self {
        Self {
            endpoint: Endpoint::new(LOCAL, TransportProtocol::UDP, Some(config)),
        }
    }

    /// An error ends a handshake; alerts for the peer may be queued by then. Application data goes to `inbox`, or nowhere.
    pub(super) fn read(
        &mut self,
        now: Instant,
        records: BytesMut,
        mut inbox: Option<&mut VecDeque<BytesMut>>,
    ) -> Result<Read, Error> {
        let events = match self.endpoint.read(now, PEER, None, records) {
            Ok(events) => events,
            Err(RtcError::ErrAlertFatalOrClose) => return Ok(Read::Aborted),
            Err(error) => return Err(from_rtc(&error)),
        };
        let mut happened = None;
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => happened = happened.or(Some(Read::Completed)),
                EndpointEvent::PeerClosed => happened = happened.or(Some(Read::Closed)),
                EndpointEvent::ApplicationData(data) => {
                    if let Some(inbox) = &mut inbox {
                        inbox.push_back(data);
                    }
                }
                _ => {}
            }
        }
        Ok(happened.unwrap_or(Read::Nothing))
    }

    /// Queues application data, in one record.
    pub(super) fn write(&mut self, now: Instant, data: &[u8]) {
        // It fails only before the handshake is complete, and after close_notify.
        drop(self.endpoint.write(now, PEER, data));
    }

    /// The datagrams queued.
    pub(super) fn transmits(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.endpoint.poll_transmit())
            .map(|transmit| transmit.message.to_vec())
            .collect()
    }

    /// The flight in flight, sealed again with new record numbers. Empty if rtc-dtls has stopped its timer meanwhile, which it
    /// does at any handshake record: so at none after a client's last flight but the one that ends the handshake.
    pub(super) fn reseal(&mut self, now: Instant) -> Vec<Vec<u8>> {
        // It fails only beyond its own number of repeats.
        drop(self.endpoint.handle_timeout(PEER, now));
        self.transmits()
    }

    /// Queues close_notify, and forgets the keys.
    pub(super) fn close(&mut self, now: Instant) {
        drop(self.endpoint.stop(now, PEER));
    }

    /// The SRTP keys of a complete handshake, if the certificate that signed it is an announced one.
    pub(super) fn keys(&self, role: Role, announced: &[Fingerprint]) -> Result<Keys, Error> {
        let state = self.endpoint.get_connection_state(PEER).ok_or(Error::Protocol)?;
        let certificate = state.peer_certificates.first().ok_or(Error::NoCertificate)?;
        if !certificate::is_announced(certificate, announced) {
            return Err(Error::FingerprintMismatch);
        }
        let profile = certificate::from_rtc(state.srtp_protection_profile()).ok_or(Error::NoSrtpProfile)?;
        let material = state
            .export_keying_material(EXPORTER_LABEL, &[], profile.exporter_len())
            .map_err(|error| from_rtc(&error))?;
        Keys::from_exporter(profile, role, material.as_ref()).ok_or(Error::Protocol)
    }
}

fn from_rtc(error: &RtcError) -> Error {
    match error {
        RtcError::ErrServerNoMatchingSrtpProfile
        | RtcError::ErrClientNoMatchingSrtpProfile
        | RtcError::ErrRequestedButNoSrtpExtension => Error::NoSrtpProfile,
        RtcError::ErrCipherSuiteNoIntersection | RtcError::ErrInvalidCipherSuite => Error::NoCipherSuite,
        RtcError::ErrUnsupportedProtocolVersion => Error::Version,
        RtcError::ErrKeySignatureMismatch
        | RtcError::ErrKeySignatureVerifyUnimplemented
        | RtcError::ErrNoAvailableSignatureSchemes => Error::Signature,
        RtcError::ErrClientCertificateRequired | RtcError::ErrCertificateVerifyNoCertificate => Error::NoCertificate,
        _ => Error::Protocol,
    }
}
