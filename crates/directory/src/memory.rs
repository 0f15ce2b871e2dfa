//! The directory in memory: tables and rules. Time is passed in; an expired lease or reservation is dropped at the next look.

use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use whipcord_identity::{Incarnation, SessionId, StreamName, WorkerNumber};

use crate::{
    CommitError, Health, Hello, HelloError, LEASE, Lease, NUMBER_REST, PlaceError, RESERVATION, ReportError,
    SESSIONS_PER_WORKER_MAX, Session, WORKERS_MAX, Worker,
};

#[derive(Debug, Default)]
pub(crate) struct Memory {
    workers: HashMap<Incarnation, Record>,
    /// Live and reserved.
    sessions: HashMap<SessionId, (Session, State)>,
    /// Each stream's live session.
    holders: HashMap<StreamName, SessionId>,
    /// Each stream's newest reservation.
    reservations: HashMap<StreamName, SessionId>,
    numbers: HashMap<WorkerNumber, Claim>,
    /// Of the last lease given.
    serial: u64,
}

#[derive(Debug)]
struct Record {
    hello: Hello,
    serial: u64,
    health: Health,
    renewed: Instant,
    sessions: HashSet<SessionId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reserved {
        since: Instant,
    },
    /// `confirmed`: the lease under which the worker or a commit last named it. A snapshot ends what an older lease named; what
    /// was committed since the hello may be younger than the snapshot, so it stays.
    Live {
        confirmed: u64,
    },
}

#[derive(Debug)]
struct Claim {
    incarnation: Incarnation,
    renewed: Instant,
}

impl Memory {
    pub(crate) fn hello(&mut self, hello: Hello, now: Instant) -> Result<Lease, HelloError> {
        self.expire(now);
        self.numbers
            .retain(|_, claim| now.saturating_duration_since(claim.renewed) < NUMBER_REST);
        let incarnation = hello.incarnation;
        if self
            .numbers
            .get(&hello.number)
            .is_some_and(|claim| claim.incarnation != incarnation)
        {
            return Err(HelloError::NumberTaken);
        }
        if self.workers.len() >= WORKERS_MAX && !self.workers.contains_key(&incarnation) {
            return Err(HelloError::Full);
        }
        self.numbers.insert(
            hello.number,
            Claim {
                incarnation,
                renewed: now,
            },
        );
        self.serial += 1;
        let serial = self.serial;
        let sessions = self
            .workers
            .remove(&incarnation)
            .map(|known| known.sessions)
            .unwrap_or_default();
        self.workers.insert(
            incarnation,
            Record {
                hello,
                serial,
                health: Health::Alive,
                renewed: now,
                sessions,
            },
        );
        Ok(Lease { incarnation, serial })
    }

    pub(crate) fn beat(&mut self, lease: &Lease, now: Instant) -> Result<(), ReportError> {
        let record = self.leased(lease, now)?;
        record.renewed = now;
        let number = record.hello.number;
        if let Some(claim) = self.numbers.get_mut(&number) {
            claim.renewed = now;
        }
        Ok(())
    }

    pub(crate) fn add(
        &mut self,
        lease: &Lease,
        sessions: Vec<Session>,
        now: Instant,
    ) -> Result<Vec<Session>, ReportError> {
        let record = self.leased(lease, now)?;
        if record.sessions.len() + sessions.len() > SESSIONS_PER_WORKER_MAX {
            return Err(ReportError::TooManySessions);
        }
        Ok(sessions
            .into_iter()
            .filter_map(|session| self.add_one(session, lease.serial))
            .collect())
    }

    pub(crate) fn remove(&mut self, lease: &Lease, sids: &[SessionId], now: Instant) -> Result<(), ReportError> {
        self.leased(lease, now)?;
        for sid in sids {
            if self
                .sessions
                .get(sid)
                .is_some_and(|(session, _)| session.owner.incarnation == lease.incarnation)
            {
                self.release(*sid);
            }
        }
        Ok(())
    }

    pub(crate) fn end_snapshot(&mut self, lease: &Lease, now: Instant) -> Result<(), ReportError> {
        let sids = self.leased(lease, now)?.sessions.clone();
        for sid in sids {
            let state = self.sessions.get(&sid).map(|(_, state)| *state);
            if matches!(state, Some(State::Live { confirmed }) if confirmed < lease.serial) {
                self.release(sid);
            }
        }
        Ok(())
    }

    pub(crate) fn suspect(&mut self, lease: &Lease) {
        if let Some(record) = self
            .workers
            .get_mut(&lease.incarnation)
            .filter(|record| record.serial == lease.serial)
        {
            record.health = Health::Suspect;
        }
    }

    pub(crate) fn bury(&mut self, incarnation: Incarnation) {
        for sid in self
            .workers
            .remove(&incarnation)
            .map(|record| record.sessions)
            .unwrap_or_default()
        {
            self.forget(sid);
        }
    }

    pub(crate) fn place(&mut self, session: Session, now: Instant) -> Result<(), PlaceError> {
        self.expire(now);
        let worker = self.workers.get(&session.owner.incarnation);
        if worker.is_none_or(|record| record.health == Health::Suspect) {
            return Err(PlaceError::NotAlive);
        }
        if let Some(former) = self.reservations.get(&session.stream).copied() {
            self.release(former);
        }
        self.reservations.insert(session.stream.clone(), session.sid);
        self.insert(session, State::Reserved { since: now });
        Ok(())
    }

    pub(crate) fn commit(&mut self, sid: SessionId, now: Instant) -> Result<Option<Session>, CommitError> {
        self.expire(now);
        let Some((session, State::Reserved { .. })) = self.sessions.get(&sid) else {
            return Err(CommitError::Lost);
        };
        let session = session.clone();
        let serial = self.workers.get(&session.owner.incarnation).map(|record| record.serial);
        let confirmed = serial.ok_or(CommitError::Lost)?;
        let replaced = self.by_stream(&session.stream, now).filter(|held| held.sid != sid);
        if let Some(replaced) = &replaced {
            self.release(replaced.sid);
        }
        self.reservations.remove(&session.stream);
        self.holders.insert(session.stream.clone(), sid);
        self.insert(session, State::Live { confirmed });
        Ok(replaced)
    }

    pub(crate) fn release(&mut self, sid: SessionId) {
        if let Some(session) = self.forget(sid)
            && let Some(record) = self.workers.get_mut(&session.owner.incarnation)
        {
            record.sessions.remove(&sid);
        }
    }

    pub(crate) fn by_sid(&mut self, sid: SessionId, now: Instant) -> Option<Session> {
        self.expire(now);
        let (session, state) = self.sessions.get(&sid)?;
        matches!(state, State::Live { .. }).then(|| session.clone())
    }

    pub(crate) fn by_stream(&mut self, stream: &StreamName, now: Instant) -> Option<Session> {
        let sid = *self.holders.get(stream)?;
        self.by_sid(sid, now)
    }

    pub(crate) fn worker(&mut self, incarnation: Incarnation, now: Instant) -> Option<Worker> {
        self.expire(now);
        self.workers.get(&incarnation).map(Worker::from)
    }

    pub(crate) fn workers(&mut self, now: Instant) -> Vec<Worker> {
        self.expire(now);
        self.workers.values().map(Worker::from).collect()
    }

    /// One session its worker names. Returned when another holds its stream.
    fn add_one(&mut self, session: Session, confirmed: u64) -> Option<Session> {
        let (sid, stream) = (session.sid, session.stream.clone());
        if let Some((known, _)) = self.sessions.get(&sid) {
            // A session has one owner: the later epoch's. What an earlier one still reports is stale.
            if known.owner.epoch > session.owner.epoch || known.stream != stream {
                return Some(session);
            }
            if self.reservations.get(&stream) == Some(&sid) {
                // Its gateway's commit is on the way, and decides about the stream.
                return None;
            }
            self.release(sid);
        }
        if self.holders.contains_key(&stream) {
            return Some(session);
        }
        self.holders.insert(stream, sid);
        self.insert(session, State::Live { confirmed });
        None
    }

    fn insert(&mut self, session: Session, state: State) {
        if let Some(record) = self.workers.get_mut(&session.owner.incarnation) {
            record.sessions.insert(session.sid);
        }
        self.sessions.insert(session.sid, (session, state));
    }

    /// From every table but the worker's own.
    fn forget(&mut self, sid: SessionId) -> Option<Session> {
        let (session, _) = self.sessions.remove(&sid)?;
        for table in [&mut self.holders, &mut self.reservations] {
            if table.get(&session.stream) == Some(&sid) {
                table.remove(&session.stream);
            }
        }
        Some(session)
    }

    fn leased(&mut self, lease: &Lease, now: Instant) -> Result<&mut Record, ReportError> {
        self.expire(now);
        let record = self
            .workers
            .get_mut(&lease.incarnation)
            .filter(|record| record.serial == lease.serial);
        record.ok_or(ReportError::Expired)
    }

    fn expire(&mut self, now: Instant) {
        let over = |since: Instant, limit| now.saturating_duration_since(since) >= limit;
        let dead: Vec<_> = self
            .workers
            .iter()
            .filter(|(_, record)| over(record.renewed, LEASE))
            .map(|(id, _)| *id)
            .collect();
        for incarnation in dead {
            self.bury(incarnation);
        }
        let stale = |sid: &SessionId| match self.sessions.get(sid) {
            Some((_, State::Reserved { since })) => over(*since, RESERVATION),
            Some((_, State::Live { .. })) => false,
            None => true,
        };
        let stale: Vec<_> = self.reservations.values().copied().filter(stale).collect();
        for sid in stale {
            self.release(sid);
        }
    }
}

impl From<&Record> for Worker {
    fn from(record: &Record) -> Self {
        Self {
            hello: record.hello.clone(),
            health: record.health,
            sessions: record.sessions.len(),
        }
    }
}
