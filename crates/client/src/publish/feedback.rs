//! What the server sends back about our media: keyframe requests and retransmission requests, counted where they pass by.
//!
//! The `webrtc` crate acts on RTCP inside its interceptor chain and shows none of it, so this one listens there.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use rtc::{
    interceptor::{Interceptor, Packet, Slot, StreamInfo, TaggedPacket},
    rtcp::{
        payload_feedbacks::{full_intra_request::FullIntraRequest, picture_loss_indication::PictureLossIndication},
        transport_feedbacks::transport_layer_nack::TransportLayerNack,
    },
    sansio::Protocol,
    shared::error::Error,
};

/// Counted since the session began. Shared between the connection's driver, which writes, and the sender, which reads.
#[derive(Debug, Default)]
pub(super) struct Feedback {
    keyframe_requests: AtomicU64,
    nacked_packets: AtomicU64,
    keyframe_wanted: AtomicBool,
}

impl Feedback {
    /// Picture loss indications and full intra requests (RFC 4585 §6.3.1, RFC 5104 §4.3.1).
    pub(super) fn keyframe_requests(&self) -> u64 {
        self.keyframe_requests.load(Ordering::Relaxed)
    }

    /// Packets that the server asked for again (RFC 4585 §6.2.1).
    pub(super) fn nacked_packets(&self) -> u64 {
        self.nacked_packets.load(Ordering::Relaxed)
    }

    /// Whether a keyframe was asked for since the last call.
    pub(super) fn take_keyframe_request(&self) -> bool {
        self.keyframe_wanted.swap(false, Ordering::Relaxed)
    }

    fn count(&self, packet: &dyn rtc::rtcp::Packet) {
        let packet = packet.as_any();
        if packet.is::<PictureLossIndication>() || packet.is::<FullIntraRequest>() {
            self.keyframe_requests.fetch_add(1, Ordering::Relaxed);
            self.keyframe_wanted.store(true, Ordering::Relaxed);
        }
        if let Some(nack) = packet.downcast_ref::<TransportLayerNack>() {
            let packets = nack
                .nacks
                .iter()
                .map(|pair| 1 + u64::from(pair.lost_packets.count_ones()))
                .sum();
            self.nacked_packets.fetch_add(packets, Ordering::Relaxed);
        }
    }
}

/// Lets every packet pass, both ways.
pub(super) struct Listener {
    feedback: Arc<Feedback>,
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
}

impl Listener {
    /// Nearest to the wire, so that no other interceptor has consumed what it looks for.
    pub(super) const SLOT: Slot = Slot::Custom(1);

    pub(super) fn new(feedback: Arc<Feedback>) -> Self {
        Self {
            feedback,
            inbound: VecDeque::new(),
            outbound: VecDeque::new(),
        }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Listener {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &packet.message.packet {
            packets.iter().for_each(|packet| self.feedback.count(packet.as_ref()));
        }
        self.inbound.push_back(packet);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inbound.pop_front()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.outbound.push_back(packet);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outbound.pop_front()
    }
}

impl Interceptor for Listener {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
