//! Frames into RTP packets, by the `webrtc` crate's own payloaders.

use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use rtc::{
    rtp::{
        codec::{h264::H264Payloader, h265::HevcPayloader, opus::OpusPayloader, vp8::Vp8Payloader},
        header::Header,
        packet::Packet,
        packetizer::Payloader,
    },
    shared::error::Error,
};

use super::source::{Codec, Frame};

/// One RTP stream.
pub(super) struct Packetiser {
    codec: Codec,
    payloader: Box<dyn Payloader>,
    payload_type: u8,
    ssrc: u32,
    next_sequence: u16,
    /// RTP time of the source's start.
    timestamp: u32,
    /// Ids and values that each packet carries.
    extensions: Vec<(u8, Bytes)>,
}

/// Leaves room for 12 bytes of RTP header, 16 of extensions (a head of 4, a sequence number of 3, a section's and a layer's
/// name of 2 to 4 each), and 16 of SRTP within the 1200 that WebRTC takes to pass everywhere.
const PAYLOAD_BYTES_MAX: usize = 1140;

impl Packetiser {
    pub(super) fn new(codec: Codec, ssrc: u32, payload_type: u8, extensions: Vec<(u8, Bytes)>) -> Self {
        let payloader: Box<dyn Payloader> = match codec {
            Codec::H264 => Box::new(H264Payloader::default()),
            Codec::H265 => Box::new(HevcPayloader),
            Codec::Vp8 => {
                let mut payloader = Vp8Payloader::default();
                payloader.enable_picture_id = true;
                Box::new(payloader)
            }
            Codec::Opus => Box::new(OpusPayloader),
        };
        // Both start anywhere (RFC 3550 §5.1).
        let (next_sequence, timestamp) = (random() as u16, random());
        Self {
            codec,
            payloader,
            payload_type,
            ssrc,
            next_sequence,
            timestamp,
            extensions,
        }
    }

    pub(super) fn packets(&mut self, frame: &Frame) -> Result<Vec<Packet>, Error> {
        let payloads = self.payloader.payload(PAYLOAD_BYTES_MAX, &frame.data)?;
        let ticks = frame.time.as_nanos() * u128::from(self.codec.clock_rate()) / 1_000_000_000;
        let timestamp = self.timestamp.wrapping_add(ticks as u32);
        let last = payloads.len().saturating_sub(1);
        payloads
            .into_iter()
            .enumerate()
            .map(|(i, payload)| self.packet(payload, timestamp, i == last))
            .collect()
    }

    fn packet(&mut self, payload: Bytes, timestamp: u32, last: bool) -> Result<Packet, Error> {
        let sequence_number = self.next_sequence;
        self.next_sequence = sequence_number.wrapping_add(1);
        // In video the marker ends a picture; in Opus it starts a talkspurt after DTX, which is not told here (RFC 7587 §4.1).
        let marker = last && self.codec.is_video();
        let mut header = Header {
            version: 2,
            marker,
            payload_type: self.payload_type,
            sequence_number,
            timestamp,
            ssrc: self.ssrc,
            ..Header::default()
        };
        for (id, value) in &self.extensions {
            header.set_extension(*id, value.clone())?;
        }
        Ok(Packet { header, payload })
    }
}

/// Not for secrets: the standard library's hash seed, which differs between calls.
pub(super) fn random() -> u32 {
    RandomState::new().hash_one(()) as u32
}
