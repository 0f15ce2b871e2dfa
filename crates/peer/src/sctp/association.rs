//! One association of rtc-sctp, behind what we need of it.
//!
//! Its `Endpoint` serves many peers by address and tag. Here each association has its own, under one made-up address: which
//! packets are its session's, DTLS has decided.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use bytes::Bytes;
use rtc_sctp::{
    AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Payload,
    PayloadProtocolIdentifier as Protocol, ReliabilityType, ServerConfig, StreamEvent, TimerConfig, TransportConfig,
};
use rtc_shared::TransportProtocol;
use whipcord_whip::answer::{MESSAGE_BYTES_MAX, SCTP_PORT};

use super::{RECEIVE_WINDOW, STREAMS_MAX, dcep::Reliability};

/// RFC 5737 documentation addresses: they never reach a socket.
const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 9);
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)), 9);

/// Repeats of unacknowledged data, and of anything else: ICE has ended a session in which so many came to nothing.
const REPEATS_MAX: usize = 32;

pub(super) struct Association {
    endpoint: Endpoint,
    handle: AssociationHandle,
    inner: rtc_sctp::Association,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Connected,
    Readable(u16),
    /// The encoder closed the channel.
    Reset(u16),
}

/// A whole message.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) protocol: Protocol,
    /// Fragments that it came in.
    pub(super) chunks: usize,
    content: rtc_sctp::Chunks,
}

impl Message {
    pub(super) fn len(&self) -> usize {
        self.content.len()
    }

    /// None if it is longer than we said we take.
    pub(super) fn bytes(&self) -> Option<Bytes> {
        let content = self.content.to_payload(MESSAGE_BYTES_MAX as usize);
        content.ok().map(bytes::BytesMut::freeze)
    }
}

impl std::fmt::Debug for Association {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Association")
            .field("handshaking", &self.inner.is_handshaking())
            .finish_non_exhaustive()
    }
}

impl Association {
    /// Queues an INIT.
    pub(super) fn connect(now: Instant) -> Option<Self> {
        let mut endpoint = endpoint(None);
        let (handle, inner) = endpoint.connect(now, ClientConfig::new(transport()), PEER).ok()?;
        Some(Self {
            endpoint,
            handle,
            inner,
        })
    }

    /// Answers an INIT.
    pub(super) fn accept(now: Instant, init: &Bytes) -> Option<Self> {
        let mut endpoint = endpoint(Some(Arc::new(ServerConfig::new(transport()))));
        match endpoint.handle(now, PEER, None, init.clone())? {
            (handle, DatagramEvent::NewAssociation(inner)) => Some(Self {
                endpoint,
                handle,
                inner,
            }),
            _ => None,
        }
    }

    pub(super) fn receive(&mut self, now: Instant, packet: &Bytes) {
        // What is no association's, by its tag, comes to nothing: an INIT never gets here.
        if let Some((handle, DatagramEvent::AssociationEvent(event))) =
            self.endpoint.handle(now, PEER, None, packet.clone())
            && handle == self.handle
        {
            self.inner.handle_event(event);
        }
    }

    pub(super) fn poll(&mut self) -> Option<Event> {
        while let Some(event) = self.inner.poll() {
            match event {
                rtc_sctp::Event::Connected => return Some(Event::Connected),
                rtc_sctp::Event::Stream(StreamEvent::Readable { id }) => return Some(Event::Readable(id)),
                rtc_sctp::Event::AssociationLost { id, .. } => return Some(Event::Reset(id)),
                _ => {}
            }
        }
        None
    }

    pub(super) fn poll_transmit(&mut self, now: Instant) -> Vec<Bytes> {
        let mut packets = Vec::new();
        while let Some(transmit) = self.inner.poll_transmit(now) {
            if let Payload::RawEncode(encoded) = transmit.message {
                packets.extend(encoded);
            }
        }
        packets
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.inner.poll_timeout()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.inner.handle_timeout(now);
    }

    /// At first it is closed, too.
    pub(super) fn is_closed(&self) -> bool {
        self.inner.is_closed() && !self.inner.is_handshaking()
    }

    pub(super) fn read(&mut self, stream: u16) -> Option<Message> {
        let content = self.inner.stream(stream).ok()?.read_sctp().ok()??;
        Some(Message {
            protocol: content.ppi,
            chunks: content.chunks.len(),
            content,
        })
    }

    /// False if the channel is gone.
    pub(super) fn write(&mut self, now: Instant, stream: u16, message: &Bytes, protocol: Protocol) -> bool {
        let stream = self.inner.stream(stream);
        stream.is_ok_and(|mut stream| stream.write_sctp(now, message, protocol).is_ok())
    }

    /// How messages are sent on a channel, and what of it is forgotten where the encoder gives messages up.
    pub(super) fn set_reliability(&mut self, stream: u16, unordered: bool, reliability: Reliability) {
        let (kind, value) = match reliability {
            Reliability::Reliable => (ReliabilityType::Reliable, 0),
            Reliability::Retransmits(count) => (ReliabilityType::Rexmit, count),
            Reliability::Milliseconds(count) => (ReliabilityType::Timed, count),
        };
        if let Ok(mut stream) = self.inner.stream(stream) {
            // It fails only for a stream that is gone.
            drop(stream.set_reliability_params(unordered, kind, value));
        }
    }

    /// Bytes that are not acknowledged yet.
    pub(super) fn unacknowledged(&mut self, stream: u16) -> usize {
        let stream = self.inner.stream(stream);
        stream.map_or(0, |stream| stream.buffered_amount().unwrap_or(0))
    }
}

fn endpoint(server: Option<Arc<ServerConfig>>) -> Endpoint {
    Endpoint::new(LOCAL, TransportProtocol::UDP, Arc::new(EndpointConfig::new()), server)
}

fn transport() -> TransportConfig {
    let timers = TimerConfig {
        max_t1_init_retrans: REPEATS_MAX,
        max_t1_cookie_retrans: REPEATS_MAX,
        max_t2_shutdown_retrans: REPEATS_MAX,
        max_t3_rtx_retrans: REPEATS_MAX,
        max_reconfig_retrans: REPEATS_MAX,
        max_ack_retrans: REPEATS_MAX,
    };
    TransportConfig::default()
        .with_sctp_port(SCTP_PORT)
        .with_max_receive_buffer_size(RECEIVE_WINDOW)
        .with_max_message_size(MESSAGE_BYTES_MAX)
        .with_max_num_inbound_streams(STREAMS_MAX)
        .with_max_num_outbound_streams(STREAMS_MAX)
        .with_timer_config(timers)
}
