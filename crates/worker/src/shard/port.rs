//! The sessions of one port: the Mux, where each session's media goes, and what is told of it.
//!
//! Not here: the socket, the thread and its waits.

use std::{any::Any, sync::Arc, time::Instant};

use tokio::sync::mpsc;
use whipcord_peer::{
    Certificate, EndReason, Event, Limits, Mux, Packet, Path, Received, SessionKey, Stats, event::TrackId, stats,
};

use super::{
    command::{Command, Create},
    outbox::Outbox,
    session::{Session, Sessions},
};
use crate::{notice::Notice, random};

/// Panics one after another, with no session to blame, after which the Mux is made anew.
pub(super) const FAULTS_MAX: u32 = 3;

pub(super) struct Port {
    mux: Mux,
    certificate: Certificate,
    limits: Limits,
    pub(super) sessions: Sessions,
    pub(super) outbox: Outbox,
    /// Sessions that media was received for since their taps were last asked for keyframe requests.
    touched: Vec<SessionKey>,
    /// Held media on its way in.
    buffer: Vec<u8>,
    /// Panics since the last turn that had none.
    pub(super) faults: u32,
    /// Whose packet is on its way to its meters and sinks.
    pub(super) delivering: Option<SessionKey>,
}

impl Port {
    pub(super) fn new(certificate: Certificate, sessions_max: usize, notices: mpsc::Sender<Notice>) -> Self {
        let limits = Limits { sessions_max };
        Self {
            mux: Mux::new(certificate.clone(), limits, random::bytes()),
            certificate,
            limits,
            sessions: Sessions::default(),
            outbox: Outbox::new(notices),
            touched: Vec::new(),
            buffer: Vec::new(),
            faults: 0,
            delivering: None,
        }
    }

    pub(super) fn has_sessions(&self) -> bool {
        !self.sessions.is_empty()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.mux.poll_timeout()
    }

    pub(super) fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Path> {
        self.mux.poll_transmit(buffer)
    }

    pub(super) fn step_handshake(&mut self, now: Instant) -> bool {
        self.mux.step_handshake(now)
    }

    /// Datagrams that no session got.
    pub(super) fn strays(&self) -> &stats::Dropped {
        self.mux.dropped()
    }

    #[inline]
    pub(super) fn receive(&mut self, now: Instant, path: Path, datagram: &mut [u8]) {
        if let Received::Media { session, packet } = self.mux.receive(now, path, datagram) {
            self.deliver(now, session, &packet, now);
        }
    }

    /// What follows a batch: media that came before its keys, keyframes that sinks want, events.
    pub(super) fn settle(&mut self, now: Instant) {
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(held) = self.mux.poll_held(&mut buffer) {
            self.deliver(now, held.session, &held.packet, held.arrival);
        }
        self.buffer = buffer;
        for &session in &self.touched {
            for track in self.sessions.keyframe_requests(session) {
                self.mux.request_keyframe(session, track);
            }
        }
        // What was told of before it goes before it.
        self.take_events(now);
        for session in self.touched.drain(..) {
            if let Some((info, age)) = self.sessions.take_keyframe(session) {
                self.outbox.event(Notice::Keyframe { info, age });
            }
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.mux.poll_timeout().is_some_and(|due| due <= now) {
            self.mux.handle_timeout(now);
            self.take_events(now);
        }
    }

    /// Once a second.
    pub(super) fn tick(&mut self, now: Instant) {
        self.sessions.tick(now);
    }

    /// While this worker may not speak: its sessions may end, and those that lost their stream write nothing more.
    pub(super) fn settle_mute(&mut self, now: Instant) {
        while let Some((key, event)) = self.mux.poll_event() {
            if let Event::Ended {
                reason: EndReason::Replaced,
                ..
            } = event
            {
                self.sessions.discard(key);
            }
            self.on_event(now, key, event);
        }
    }

    /// What came before a stop, and was not sent, comes too late.
    pub(super) fn forget_transmits(&mut self) {
        while self.mux.poll_transmit(&mut self.buffer).is_some() {}
    }

    /// All commands but [`Command::Speak`] and [`Command::Stop`], which are the thread's.
    pub(super) fn obey(&mut self, now: Instant, command: Command) {
        match command {
            Command::Create(create) => self.create(now, *create),
            Command::Restart { sid, remote, local } => {
                if let Some(key) = self.sessions.key(sid) {
                    self.mux.restart(key, remote, local);
                }
            }
            Command::Close { sid, reason } => {
                if let Some(key) = self.sessions.key(sid) {
                    self.mux.close(now, key, reason);
                }
            }
            Command::Snapshots { sids, reply } => {
                let snapshots = sids
                    .into_iter()
                    .filter_map(|sid| self.sessions.snapshot(sid, now, &self.mux));
                // Nobody waits any more: nothing is lost.
                let _ = reply.send(snapshots.collect());
            }
            Command::Speak(_) | Command::Stop => {}
        }
    }

    pub(super) fn end_all(&mut self, now: Instant) {
        for key in self.sessions.keys() {
            self.mux.close(now, key, EndReason::Drained);
        }
        self.take_events(now);
    }

    /// A defect ended the turn: in the Mux, or in what reads a packet's codec. It costs the session that was served, and the rest of one
    /// batch; no other session.
    pub(super) fn on_panic(&mut self, panic: &(dyn Any + Send)) {
        self.outbox.event(Notice::Fault {
            message: message_of(panic),
        });
        self.touched.clear();
        if let Some(session) = self.delivering.take() {
            self.mux.close(Instant::now(), session, EndReason::Fault);
            return;
        }
        if self.mux.fault().is_some() {
            return;
        }
        self.faults += 1;
        if self.faults >= FAULTS_MAX {
            // Nothing can be said about what is left in it: better no session than a thread that panics for ever.
            self.mux = Mux::new(self.certificate.clone(), self.limits, random::bytes());
            for key in self.sessions.keys() {
                let end = Event::Ended {
                    reason: EndReason::Fault,
                    last: Box::<Stats>::default(),
                };
                self.on_event(Instant::now(), key, end);
            }
            self.faults = 0;
        }
    }

    /// One packet to its session's sinks.
    #[inline]
    fn deliver(&mut self, now: Instant, session: SessionKey, packet: &Packet<'_>, arrival: Instant) {
        if !self.sessions.knows(session, packet.track) {
            // Its announcement goes before it.
            self.take_events(now);
        }
        self.delivering = Some(session);
        let resumed = self.sessions.media(session, packet, arrival);
        self.delivering = None;
        if resumed {
            self.mux.request_keyframe(session, packet.track);
        }
        if self.touched.last() != Some(&session) {
            self.touched.push(session);
        }
    }

    fn create(&mut self, now: Instant, create: Create) {
        let Create {
            info,
            offer,
            local,
            candidates,
            origin,
            tap,
            started,
            reply,
        } = create;
        let created = self.mux.create(now, offer, local, &candidates, origin);
        let answer = created.map(|(key, answer)| {
            self.sessions.insert(key, Session::new(info, tap, started));
            answer
        });
        // The caller is a task that does not give up; if the runtime ends, so do the sessions.
        let _ = reply.send(answer);
    }

    fn take_events(&mut self, now: Instant) {
        while let Some((key, event)) = self.mux.poll_event() {
            self.on_event(now, key, event);
        }
    }

    fn on_event(&mut self, now: Instant, key: SessionKey, event: Event) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        session.apply(&event, now);
        match event {
            Event::SenderReport { .. } => {}
            Event::Ended { last, .. } => {
                if let Some(session) = self.sessions.remove(key) {
                    self.outbox.end(session.end(now, *last));
                }
            }
            event => self.outbox.event(Notice::Event {
                info: Arc::clone(session.info()),
                event,
                age: session.age(now),
            }),
        }
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// A track as a bit of a word; a session has fewer.
pub(super) fn bit(track: TrackId) -> u32 {
    1_u32.checked_shl(track.0.into()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panics_text_is_kept_for_the_log() {
        assert_eq!(message_of(&"text"), "text");
        assert_eq!(message_of(&String::from("text")), "text");
        assert_eq!(message_of(&7), "a panic without a message");
    }
}
