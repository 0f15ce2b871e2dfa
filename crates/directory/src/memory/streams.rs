//! Who holds and who has reserved each stream, and who lost it lately.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use whipcord_identity::{Epoch, Owner, SessionId, StreamName};

use crate::{
    PlaceError, Placement, SESSIONS_PER_STREAM_MAX, Session, Takeover,
    values::{epoch_by_clock, latest_epoch},
};

#[derive(Debug, Default)]
pub(super) struct Streams {
    entries: HashMap<StreamName, HashMap<SessionId, Entry>>,
    /// Streams with a reservation, some of them over.
    reserved: HashSet<StreamName>,
    past: HashMap<StreamName, Past>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) owner: Owner,
    pub(super) state: State,
    pub(super) takeover: Takeover,
    pub(super) client: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
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
struct Past {
    epoch: u32,
    loser: Option<(u64, Instant)>,
    noted: Instant,
}

/// The past is looked at for this long: longer than a loser waits.
const PAST: Duration = Duration::from_secs(60);

impl Entry {
    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, State::Live { .. })
    }

    pub(super) fn session(&self, stream: &StreamName, sid: SessionId) -> Session {
        Session {
            sid,
            stream: stream.clone(),
            owner: self.owner.clone(),
        }
    }
}

impl Streams {
    pub(super) fn get(&self, stream: &StreamName, sid: SessionId) -> Option<&Entry> {
        self.entries.get(stream)?.get(&sid)
    }

    pub(super) fn of(&self, stream: &StreamName) -> impl Iterator<Item = (SessionId, &Entry)> {
        let entries = self.entries.get(stream).into_iter().flatten();
        entries.map(|(sid, entry)| (*sid, entry))
    }

    pub(super) fn insert(&mut self, stream: &StreamName, sid: SessionId, entry: Entry) {
        if !entry.is_live() {
            self.reserved.insert(stream.clone());
        }
        self.entries.entry(stream.clone()).or_default().insert(sid, entry);
    }

    pub(super) fn remove(&mut self, stream: &StreamName, sid: SessionId) -> Option<Entry> {
        let entries = self.entries.get_mut(stream)?;
        let removed = entries.remove(&sid);
        if entries.is_empty() {
            self.entries.remove(stream);
        }
        removed
    }

    /// Reservations older than this.
    pub(super) fn reserved_before(&mut self, limit: Duration, now: Instant) -> Vec<(StreamName, SessionId)> {
        let mut over = Vec::new();
        let entries = &self.entries;
        self.reserved.retain(|stream| {
            let mut waiting = false;
            for (sid, entry) in entries.get(stream).into_iter().flatten() {
                match entry.state {
                    State::Reserved { since } if now.saturating_duration_since(since) >= limit => {
                        over.push((stream.clone(), *sid));
                    }
                    State::Reserved { .. } => waiting = true,
                    State::Live { .. } => {}
                }
            }
            waiting
        });
        over
    }

    /// Whether a session that is reported has no right to its stream, whoever holds it: nobody gave it that epoch, with which it would
    /// keep the stream for ever, or the stream has as many as it may.
    pub(super) fn refuses(&self, session: &Session, takeover: Takeover) -> bool {
        let mine = self.get(&session.stream, session.sid);
        let given = session.owner.epoch <= latest_epoch() || mine.is_some_and(|mine| mine.owner == session.owner);
        let several = takeover == Takeover::Several && mine.is_none();
        !given || (several && self.of(&session.stream).count() >= SESSIONS_PER_STREAM_MAX)
    }

    /// Whether a placement may replace the holder of its stream.
    pub(super) fn may_replace(
        &self,
        placement: &Placement,
        (sid, holder): (SessionId, &Entry),
        wait: Duration,
        now: Instant,
    ) -> Result<(), PlaceError> {
        let past = self.past.get(&placement.stream);
        let loser = past
            .and_then(|past| past.loser)
            .filter(|(_, since)| now.saturating_duration_since(*since) < wait);
        let is_loser = loser.is_some_and(|(client, _)| Some(client) == placement.client);
        if is_loser && !placement.force && placement.former.is_none() {
            let holder = holder.session(&placement.stream, sid);
            return Err(PlaceError::Lost { holder });
        }
        Ok(())
    }

    /// Later than all before, and than the holder's. None where that is too far ahead of the clock: two equal ones would each lose to
    /// the other.
    pub(super) fn next_epoch(&mut self, stream: &StreamName, holder: Option<Epoch>, now: Instant) -> Option<Epoch> {
        self.past
            .retain(|_, past| now.saturating_duration_since(past.noted) < PAST);
        let past = self.past.entry(stream.clone()).or_insert(Past {
            epoch: 0,
            loser: None,
            noted: now,
        });
        let before = past.epoch.max(holder.map_or(0, |epoch| epoch.0));
        let next = epoch_by_clock().max(Epoch(before.checked_add(1)?));
        if next > latest_epoch() {
            return None;
        }
        (past.epoch, past.noted) = (next.0, now);
        Some(next)
    }

    pub(super) fn note_loser(&mut self, stream: &StreamName, client: u64, now: Instant) {
        if let Some(past) = self.past.get_mut(stream) {
            past.loser = Some((client, now));
            past.noted = now;
        }
    }
}
