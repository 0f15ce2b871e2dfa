//! One thread, one UDP port, and the sessions on it.
//!
//! Per packet there is no lock, no allocation, no log line and no wake-up: datagrams come in batches, media is opened in place
//! and copied once, into a tap. Per turn of the loop everything is bounded, so that nothing starves: batches, commands, and
//! the time for handshakes.

mod command;
mod meter;
mod outbox;
mod port;
mod session;
mod size;
mod stall;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, Waker};
use tokio::sync::mpsc;
use whipcord_peer::{Certificate, Path, stats};
use whipcord_udp::{Batch, Counters, Queue, Socket};

use crate::{notice::Notice, voice::Voice};
pub(crate) use command::{Busy, Command, Create, Handle, Spent};
pub(crate) use meter::Flow;
pub(crate) use outbox::NOTICES_MAX;
use port::Port;

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

/// Turns of one batch each for what gathered in the receive buffer while this process stood still: 16 MiB, as the kernel counts, are
/// some 20,000 datagrams, and a batch takes 32 or more.
const CATCH_UP_TURNS: u32 = 640;

/// From one of them to the next. A recording looks at its ring of 1 MiB each 20 ms: ten batches of 32 datagrams are 384 kB.
const CATCH_UP_PAUSE: Duration = Duration::from_millis(2);

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);

/// What a shard is made of.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) socket: Socket,
    pub(crate) certificate: Certificate,
    pub(crate) sessions_max: usize,
    pub(crate) notices: mpsc::Sender<Notice>,
    pub(crate) voice: Voice,
}

/// Starts the shard's thread. It ends at [`Command::Stop`], or when every handle is gone.
pub(crate) fn spawn(mut setup: Setup) -> std::io::Result<(Handle, JoinHandle<()>)> {
    let poll = Poll::new()?;
    poll.registry()
        .register(&mut setup.socket, SOCKET, Interest::READABLE)?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    let (sender, commands) = mpsc::channel(COMMANDS_MAX);
    let spent = Arc::new(Spent::default());
    let shard = Shard::new(poll, commands, setup, Arc::clone(&spent));
    let thread = std::thread::Builder::new()
        .name("shard-0".to_owned())
        .spawn(move || shard.run())?;
    Ok((Handle::new(sender, waker, spent), thread))
}

/// What the thread owns.
struct Shard {
    poll: Poll,
    socket: Socket,
    batch: Batch,
    port: Port,
    commands: mpsc::Receiver<Command>,
    /// A datagram on its way out.
    buffer: Vec<u8>,
    next_tick: Instant,
    dropped: Dropped,
    /// Told once a turn.
    spent: Arc<Spent>,
    /// Since when it has not waited; told up to here.
    busy_since: Option<Instant>,
    voice: Voice,
    course: Course,
}

/// Where the loop stands towards a stop of the whole process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Steady,
    /// It may not speak. It does not read either, so that media waits in the kernel, as far as its buffer goes, for whoever has the
    /// stream then.
    Mute,
    /// It may again. What has gathered is read before a timer is looked at: it tells who is there still.
    CatchingUp {
        turns_left: u32,
    },
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
    fn new(poll: Poll, commands: mpsc::Receiver<Command>, setup: Setup, spent: Arc<Spent>) -> Self {
        let Setup {
            socket,
            certificate,
            sessions_max,
            notices,
            voice,
        } = setup;
        Self {
            poll,
            socket,
            batch: Batch::default(),
            port: Port::new(certificate, sessions_max, notices),
            commands,
            buffer: Vec::new(),
            next_tick: Instant::now() + TICK,
            dropped: Dropped::default(),
            spent,
            busy_since: None,
            voice,
            course: Course::Steady,
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
            if matches!(self.course, Course::CatchingUp { .. }) {
                std::thread::sleep(CATCH_UP_PAUSE);
            }
            // An interrupted or failed wait is a turn that finds nothing.
            let _ = self.poll.poll(&mut events, timeout);
            turn = match catch_unwind(AssertUnwindSafe(|| self.turn())) {
                Ok(turn) => {
                    self.port.faults = 0;
                    turn
                }
                Err(panic) => {
                    self.port.on_panic(&*panic);
                    Turn::Busy
                }
            };
        }
    }

    fn timeout(&mut self) -> Option<Duration> {
        let now = Instant::now();
        self.be_busy(now);
        self.busy_since = None;
        if self.course == Course::Mute {
            return Some(if self.port.outbox.is_backlogged() {
                SEND_RETRY
            } else {
                TICK
            });
        }
        let tick = self.port.has_sessions().then_some(self.next_tick);
        let retry = (self.socket.is_backlogged() || self.port.outbox.is_backlogged()).then(|| now + SEND_RETRY);
        let next = [self.port.poll_timeout(), tick, retry].into_iter().flatten().min()?;
        Some(next.saturating_duration_since(now))
    }

    /// Tells what has passed of the time since it last waited. By clocks that were read anyway: a turn may be of one packet.
    fn be_busy(&mut self, now: Instant) {
        if let Some(since) = self.busy_since.replace(now) {
            self.spent.be_busy(now.saturating_duration_since(since));
        }
    }

    fn turn(&mut self) -> Turn {
        let now = Instant::now();
        self.be_busy(now);
        self.may_speak();
        let commands = self.take_commands(now);
        if !self.may_speak() {
            return self.stay_mute(now, commands);
        }
        let received = self.receive(now);
        let handshakes = self.step_handshakes(now);
        self.port.settle(now);
        self.catch_up(received);
        if self.course == Course::Steady {
            self.port.handle_timeout(now);
        }
        self.transmit();
        if now >= self.next_tick {
            self.port.tick(now);
            self.tell_dropped(now);
            self.next_tick = now + TICK;
        }
        self.port.outbox.flush();
        match (commands, received) {
            (Turn::Stop, _) => self.stop(now),
            (Turn::Idle, Queue::Drained) if !handshakes => Turn::Idle,
            _ => Turn::Busy,
        }
    }

    /// Looked at once per turn, and again before anything leaves: a process can be stopped anywhere.
    fn may_speak(&mut self) -> bool {
        let may = self.voice.may_speak();
        if may && self.course == Course::Mute {
            self.course = Course::CatchingUp {
                turns_left: CATCH_UP_TURNS,
            };
        } else if !may && self.course != Course::Mute {
            self.course = Course::Mute;
            self.port.forget_transmits();
        }
        may
    }

    fn stay_mute(&mut self, now: Instant, commands: Turn) -> Turn {
        self.port.settle_mute(now);
        self.port.outbox.flush();
        if commands == Turn::Stop {
            self.stop(now)
        } else {
            commands
        }
    }

    fn catch_up(&mut self, received: Queue) {
        if let Course::CatchingUp { turns_left } = self.course {
            self.course = match (received, turns_left.checked_sub(1)) {
                (Queue::More, Some(turns_left)) => Course::CatchingUp { turns_left },
                (Queue::Drained, _) | (_, None) => Course::Steady,
            };
        }
    }

    fn receive(&mut self, now: Instant) -> Queue {
        let mut count = 0;
        let queue = self.receive_batches(now, &mut count);
        self.spent.receive(count);
        queue
    }

    fn receive_batches(&mut self, now: Instant, count: &mut u64) -> Queue {
        let batches = match self.course {
            Course::CatchingUp { .. } => 1,
            Course::Steady | Course::Mute => BATCHES_PER_TURN,
        };
        for _ in 0..batches {
            // An error leaves an empty batch; the kernel reports it once, and UDP has none that ends a socket.
            let queue = self.socket.recv(&mut self.batch).unwrap_or(Queue::Drained);
            for datagram in self.batch.datagrams() {
                let path = Path::udp(datagram.local, datagram.remote);
                self.port.receive(now, path, datagram.bytes);
                *count += 1;
            }
            if queue == Queue::Drained {
                return Queue::Drained;
            }
        }
        Queue::More
    }

    /// True if time ran out before the queue did.
    fn step_handshakes(&mut self, now: Instant) -> bool {
        while self.port.step_handshake(now) {
            if now.elapsed() > HANDSHAKES_PER_TURN {
                return true;
            }
        }
        false
    }

    fn transmit(&mut self) {
        if !self.may_speak() {
            return;
        }
        self.socket.retry();
        while let Some(path) = self.port.poll_transmit(&mut self.buffer) {
            self.socket.send(path.local, path.remote, &self.buffer);
        }
        self.socket.flush();
    }

    fn take_commands(&mut self, now: Instant) -> Turn {
        for _ in 0..COMMANDS_PER_TURN {
            match self.commands.try_recv() {
                Ok(Command::Stop) | Err(mpsc::error::TryRecvError::Disconnected) => return Turn::Stop,
                Ok(Command::Speak(stops)) => {
                    if self.course == Course::Mute {
                        // Those that were told to close before.
                        self.port.settle_mute(now);
                    }
                    self.voice.confirm(stops);
                }
                Ok(command) => self.port.obey(now, command),
                Err(mpsc::error::TryRecvError::Empty) => return Turn::Idle,
            }
        }
        Turn::Busy
    }

    /// What belongs to no session is in no session's statistics.
    fn tell_dropped(&mut self, now: Instant) {
        let (strays, socket) = (*self.port.strays(), self.socket.counters());
        let same = (strays, socket) == (self.dropped.strays, self.dropped.socket);
        if same || self.dropped.told.is_some_and(|told| now < told + DROPPED_EVERY) {
            return;
        }
        self.dropped = Dropped {
            told: Some(now),
            strays,
            socket,
        };
        self.port.outbox.event(Notice::Dropped { strays, socket });
    }

    /// Ends every session well.
    fn stop(&mut self, now: Instant) -> Turn {
        self.port.end_all(now);
        self.transmit();
        self.port.outbox.flush_blocking();
        Turn::Stop
    }
}

#[cfg(test)]
mod tests;
