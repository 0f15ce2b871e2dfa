//! The channels of an association: opened, counted, and sent back where that is asked for.
//!
//! Must not know packets.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use bytes::Bytes;
use rtc_sctp::PayloadProtocolIdentifier as Protocol;

use super::{
    association::{Association, Message},
    dcep::{self, Open},
};

/// What may be under way to the encoder. Beyond it nothing is read, so that the encoder's window closes: a message is read once
/// there is room for its echo. Two of the largest messages, so that one is on its way while the other is acknowledged.
const ECHO_BYTES_MAX: usize = 2 * whipcord_whip::answer::MESSAGE_BYTES_MAX as usize;
/// The same in messages, each of which costs some 200 bytes besides its own.
const ECHO_MESSAGES_MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Channels {
    /// Streams that a channel is on.
    open: BTreeMap<u16, Channel>,
    /// Streams that may have messages, in turn.
    readable: VecDeque<u16>,
    /// Sent back since nothing was under way.
    echoed: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    /// By its first message (RFC 8832).
    Announced,
    /// The two sides agreed on it without us (RFC 8831 §6.4): it has no label.
    Unannounced,
}

/// Whether messages are sent back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echo {
    Off,
    /// Those of so many bytes, which the encoder takes.
    UpTo(u32),
}

/// Whole messages, and their bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Received {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

/// What work adds to.
pub(super) struct Counted<'a> {
    pub(super) received: &'a mut Received,
    pub(super) opened: &'a mut VecDeque<String>,
}

impl Channels {
    /// At most one per stream, and so at most half of [`super::STREAMS_MAX`] by those who keep to RFC 8832 §6.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.open.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn readable(&mut self, stream: u16) {
        if !self.readable.contains(&stream) {
            self.readable.push_back(stream);
        }
    }

    pub(super) fn closed(&mut self, stream: u16) {
        self.open.remove(&stream);
        self.readable.retain(|known| *known != stream);
    }

    /// Reads what there is room for; tells in how many chunks it came.
    pub(super) fn work(
        &mut self,
        now: Instant,
        association: &mut Association,
        echo: Echo,
        counted: &mut Counted<'_>,
    ) -> usize {
        let mut chunks = 0;
        while let Some(stream) = self.readable.front().copied() {
            if echo != Echo::Off && !self.has_room(association) {
                break;
            }
            let Some(message) = association.read(stream) else {
                self.readable.pop_front();
                continue;
            };
            self.readable.rotate_left(1);
            chunks += message.chunks;
            self.take(now, association, stream, &message, counted);
            if let Echo::UpTo(most) = echo {
                self.echo(now, association, stream, &message, most);
            }
        }
        chunks
    }

    fn take(
        &mut self,
        now: Instant,
        association: &mut Association,
        stream: u16,
        message: &Message,
        counted: &mut Counted<'_>,
    ) {
        match message.protocol {
            Protocol::Dcep => {
                let open = message.bytes().and_then(|bytes| Open::parse(&bytes));
                // An acknowledgement of ours cannot be, as we open none.
                if let Some(open) = open
                    && self.open.insert(stream, Channel::Announced) != Some(Channel::Announced)
                {
                    association.set_reliability(stream, open.unordered, open.reliability);
                    association.write(now, stream, &Bytes::from_static(&dcep::ACK), Protocol::Dcep);
                    counted.opened.push_back(open.label);
                }
            }
            Protocol::String | Protocol::Binary | Protocol::StringEmpty | Protocol::BinaryEmpty => {
                if let std::collections::btree_map::Entry::Vacant(vacant) = self.open.entry(stream) {
                    vacant.insert(Channel::Unannounced);
                    counted.opened.push_back(String::new());
                }
                counted.received.messages += 1;
                counted.received.bytes += length(message) as u64;
            }
            // The partial messages of before RFC 8831 §6.6, or nothing of WebRTC's.
            _ => {}
        }
    }

    fn echo(&mut self, now: Instant, association: &mut Association, stream: u16, message: &Message, most: u32) {
        let is_data = !matches!(message.protocol, Protocol::Dcep | Protocol::Unknown);
        if is_data
            && message.len() <= most as usize
            && let Some(bytes) = message.bytes()
            && association.write(now, stream, &bytes, message.protocol)
        {
            self.echoed += 1;
        }
    }

    fn has_room(&mut self, association: &mut Association) -> bool {
        let under_way: usize = self.open.keys().map(|stream| association.unacknowledged(*stream)).sum();
        if under_way == 0 {
            self.echoed = 0;
        }
        under_way < ECHO_BYTES_MAX && self.echoed < ECHO_MESSAGES_MAX
    }
}

/// SCTP carries no empty message: one byte stands for it (RFC 8831 §6.6).
fn length(message: &Message) -> usize {
    match message.protocol {
        Protocol::StringEmpty | Protocol::BinaryEmpty => 0,
        _ => message.len(),
    }
}
