//! Data channels: SCTP over DTLS (RFC 8261, RFC 8831) by rtc-sctp, behind a guard of our own.
//!
//! Takes SCTP packets that DTLS has opened, counts the messages of its channels and, where asked, sends them back. Not here: DTLS
//! records, paths, and what a message means.

mod association;
mod channels;
mod dcep;
mod guard;
mod packet;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;
use whipcord_whip::{Data, answer::SCTP_PORT, negotiate::Role};

use crate::stats::{DataStats, DropReason};
use association::{Association, Event};
use channels::{Channels, Echo, Received};
use guard::{Guard, Verdict};
use packet::Init;

/// Streams in each direction, which both sides are told at the handshake: 32 channels, as the two sides open even and odd ones
/// (RFC 8832 §6). An encoder has one or two.
const STREAMS_MAX: u16 = 64;

/// Payload bytes that wait for the rest of their message, for those before them, or to be sent back: four of the largest messages.
/// The encoder is told, and sends no more until some are taken.
const RECEIVE_WINDOW: u32 = 4 * whipcord_whip::answer::MESSAGE_BYTES_MAX;

/// The data channels of one session. Nothing is made before DTLS is complete.
#[derive(Debug)]
pub struct Sctp {
    role: Role,
    offer: Data,
    stage: Stage,
    channels: Channels,
    received: Received,
    opened: VecDeque<String>,
    transmits: VecDeque<Bytes>,
    /// Kept, as it is asked for with every packet of media.
    due: Option<Instant>,
}

#[derive(Debug)]
enum Stage {
    /// For DTLS, or as its server for the encoder's INIT.
    Waiting,
    Open(Box<Open>),
    /// Ended by the encoder, or by what it sent. Its media goes on.
    Over,
}

#[derive(Debug)]
struct Open {
    association: Association,
    guard: Guard,
    handshake: Handshake,
}

/// Who began, and what a repeat of it is answered.
#[derive(Debug)]
enum Handshake {
    Ours,
    /// rtc-sctp would take each repeated INIT for another association.
    Theirs {
        init: Init,
        answer: Bytes,
    },
    Complete,
}

impl Sctp {
    /// `role` is ours in DTLS.
    pub fn new(role: Role, offer: Data) -> Self {
        Self {
            role,
            offer,
            stage: Stage::Waiting,
            channels: Channels::default(),
            received: Received::default(),
            opened: VecDeque::new(),
            transmits: VecDeque::new(),
            due: None,
        }
    }

    /// DTLS is complete. Both sides may begin (RFC 8831 §6.1), and every encoder that is DTLS client does; so we do where we are.
    pub fn begin(&mut self, now: Instant) {
        // rtc-sctp begins on everybody's port only.
        if self.role == Role::Client && self.offer.port == SCTP_PORT {
            self.stage = Association::connect(now).map_or(Stage::Over, |association| {
                Stage::Open(Box::new(Open {
                    association,
                    guard: Guard::default(),
                    handshake: Handshake::Ours,
                }))
            });
            self.work(now);
        }
    }

    /// One packet, as DTLS opened it. What is illegal ends the association; what cannot be taken now is dropped, and SCTP repeats it.
    ///
    /// # Errors
    /// Dropped: [`DropReason::DataChannel`].
    pub fn receive(&mut self, now: Instant, packet: &Bytes) -> Result<(), DropReason> {
        if let Some(init) = Init::parse(packet) {
            self.receive_init(now, init, packet);
        } else {
            let Stage::Open(open) = &mut self.stage else {
                return Err(DropReason::DataChannel);
            };
            match open.guard.judge(now, packet) {
                Verdict::Pass => open.association.receive(now, packet),
                Verdict::Drop => return Err(DropReason::DataChannel),
                Verdict::End => self.end(),
            }
        }
        self.work(now);
        Ok(())
    }

    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        self.transmits.pop_front()
    }

    /// The label of a channel that was opened.
    pub fn poll_opened(&mut self) -> Option<String> {
        self.opened.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        if let Stage::Open(open) = &mut self.stage {
            open.association.handle_timeout(now);
        }
        self.work(now);
    }

    pub fn stats(&self) -> DataStats {
        let Received { messages, bytes } = self.received;
        DataStats {
            channels: self.channels.len(),
            messages,
            bytes,
        }
    }

    /// The encoder begins, or repeats itself because our answer was lost. One that is DTLS server may begin when we do: our own
    /// INIT is what gets answered then (RFC 9260 §5.2.1).
    fn receive_init(&mut self, now: Instant, init: Init, packet: &Bytes) {
        match &self.stage {
            Stage::Waiting => {}
            Stage::Open(open) => match &open.handshake {
                Handshake::Theirs { init: known, answer } if *known == init => {
                    return self.transmits.push_back(answer.clone());
                }
                // Another one, before the first came to anything.
                Handshake::Theirs { .. } => {}
                Handshake::Ours | Handshake::Complete => return,
            },
            Stage::Over => return,
        }
        let Some(mut association) = Association::accept(now, packet) else {
            return;
        };
        let Some(answer) = association.poll_transmit(now).into_iter().next() else {
            return;
        };
        self.transmits.push_back(answer.clone());
        self.stage = Stage::Open(Box::new(Open {
            association,
            guard: Guard::following(&init),
            handshake: Handshake::Theirs { init, answer },
        }));
    }

    /// Takes what the association has, and gives it what is to be sent.
    fn work(&mut self, now: Instant) {
        if let Stage::Open(open) = &mut self.stage {
            let Open {
                association,
                guard,
                handshake,
            } = &mut **open;
            while let Some(event) = association.poll() {
                match event {
                    Event::Connected => *handshake = Handshake::Complete,
                    Event::Readable(stream) => self.channels.readable(stream),
                    Event::Reset(stream) => self.channels.closed(stream),
                }
            }
            let echo = if self.offer.echo {
                Echo::UpTo(self.offer.message_bytes_max.unwrap_or(u32::MAX))
            } else {
                Echo::Off
            };
            let mut counted = channels::Counted {
                received: &mut self.received,
                opened: &mut self.opened,
            };
            let taken = self.channels.work(now, association, echo, &mut counted);
            guard.taken(taken);
            for packet in association.poll_transmit(now) {
                guard.sent(&packet);
                self.transmits.push_back(packet);
            }
            if association.is_closed() {
                self.end();
            }
        }
        self.due = match &self.stage {
            // A deadline that has passed already would wake the shell at once, and again.
            Stage::Open(open) => open
                .association
                .due()
                .map(|due| due.max(now + Duration::from_millis(1))),
            Stage::Waiting | Stage::Over => None,
        };
    }

    fn end(&mut self) {
        self.stage = Stage::Over;
        self.channels = Channels::default();
    }
}
