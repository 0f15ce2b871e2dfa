//! What the rest of the worker asks of a shard.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use mio::Waker;
use tokio::sync::{mpsc, oneshot};
use whipcord_identity::SessionId;
use whipcord_peer::{EndReason, Full};
use whipcord_whip::{Answer, Credentials, Negotiated};

use crate::{
    snapshot::{Info, Snapshot},
    tap::Tap,
    voice::Stops,
};

#[derive(Debug)]
pub(crate) enum Command {
    Create(Box<Create>),
    /// New ICE credentials; nothing if the session is gone.
    Restart {
        sid: SessionId,
        remote: Credentials,
        local: Credentials,
    },
    Close {
        sid: SessionId,
        reason: EndReason,
    },
    /// The state of those that live.
    Snapshots {
        sids: Vec<SessionId>,
        reply: oneshot::Sender<Vec<(SessionId, Snapshot)>>,
    },
    /// The directory has heard of all sessions since these stops; those that others took have been told to close.
    Speak(Stops),
    /// End every session and then the thread.
    Stop,
}

/// A session to be made of an offer that was parsed and negotiated elsewhere: the shard only inserts.
#[derive(Debug)]
pub(crate) struct Create {
    pub(crate) info: Arc<Info>,
    pub(crate) offer: Negotiated,
    pub(crate) local: Credentials,
    /// Where its encoder reaches the socket.
    pub(crate) candidates: Arc<[SocketAddr]>,
    /// The answer's `o=` id.
    pub(crate) origin: u64,
    pub(crate) tap: Option<Tap>,
    /// When the session's arrival times begin.
    pub(crate) started: Instant,
    pub(crate) reply: oneshot::Sender<Result<Answer, Full>>,
}

/// The way to a shard. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    commands: mpsc::Sender<Command>,
    waker: Arc<Waker>,
    spent: Arc<Spent>,
}

/// What a shard has done so far, and in what time: it tells, others read.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    received: AtomicU64,
    busy_nanos: AtomicU64,
}

/// Room for one command, which then arrives.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    place: mpsc::Permit<'a, Command>,
    waker: &'a Waker,
}

/// The shard has more to do than it may put off, or is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the worker is overloaded or stopping")]
pub(crate) struct Busy;

impl Handle {
    pub(crate) fn new(commands: mpsc::Sender<Command>, waker: Arc<Waker>, spent: Arc<Spent>) -> Self {
        Self { commands, waker, spent }
    }

    /// Datagrams received so far, of all sessions and of none.
    pub(crate) fn received(&self) -> u64 {
        self.spent.received.load(Relaxed)
    }

    /// For how long it did not wait for anything, so far. It has as much time as the clock on the wall.
    pub(crate) fn busy(&self) -> Duration {
        Duration::from_nanos(self.spent.busy_nanos.load(Relaxed))
    }

    /// Does not wait. Commands are worked off in the order in which they were sent.
    pub(crate) fn send(&self, command: Command) -> Result<(), Busy> {
        self.commands.try_send(command).map_err(|_| Busy)?;
        self.waker.wake().map_err(|_| Busy)
    }

    /// Waits for room: for the commands that must arrive.
    pub(crate) async fn send_surely(&self, command: Command) -> Result<(), Busy> {
        self.room().await?.send(command)
    }

    /// Waits for room, and keeps it.
    pub(crate) async fn room(&self) -> Result<Room<'_>, Busy> {
        let place = self.commands.reserve().await.map_err(|_| Busy)?;
        Ok(Room {
            place,
            waker: &self.waker,
        })
    }

    /// The state of those of `sids` that live.
    pub(crate) async fn snapshots(&self, sids: Vec<SessionId>) -> Result<Vec<(SessionId, Snapshot)>, Busy> {
        let (reply, snapshots) = oneshot::channel();
        self.send(Command::Snapshots { sids, reply })?;
        snapshots.await.map_err(|_| Busy)
    }
}

impl Spent {
    pub(super) fn receive(&self, datagrams: u64) {
        self.received.fetch_add(datagrams, Relaxed);
    }

    pub(super) fn be_busy(&self, time: Duration) {
        // 2^64 ns are 584 years.
        self.busy_nanos.fetch_add(time.as_nanos() as u64, Relaxed);
    }
}

impl Room<'_> {
    pub(crate) fn send(self, command: Command) -> Result<(), Busy> {
        self.place.send(command);
        self.waker.wake().map_err(|_| Busy)
    }
}
