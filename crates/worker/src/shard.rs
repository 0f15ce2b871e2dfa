//! One thread, one UDP port, and the sessions on it.
//!
//! Per packet there is no lock, no allocation, no log line and no wake-up: datagrams come in batches, media is opened in place
//! and copied once, into a tap. Per turn of the loop everything is bounded, so that nothing starves: batches, commands, and
//! the time for handshakes.

mod command;
mod outbox;
mod session;

use std::{
    any::Any,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, Waker};
use tokio::sync::mpsc;
use whipcord_peer::{Certificate, EndReason, Event, Limits, Mux, Path, Received, SessionKey, event::TrackId, stats};
use whipcord_udp::{Batch, Counters, Queue, Socket};

use crate::{notice::Notice, random};
pub(crate) use command::{Busy, Command, Create, Handle};
pub(crate) use outbox::NOTICES_MAX;
use outbox::Outbox;
use session::{Session, Sessions};

/// Batches of 32 system-call buffers between two looks at everything else: under a millisecond of work.
const BATCHES_PER_TURN: usize = 8;

/// Commands per turn. The dearest, a session's creation, costs some 0.1 ms.
const COMMANDS_PER_TURN: usize = 16;

/// Commands that wait for the shard, beyond which callers are told that it is busy.
const COMMANDS_MAX: usize = 256;

/// Time for handshake datagrams per turn, so that 500 encoders that reconnect at once do not stall media.
const HANDSHAKES_PER_TURN: Duration = Duration::from_millis(2);

/// How often rates are computed.
const TICK: Duration = Duration::from_secs(1);

/// How often what was dropped at the port is said, if it grew: a flood is one line a minute.
const DROPPED_EVERY: Duration = Duration::from_secs(60);

/// When the socket's full send buffer is tried again.
const SEND_RETRY: Duration = Duration::from_millis(1);

/// Panics one after another, with no session to blame, after which the Mux is made anew.
const FAULTS_MAX: u32 = 3;

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);

/// What a shard is made of.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) socket: Socket,
    pub(crate) certificate: Certificate,
    /// Where encoders reach the socket.
    pub(crate) candidates: Vec<SocketAddr>,
    pub(crate) sessions_max: usize,
    pub(crate) notices: mpsc::Sender<Notice>,
}

/// Starts the shard's thread. It ends at [`Command::Stop`], or when every handle is gone.
pub(crate) fn spawn(mut setup: Setup) -> std::io::Result<(Handle, JoinHandle<()>)> {
    let poll = Poll::new()?;
    poll.registry()
        .register(&mut setup.socket, SOCKET, Interest::READABLE)?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    let (sender, commands) = mpsc::channel(COMMANDS_MAX);
    let shard = Shard::new(poll, commands, setup);
    let thread = std::thread::Builder::new()
        .name("shard-0".to_owned())
        .spawn(move || shard.run())?;
    Ok((Handle::new(sender, waker), thread))
}

/// What the thread owns.
struct Shard {
    poll: Poll,
    socket: Socket,
    batch: Batch,
    mux: Mux,
    certificate: Certificate,
    limits: Limits,
    candidates: Vec<SocketAddr>,
    commands: mpsc::Receiver<Command>,
    sessions: Sessions,
    outbox: Outbox,
    /// Sessions that media was received for since their taps were last asked for keyframe requests.
    touched: Vec<SessionKey>,
    /// A datagram on its way out, or held media on its way in.
    buffer: Vec<u8>,
    next_tick: Instant,
    dropped: Dropped,
    faults: u32,
}

/// What was dropped at the port when it was last said.
#[derive(Debug, Default)]
struct Dropped {
    told: Option<Instant>,
    strays: stats::Dropped,
    socket: Counters,
}

/// How the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing is left to do until something happens.
    Idle,
    /// A limit was reached: there is more.
    Busy,
    Stop,
}

impl Shard {
    fn new(poll: Poll, commands: mpsc::Receiver<Command>, setup: Setup) -> Self {
        let Setup {
            socket,
            certificate,
            candidates,
            sessions_max,
            notices,
        } = setup;
        let limits = Limits { sessions_max };
        Self {
            poll,
            socket,
            batch: Batch::default(),
            mux: Mux::new(certificate.clone(), limits, random::bytes()),
            certificate,
            limits,
            candidates,
            commands,
            sessions: Sessions::default(),
            outbox: Outbox::new(notices),
            touched: Vec::new(),
            buffer: Vec::new(),
            next_tick: Instant::now() + TICK,
            dropped: Dropped::default(),
            faults: 0,
        }
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(2);
        let mut turn = Turn::Busy;
        while turn != Turn::Stop {
            let timeout = if turn == Turn::Busy {
                Some(Duration::ZERO)
            } else {
                self.timeout()
            };
            // An interrupted or failed wait is a turn that finds nothing.
            let _ = self.poll.poll(&mut events, timeout);
            turn = match catch_unwind(AssertUnwindSafe(|| self.turn())) {
                Ok(turn) => {
                    self.faults = 0;
                    turn
                }
                Err(panic) => self.on_panic(&*panic),
            };
        }
    }

    fn timeout(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let tick = (!self.sessions.is_empty()).then_some(self.next_tick);
        let retry = (self.socket.is_backlogged() || self.outbox.is_backlogged()).then(|| now + SEND_RETRY);
        let next = [self.mux.poll_timeout(), tick, retry].into_iter().flatten().min()?;
        Some(next.saturating_duration_since(now))
    }

    fn turn(&mut self) -> Turn {
        let now = Instant::now();
        let commands = self.take_commands(now);
        let received = self.receive(now);
        let handshakes = self.step_handshakes(now);
        self.take_held(now);
        self.ask_for_keyframes();
        if self.mux.poll_timeout().is_some_and(|due| due <= now) {
            self.mux.handle_timeout(now);
        }
        self.take_events(now);
        self.transmit();
        if now >= self.next_tick {
            self.sessions.tick(now, &self.mux);
            self.tell_dropped(now);
            self.next_tick = now + TICK;
        }
        self.outbox.flush();
        match (commands, received) {
            (Turn::Stop, _) => self.stop(now),
            (Turn::Idle, Queue::Drained) if !handshakes => Turn::Idle,
            _ => Turn::Busy,
        }
    }

    fn receive(&mut self, now: Instant) -> Queue {
        for _ in 0..BATCHES_PER_TURN {
            // An error leaves an empty batch; the kernel reports it once, and UDP has none that ends a socket.
            let queue = self.socket.recv(&mut self.batch).unwrap_or(Queue::Drained);
            for datagram in self.batch.datagrams() {
                let path = Path::udp(datagram.local, datagram.remote);
                let Received::Media { session, packet } = self.mux.receive(now, path, datagram.bytes) else {
                    continue;
                };
                if !self.sessions.knows(session, packet.track) {
                    // Its announcement goes before it.
                    drain_events(&mut self.mux, &mut self.sessions, &mut self.outbox, now);
                }
                let resumed = self.sessions.media(session, &packet, now);
                if resumed {
                    self.mux.request_keyframe(session, packet.track);
                }
                if self.touched.last() != Some(&session) {
                    self.touched.push(session);
                }
            }
            if queue == Queue::Drained {
                return Queue::Drained;
            }
        }
        Queue::More
    }

    /// True if time ran out before the queue did.
    fn step_handshakes(&mut self, now: Instant) -> bool {
        while self.mux.step_handshake(now) {
            if now.elapsed() > HANDSHAKES_PER_TURN {
                return true;
            }
        }
        false
    }

    /// Media that came before the keys.
    fn take_held(&mut self, now: Instant) {
        while let Some(held) = self.mux.poll_held(&mut self.buffer) {
            let (session, packet, arrival) = (held.session, held.packet, held.arrival);
            if !self.sessions.knows(session, packet.track) {
                drain_events(&mut self.mux, &mut self.sessions, &mut self.outbox, now);
            }
            self.sessions.media(session, &packet, arrival);
        }
    }

    fn ask_for_keyframes(&mut self) {
        for session in self.touched.drain(..) {
            for track in self.sessions.keyframe_requests(session) {
                self.mux.request_keyframe(session, track);
            }
        }
    }

    fn take_events(&mut self, now: Instant) {
        drain_events(&mut self.mux, &mut self.sessions, &mut self.outbox, now);
    }

    fn transmit(&mut self) {
        self.socket.retry();
        while let Some(path) = self.mux.poll_transmit(&mut self.buffer) {
            self.socket.send(path.local, path.remote, &self.buffer);
        }
        self.socket.flush();
    }

    /// What belongs to no session is in no session's statistics.
    fn tell_dropped(&mut self, now: Instant) {
        let (strays, socket) = (*self.mux.dropped(), self.socket.counters());
        let same = (strays, socket) == (self.dropped.strays, self.dropped.socket);
        if same || self.dropped.told.is_some_and(|told| now < told + DROPPED_EVERY) {
            return;
        }
        self.dropped = Dropped {
            told: Some(now),
            strays,
            socket,
        };
        self.outbox.event(Notice::Dropped { strays, socket });
    }

    fn take_commands(&mut self, now: Instant) -> Turn {
        for _ in 0..COMMANDS_PER_TURN {
            match self.commands.try_recv() {
                Ok(Command::Create(create)) => self.create(now, *create),
                Ok(Command::Restart { sid, remote, local }) => {
                    if let Some(key) = self.sessions.key(sid) {
                        self.mux.restart(now, key, remote, local);
                    }
                }
                Ok(Command::Close { sid, reason }) => {
                    if let Some(key) = self.sessions.key(sid) {
                        self.sessions.count(key, &self.mux);
                        self.mux.close(now, key, reason);
                    }
                }
                Ok(Command::Snapshots { sids, reply }) => {
                    let snapshots = sids
                        .into_iter()
                        .filter_map(|sid| self.sessions.snapshot(sid, now, &self.mux));
                    // Nobody waits any more: nothing is lost.
                    let _ = reply.send(snapshots.collect());
                }
                Ok(Command::Stop) | Err(mpsc::error::TryRecvError::Disconnected) => return Turn::Stop,
                Err(mpsc::error::TryRecvError::Empty) => return Turn::Idle,
            }
        }
        Turn::Busy
    }

    fn create(&mut self, now: Instant, create: Create) {
        let Create {
            info,
            offer,
            local,
            origin,
            tap,
            started,
            reply,
        } = create;
        let created = self.mux.create(now, offer, local, &self.candidates, origin);
        let answer = created.map(|(key, answer)| {
            self.sessions.insert(key, Session::new(info, tap, started));
            answer
        });
        // The caller is a task that does not give up; if the runtime ends, so do the sessions.
        let _ = reply.send(answer);
    }

    /// Ends every session well.
    fn stop(&mut self, now: Instant) -> Turn {
        for key in self.sessions.keys() {
            self.sessions.count(key, &self.mux);
            self.mux.close(now, key, EndReason::Drained);
        }
        self.take_events(now);
        self.transmit();
        self.outbox.flush_blocking();
        Turn::Stop
    }

    /// A defect in the Mux ended the turn. It costs the session that was served, and the rest of one batch; no other session.
    fn on_panic(&mut self, panic: &(dyn Any + Send)) -> Turn {
        self.outbox.event(Notice::Fault {
            message: message_of(panic),
        });
        self.touched.clear();
        if self.mux.fault().is_some() {
            return Turn::Busy;
        }
        self.faults += 1;
        if self.faults >= FAULTS_MAX {
            // Nothing can be said about what is left in it: better no session than a thread that panics for ever.
            self.mux = Mux::new(self.certificate.clone(), self.limits, random::bytes());
            let now = Instant::now();
            for key in self.sessions.keys() {
                on_event(
                    &mut self.sessions,
                    &mut self.outbox,
                    now,
                    key,
                    Event::Ended(EndReason::Fault),
                );
            }
            self.faults = 0;
        }
        Turn::Busy
    }
}

fn drain_events(mux: &mut Mux, sessions: &mut Sessions, outbox: &mut Outbox, now: Instant) {
    while let Some((key, event)) = mux.poll_event() {
        on_event(sessions, outbox, now, key, event);
    }
}

fn on_event(sessions: &mut Sessions, outbox: &mut Outbox, now: Instant, key: SessionKey, event: Event) {
    let Some(session) = sessions.get_mut(key) else { return };
    session.apply(&event, now);
    match event {
        Event::SenderReport { .. } => {}
        Event::Ended(_) => {
            if let Some(session) = sessions.remove(key) {
                outbox.end(session.end(now));
            }
        }
        event => outbox.event(Notice::Event {
            info: Arc::clone(session.info()),
            event,
        }),
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// A track as a bit of a word; a session has fewer.
fn bit(track: TrackId) -> u32 {
    1_u32.checked_shl(track.0.into()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
