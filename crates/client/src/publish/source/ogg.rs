//! Ogg Opus (RFC 7845): packets, and how long each lasts by its own first byte (RFC 6716 §3.1).

use std::io::{Read, Seek};

use bytes::Bytes;
use ogg::PacketReader;

#[derive(Debug, thiserror::Error)]
pub enum OggError {
    #[error("not a whole Ogg stream: {0}")]
    Damaged(#[from] ogg::OggReadError),
    #[error("the Ogg stream does not hold Opus: convert with ffmpeg -c:a libopus")]
    NotOpus,
    #[error("the Opus stream has {0} channels; WHIP carries mono and stereo: convert with ffmpeg -ac 2 -c:a libopus")]
    Channels(u8),
    #[error("an Opus packet is empty or claims an impossible length")]
    Packet,
}

/// The Opus packets of one Ogg stream; other streams in the same file are passed over.
pub(super) struct Reader<R: Read + Seek> {
    packets: PacketReader<R>,
    serial: u32,
    /// Of the next packet, in samples at 48 kHz.
    position: u64,
}

/// An Opus packet and its start, in samples at 48 kHz.
pub(super) struct Packet {
    pub(super) start: u64,
    pub(super) data: Bytes,
}

/// The identification header (section 5.1): magic 8, version 1, channel count 1, ...
const ID_MAGIC: &[u8] = b"OpusHead";
const ID_LENGTH: usize = 19;

impl<R: Read + Seek> Reader<R> {
    pub(super) fn new(input: R) -> Result<Self, OggError> {
        let mut packets = PacketReader::new(input);
        let head = packets.read_packet()?.ok_or(OggError::NotOpus)?;
        if !head.data.starts_with(ID_MAGIC) || head.data.len() < ID_LENGTH {
            return Err(OggError::NotOpus);
        }
        let (channels, serial) = (head.data[9], head.stream_serial());
        if !(1..=2).contains(&channels) {
            return Err(OggError::Channels(channels));
        }
        let mut reader = Self {
            packets,
            serial,
            position: 0,
        };
        reader.read()?; // the comment header (section 5.2)
        Ok(reader)
    }

    /// `None` at the end of the stream.
    pub(super) fn next(&mut self) -> Result<Option<Packet>, OggError> {
        let Some(data) = self.read()? else { return Ok(None) };
        let samples = duration(&data).ok_or(OggError::Packet)?;
        let start = self.position;
        self.position += u64::from(samples);
        Ok(Some(Packet { start, data }))
    }

    fn read(&mut self) -> Result<Option<Bytes>, OggError> {
        while let Some(packet) = self.packets.read_packet()? {
            if packet.stream_serial() == self.serial {
                return Ok(Some(Bytes::from(packet.data)));
            }
        }
        Ok(None)
    }
}

/// How long an Opus packet lasts, in samples at 48 kHz; at most 120 ms (RFC 6716 §3.2.5, R5).
fn duration(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let frame = match toc >> 3 {
        config @ 0..12 => [480, 960, 1920, 2880][usize::from(config % 4)],
        config @ 12..16 => [480, 960][usize::from(config % 2)],
        config => [120, 240, 480, 960][usize::from(config % 4)],
    };
    let frames = match toc & 0b11 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0b11_1111),
    };
    (1..=5760).contains(&(frame * frames)).then_some(frame * frames)
}
