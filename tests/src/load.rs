//! Many encoders in one process, each with a session of its own: what a cluster carries, for the CPU of a few.
//!
//! They are connected like any other (HTTP, ICE, DTLS-SRTP), and send noise; a real publisher beside them shows what media suffers.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

mod broken;
mod check;
mod dtls;
mod offer;
mod session;
mod show;

pub use broken::{Broken, Fault, offer_codec, with_foreign_fingerprint};
pub use session::{Failure, Session};
pub use show::{Part, Show};

/// Each session sends a packet this often: a worker counts it as live, and that is all it is for.
const SEND_EVERY: Duration = Duration::from_millis(250);
/// Of these turns the nth asks for consent: 1 s, where RFC 7675 §5.1 has 5 s, so that short tests have many.
const CHECK_EVERY: u32 = 4;
/// libobs waits so long before it publishes again, and half as long again each time after.
const RECONNECT_FIRST: Duration = Duration::from_secs(2);

/// Sessions that are kept alive: media, consent. All encoders stop when it is dropped.
#[derive(Debug)]
pub struct Crowd {
    sessions: Arc<Mutex<Vec<Session>>>,
    keeper: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Crowd {
    pub fn new() -> Self {
        let sessions = Arc::<Mutex<Vec<Session>>>::default();
        let (stop, stopped) = channel();
        let kept = Arc::clone(&sessions);
        let keeper = thread::spawn(move || {
            let mut turn = 0;
            while stopped.recv_timeout(SEND_EVERY) == Err(RecvTimeoutError::Timeout) {
                turn += 1;
                for session in lock(&kept).iter_mut() {
                    session.read();
                    session.send();
                    if turn % CHECK_EVERY == 0 {
                        session.check();
                    }
                }
            }
        });
        Self {
            sessions,
            keeper: Some((stop, keeper)),
        }
    }

    /// `count` sessions, of the streams `name/0` and on, by these gateways in turn.
    ///
    /// # Panics
    /// When one of them cannot be made.
    pub fn connected(origins: &[String], name: &str, count: usize, token: &str) -> Self {
        let crowd = Self::new();
        thread::scope(|scope| {
            for lane in 0..LANES {
                let crowd = &crowd;
                scope.spawn(move || {
                    for n in (lane..count).step_by(LANES) {
                        let session = Session::connect(&origins[n % origins.len()], &format!("{name}/{n}"), token);
                        crowd.add(session.unwrap_or_else(|failure| panic!("{name}/{n}: {failure:?}")));
                    }
                });
            }
        });
        crowd
    }

    pub fn add(&self, session: Session) {
        lock(&self.sessions).push(session);
    }

    pub fn len(&self) -> usize {
        lock(&self.sessions).len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them; they fall silent as soon as this is done.
    pub fn take(&self) -> Vec<Session> {
        std::mem::take(&mut lock(&self.sessions))
    }

    /// What `of` says of each.
    pub fn map<T>(&self, of: impl FnMut(&mut Session) -> T) -> Vec<T> {
        lock(&self.sessions).iter_mut().map(of).collect()
    }
}

/// Sessions that are made at once.
const LANES: usize = 8;

impl Default for Crowd {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        if let Some((stop, keeper)) = self.keeper.take() {
            drop(stop);
            let _ = keeper.join();
        }
    }
}

/// Encoders that have all lost their connection at this moment, and publish again as OBS does: a DELETE of the old session, and
/// POSTs after 2 s, 3 s, 4.5 s, ... until one succeeds or `limit` is over. Those that are connected again go to the crowd; the others' failures
/// are returned.
pub fn reconnect(lost: Vec<Session>, origins: &[String], token: &str, limit: Duration, crowd: &Crowd) -> Vec<Failure> {
    let begun = Instant::now();
    thread::scope(|scope| {
        let encoder = |(n, old): (usize, Session)| {
            let origin = &origins[n % origins.len()];
            scope.spawn(move || {
                let _ = old.delete(origin);
                let (_never, pause) = channel::<()>();
                let (mut wait, mut last) = (RECONNECT_FIRST, None);
                while begun.elapsed() + wait < limit {
                    let _ = pause.recv_timeout(wait);
                    match Session::connect(origin, &old.stream, token) {
                        Ok(session) => {
                            crowd.add(session);
                            return None;
                        }
                        Err(failure) => last = Some(failure),
                    }
                    wait = wait.mul_f64(1.5);
                }
                last
            })
        };
        let encoders: Vec<_> = lost.into_iter().enumerate().map(encoder).collect();
        let joined = encoders.into_iter().map(|encoder| encoder.join());
        joined
            .filter_map(|last| last.expect("an encoder does not panic"))
            .collect()
    })
}

fn lock(sessions: &Mutex<Vec<Session>>) -> MutexGuard<'_, Vec<Session>> {
    sessions.lock().unwrap_or_else(PoisonError::into_inner)
}
