//! An encoder's side: rtc-sctp as it comes.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use rtc_sctp::{
    AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload, ServerConfig,
    StreamEvent, TransportConfig,
};
pub(super) use rtc_sctp::{PayloadProtocolIdentifier as Protocol, ReliabilityType};
use rtc_shared::TransportProtocol;

use super::*;

pub(super) struct Client {
    endpoint: Endpoint,
    association: Option<(AssociationHandle, rtc_sctp::Association)>,
    /// What came back, by stream: the channels' own messages as well.
    pub(super) heard: BTreeMap<u16, Vec<(Protocol, Bytes)>>,
    pub(super) connected: bool,
    pub(super) reset: Vec<u16>,
}

fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5000))
}

impl Client {
    fn new(server: Option<Arc<ServerConfig>>) -> Self {
        let config = Arc::new(EndpointConfig::new());
        Self {
            endpoint: Endpoint::new(address(), TransportProtocol::UDP, config, server),
            association: None,
            heard: BTreeMap::new(),
            connected: false,
            reset: Vec::new(),
        }
    }

    /// Waits for our INIT.
    pub(super) fn waiting() -> Self {
        Self::new(Some(Arc::new(ServerConfig::new(TransportConfig::default()))))
    }

    pub(super) fn beginning(now: Instant) -> Self {
        let mut client = Self::new(None);
        let config = ClientConfig::new(TransportConfig::default());
        client.association = Some(client.endpoint.connect(now, config, address()).unwrap());
        client
    }

    pub(super) fn association(&mut self) -> &mut rtc_sctp::Association {
        &mut self.association.as_mut().unwrap().1
    }

    /// Opens a channel (RFC 8832 §5.1).
    pub(super) fn open(&mut self, now: Instant, stream: u16, kind: u8, parameter: u32, label: &str) {
        let mut opened = self.association().open_stream(stream, Protocol::Binary).unwrap();
        let rexmit = match kind & 0x7F {
            1 => ReliabilityType::Rexmit,
            _ => ReliabilityType::Reliable,
        };
        opened
            .set_reliability_params(kind & 0x80 != 0, rexmit, parameter)
            .unwrap();
        self.send(now, stream, Protocol::Dcep, &open_message(kind, parameter, label));
    }

    pub(super) fn send(&mut self, now: Instant, stream: u16, protocol: Protocol, message: &[u8]) {
        let mut stream = self.association().stream(stream).unwrap();
        stream.write_with_ppi(now, message, protocol).unwrap();
    }

    pub(super) fn close(&mut self, now: Instant, stream: u16) {
        self.association().stream(stream).unwrap().close(now).unwrap();
    }

    pub(super) fn receive(&mut self, now: Instant, packet: &Bytes) {
        match self.endpoint.handle(now, address(), None, packet.clone()) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                self.association = Some((handle, association));
            }
            Some((_, DatagramEvent::AssociationEvent(event))) => self.association().handle_event(event),
            _ => {}
        }
        self.listen();
    }

    pub(super) fn transmits(&mut self, now: Instant) -> Vec<Bytes> {
        let Some((_, association)) = &mut self.association else {
            return vec![];
        };
        let payloads = std::iter::from_fn(|| association.poll_transmit(now));
        let encoded = payloads.map(|transmit| match transmit.message {
            Payload::RawEncode(packets) => packets,
            _ => vec![],
        });
        encoded.flatten().collect()
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.association.as_ref()?.1.poll_timeout()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.association().handle_timeout(now);
        self.listen();
    }

    fn listen(&mut self) {
        let Some((_, association)) = &mut self.association else {
            return;
        };
        while let Some(event) = association.poll() {
            match event {
                Event::Connected => self.connected = true,
                Event::AssociationLost { id, .. } => self.reset.push(id),
                Event::Stream(StreamEvent::Readable { id }) => {
                    while let Ok(Some(chunks)) = association.stream(id).unwrap().read_sctp() {
                        let message = chunks.to_payload(1 << 20).unwrap().freeze();
                        self.heard.entry(id).or_default().push((chunks.ppi, message));
                    }
                }
                _ => {}
            }
        }
    }
}

pub(super) fn open_message(kind: u8, parameter: u32, label: &str) -> Vec<u8> {
    let mut message = vec![0x03, kind, 0, 0];
    message.extend(parameter.to_be_bytes());
    message.extend(u16::try_from(label.len()).unwrap().to_be_bytes());
    message.extend([0, 0]);
    message.extend(label.as_bytes());
    message
}
