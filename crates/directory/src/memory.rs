//! The directory in memory: tables and rules. Time is passed in; an expired lease or reservation is dropped at the next look.

mod record;
mod streams;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use whipcord_identity::{Incarnation, SessionId, StreamName, WorkerNumber};

use self::{
    record::Record,
    streams::{Entry, State, Streams},
};
use crate::{
    CommitError, Freshness, Health, Hello, HelloError, Lease, Load, Lookup, PlaceError, Placement, ReportError,
    Reported, SESSIONS_PER_STREAM_MAX, SESSIONS_PER_WORKER_MAX, Session, Takeover, Timing, View, WORKERS_MAX, Worker,
    agreement::Agreement,
    refusals::{Refusals, Told},
};

#[derive(Debug)]
pub(crate) struct Memory {
    timing: Timing,
    began: Instant,
    workers: HashMap<Incarnation, Record>,
    streams: Streams,
    numbers: HashMap<WorkerNumber, Claim>,
    pub(crate) refusals: Refusals,
    /// Of the last lease given.
    serial: u64,
}

#[derive(Debug)]
struct Claim {
    incarnation: Incarnation,
    until: Instant,
}

impl Memory {
    pub(crate) fn new(timing: Timing, now: Instant) -> Self {
        Self {
            timing,
            began: now,
            workers: HashMap::new(),
            streams: Streams::default(),
            numbers: HashMap::new(),
            refusals: Refusals::default(),
            serial: 0,
        }
    }

    pub(crate) fn refusals(&self, stream: &StreamName, now: Instant) -> Told {
        Told {
            refusals: self.refusals.of(stream, now),
            is_complete: self.rebuilding(now).is_none(),
        }
    }

    pub(crate) fn hello(&mut self, hello: Hello, now: Instant) -> Result<Lease, HelloError> {
        self.expire(now);
        self.numbers.retain(|_, claim| now < claim.until);
        let incarnation = hello.incarnation;
        let claim = self.numbers.get(&hello.number);
        if claim.is_some_and(|claim| claim.incarnation != incarnation) {
            return Err(HelloError::NumberTaken);
        }
        if self.workers.len() >= WORKERS_MAX && !self.workers.contains_key(&incarnation) {
            return Err(HelloError::Full);
        }
        // Until a beat counts, which makes it a claim for long: numbers that are only asked for would be used up.
        let until = claim.map_or(now, |claim| claim.until).max(now + self.timing.lease);
        self.numbers.insert(hello.number, Claim { incarnation, until });
        // One that drew another number gives the former back.
        self.numbers
            .retain(|number, claim| claim.incarnation != incarnation || *number == hello.number);
        self.serial += 1;
        let serial = self.serial;
        let (load, sessions) = self
            .workers
            .remove(&incarnation)
            .map(|known| (known.load, known.sessions))
            .unwrap_or_default();
        let record = Record {
            hello,
            serial,
            health: Health::Alive,
            renewed: now,
            load,
            agreement: Agreement::default(),
            sessions,
        };
        self.workers.insert(incarnation, record);
        Ok(Lease { incarnation, serial })
    }

    pub(crate) fn beat(&mut self, lease: &Lease, load: Load, health: Health, now: Instant) -> Result<(), ReportError> {
        let timing = self.timing;
        let record = self.leased(lease, now)?;
        let known = record.sessions.len();
        if record.agreement.is_lost(load.sessions as usize, known, timing, now) {
            // Void: serials begin at 1.
            record.serial = 0;
            return Err(ReportError::Expired);
        }
        record.renewed = now;
        (record.load, record.health) = (load, health);
        let number = record.hello.number;
        if let Some(claim) = self.numbers.get_mut(&number) {
            claim.until = now + timing.number_rest;
        }
        Ok(())
    }

    pub(crate) fn add(
        &mut self,
        lease: &Lease,
        sessions: Vec<Reported>,
        now: Instant,
    ) -> Result<Vec<Session>, ReportError> {
        let record = self.speaking(lease, now)?;
        if record.sessions.len() + sessions.len() > SESSIONS_PER_WORKER_MAX {
            return Err(ReportError::TooManySessions);
        }
        Ok(sessions
            .into_iter()
            .flat_map(|reported| self.add_one(reported, lease.serial))
            .collect())
    }

    pub(crate) fn remove(&mut self, lease: &Lease, sids: &[SessionId], now: Instant) -> Result<(), ReportError> {
        let record = self.speaking(lease, now)?;
        let named = sids.iter().filter_map(|sid| record.sessions.remove_entry(sid));
        for (sid, stream) in named.collect::<Vec<_>>() {
            self.streams.remove(&stream, sid);
        }
        Ok(())
    }

    pub(crate) fn end_snapshot(&mut self, lease: &Lease, now: Instant) -> Result<(), ReportError> {
        let sessions = self.speaking(lease, now)?.sessions.clone();
        for (sid, stream) in sessions {
            let state = self.streams.get(&stream, sid).map(|entry| entry.state);
            if matches!(state, Some(State::Live { confirmed }) if confirmed < lease.serial) {
                self.forget(&stream, sid);
            }
        }
        Ok(())
    }

    pub(crate) fn held(&mut self, lease: &Lease, now: Instant) -> Option<Vec<Session>> {
        let sessions = self.leased(lease, now).ok()?.sessions.clone();
        let live = sessions.iter().filter_map(|(sid, stream)| {
            let entry = self.streams.get(stream, *sid).filter(|entry| entry.is_live())?;
            Some(entry.session(stream, *sid))
        });
        Some(live.collect())
    }

    pub(crate) fn suspect(&mut self, lease: &Lease) {
        let record = self.workers.get_mut(&lease.incarnation);
        if let Some(record) = record.filter(|record| record.serial == lease.serial) {
            record.health = Health::Suspect;
        }
    }

    pub(crate) fn bury(&mut self, incarnation: Incarnation) {
        let sessions = self.workers.remove(&incarnation).map(|record| record.sessions);
        for (sid, stream) in sessions.unwrap_or_default() {
            self.streams.remove(&stream, sid);
        }
    }

    pub(crate) fn place(&mut self, placement: &Placement, now: Instant) -> Result<Session, PlaceError> {
        self.expire(now);
        let worker = self.workers.get(&placement.incarnation);
        if worker.is_none_or(|record| record.health != Health::Alive) {
            return Err(PlaceError::NotAlive);
        }
        let stream = &placement.stream;
        let others = || self.streams.of(stream).filter(|(sid, _)| *sid != placement.sid);
        let live = others().filter(|(_, entry)| entry.is_live());
        let holder = live.max_by_key(|(_, entry)| entry.owner.epoch);
        let latest = holder.map(|(_, entry)| entry.owner.epoch);
        let newest = others().map(|(_, entry)| entry.owner.epoch).max();
        let mut reserved = Vec::new();
        match placement.takeover {
            Takeover::Replace if placement.former.is_some() && newest > placement.former => {
                return Err(PlaceError::Superseded);
            }
            Takeover::Reject if others().next().is_some() => return Err(PlaceError::Held),
            Takeover::Reject if let Some(left) = self.rebuilding(now) => return Err(PlaceError::Rebuilding { left }),
            Takeover::Several if others().count() >= SESSIONS_PER_STREAM_MAX => return Err(PlaceError::Full),
            Takeover::Reject | Takeover::Several => {}
            Takeover::Replace => {
                if let Some((sid, entry)) = holder {
                    let wait = self.timing.loser_wait;
                    self.streams.may_replace(placement, (sid, entry), wait, now)?;
                }
                // Of two that place at once the later wins.
                let others = others().filter(|(_, entry)| !entry.is_live());
                reserved.extend(others.map(|(sid, _)| sid));
            }
        }
        let epoch = self.streams.next_epoch(stream, latest, now).ok_or(PlaceError::Hurry)?;
        for sid in reserved {
            self.forget(stream, sid);
        }
        let session = placement.session(epoch);
        let entry = Entry {
            owner: session.owner.clone(),
            state: State::Reserved { since: now },
            takeover: placement.takeover,
            client: placement.client,
        };
        self.insert(stream, placement.sid, entry);
        Ok(session)
    }

    pub(crate) fn commit(&mut self, session: &Session, now: Instant) -> Result<Vec<Session>, CommitError> {
        self.expire(now);
        let (sid, stream) = (session.sid, &session.stream);
        let entry = self.streams.get(stream, sid).cloned();
        let told = entry.as_ref().is_some_and(|entry| entry.owner == session.owner);
        let Some(mine) = entry.filter(|entry| !entry.is_live()) else {
            let mut others = self.streams.of(stream);
            let later = others.any(|(other, entry)| other != sid && entry.owner.epoch > session.owner.epoch);
            return match self.rebuilding(now) {
                Some(_) if !later && told => Ok(Vec::new()),
                Some(_) if !later => Err(CommitError::Rebuilding),
                // Its reservation went with its lease.
                None if !later && !self.workers.contains_key(&session.owner.incarnation) => Err(CommitError::NotAlive),
                _ => Err(CommitError::Lost),
            };
        };
        let worker = self.workers.get(&mine.owner.incarnation).ok_or(CommitError::NotAlive)?;
        let confirmed = worker.serial;
        let mut replaced = Vec::new();
        if mine.takeover != Takeover::Several {
            let live = self.streams.of(stream).filter(|(_, entry)| entry.is_live());
            for (sid, entry) in live.map(|(sid, entry)| (sid, entry.clone())).collect::<Vec<_>>() {
                self.forget(stream, sid);
                // An encoder that takes its own stream back is no loser.
                if entry.client != mine.client
                    && let Some(client) = entry.client
                {
                    self.streams.note_loser(stream, client, now);
                }
                replaced.push(entry.session(stream, sid));
            }
        }
        let state = State::Live { confirmed };
        self.insert(stream, sid, Entry { state, ..mine });
        Ok(replaced)
    }

    pub(crate) fn release(&mut self, session: &Session) {
        let entry = self.streams.get(&session.stream, session.sid);
        if entry.is_some_and(|entry| {
            entry.owner.incarnation == session.owner.incarnation && entry.owner.epoch <= session.owner.epoch
        }) {
            self.forget(&session.stream, session.sid);
        }
    }

    pub(crate) fn lookup(&mut self, stream: &StreamName, sid: SessionId, now: Instant) -> Lookup {
        self.expire(now);
        match self.streams.get(stream, sid).filter(|entry| entry.is_live()) {
            Some(entry) => Lookup::Live(entry.session(stream, sid)),
            None if self.rebuilding(now).is_some() => Lookup::Unknown,
            None => Lookup::Absent,
        }
    }

    pub(crate) fn worker(&mut self, incarnation: Incarnation, now: Instant) -> Option<Worker> {
        self.expire(now);
        self.workers.get(&incarnation).map(Worker::from)
    }

    pub(crate) fn view(&mut self, now: Instant) -> View {
        self.expire(now);
        View {
            workers: Arc::new(self.workers.values().map(Worker::from).collect()),
            freshness: Freshness::Current,
        }
    }

    /// One session its worker names. Returns those that lose their stream: it, or who held it with an earlier epoch.
    fn add_one(&mut self, reported: Reported, confirmed: u64) -> Vec<Session> {
        let Reported {
            session,
            takeover,
            heard,
        } = reported;
        let Session { sid, stream, owner } = session.clone();
        let mut client = None;
        if self.streams.refuses(&session, takeover) {
            let mine = self.streams.get(&stream, sid);
            if mine.is_some_and(|mine| mine.owner.incarnation == owner.incarnation) {
                self.forget(&stream, sid);
            }
            return vec![session];
        }
        if let Some(known) = self.streams.get(&stream, sid) {
            if !known.is_live() && known.owner == owner && !heard {
                // Its gateway's commit is on the way, and decides about the stream.
                return Vec::new();
            }
            // A session has one owner: the later epoch's. What an earlier one still reports is stale.
            if known.owner.epoch > owner.epoch {
                return vec![session];
            }
            client = known.client.filter(|_| known.owner.incarnation == owner.incarnation);
        }
        let others = self.streams.of(&stream);
        let rivals = others.filter(|(other, entry)| *other != sid && entry.is_live() && takeover != Takeover::Several);
        let rivals: Vec<Session> = rivals.map(|(other, entry)| entry.session(&stream, other)).collect();
        if rivals.iter().any(|rival| rival.owner.epoch >= owner.epoch) {
            self.forget(&stream, sid);
            return vec![session];
        }
        if !rivals.is_empty() && !heard {
            // Its gateway may have died with its answer: it takes nothing from whoever streams.
            return Vec::new();
        }
        for sid in rivals.iter().map(|rival| rival.sid).chain([sid]) {
            self.forget(&stream, sid);
        }
        let state = State::Live { confirmed };
        let entry = Entry {
            owner,
            state,
            takeover,
            client,
        };
        self.insert(&stream, sid, entry);
        rivals
    }

    fn insert(&mut self, stream: &StreamName, sid: SessionId, entry: Entry) {
        if let Some(record) = self.workers.get_mut(&entry.owner.incarnation) {
            record.sessions.insert(sid, stream.clone());
        }
        self.streams.insert(stream, sid, entry);
    }

    fn forget(&mut self, stream: &StreamName, sid: SessionId) {
        let entry = self.streams.remove(stream, sid);
        let worker = entry.and_then(|entry| self.workers.get_mut(&entry.owner.incarnation));
        if let Some(record) = worker {
            record.sessions.remove(&sid);
        }
    }

    /// As [`Memory::leased`], of a worker that spoke just now: renews the lease.
    fn speaking(&mut self, lease: &Lease, now: Instant) -> Result<&mut Record, ReportError> {
        let record = self.leased(lease, now)?;
        record.renewed = now;
        Ok(record)
    }

    fn leased(&mut self, lease: &Lease, now: Instant) -> Result<&mut Record, ReportError> {
        self.expire(now);
        let record = self.workers.get_mut(&lease.incarnation);
        record
            .filter(|record| record.serial == lease.serial)
            .ok_or(ReportError::Expired)
    }

    /// How long absence means nothing yet.
    fn rebuilding(&self, now: Instant) -> Option<Duration> {
        let left = (self.began + self.timing.rebuild).saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    fn expire(&mut self, now: Instant) {
        let over = |since: Instant, limit| now.saturating_duration_since(since) >= limit;
        let workers = self.workers.iter();
        let dead = workers.filter(|(_, record)| over(record.renewed, self.timing.lease));
        for incarnation in dead.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.bury(incarnation);
        }
        for (stream, sid) in self.streams.reserved_before(self.timing.reservation, now) {
            self.forget(&stream, sid);
        }
    }
}
