//! Requests of encoders that were refused here within the last hour, by stream, and what other gateways are told of them.
//!
//! Strangers may ask whatever they like: those whose token could not name the stream have a table of their own, and of one address a
//! small part of it; whom each was counted to is part of it, so that nobody writes over another's. Nothing that they wrote is kept but the stream's name, whose characters are those of names. Bearers are told
//! apart likewise. Told to others in the background, at a bounded rate; while the directory is away they are known here alone.

mod refused;

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::Method;
use tokio::time::{Instant, MissedTickBehavior, interval};
use whipcord_directory::{Beginning, REFUSALS_KEPT, REFUSALS_MAX, RefusedRequest};
use whipcord_identity::StreamName;

pub(crate) use self::refused::Refused;
use crate::{Shared, auth::Bearer, problem::Error, rates::network};

/// Of one address, or of its network: a household's encoders and their mistakes, of each 1 in 64 of the table.
const PER_ADDRESS_MAX: usize = REFUSALS_MAX / 64;
/// Of one token: a quarter, as of POSTs that wait.
const PER_BEARER_MAX: usize = REFUSALS_MAX / 4;
/// How often others are told.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// At once: some 5 kB in one script. What is left waits, and is kept once however often it comes again.
const TELL_MAX: usize = 64;

/// What encoders ask for.
pub(crate) const NOTED: [Method; 3] = [Method::POST, Method::PATCH, Method::DELETE];

/// Whom a refusal is counted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// Nothing was proven.
    Address(IpAddr),
    /// Of a token that may name the stream.
    Bearer(Bearer),
}

/// What was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    pub(crate) method: Method,
    pub(crate) cause: Refused,
    /// In the encoder's answer.
    pub(crate) word: String,
}

/// One kind of refusal of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) kind: Kind,
    pub(crate) proven: bool,
    /// Since the last.
    pub(crate) age: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    strangers: Table,
    bearers: Table,
    /// Of the directory's data that know what was told.
    began: Option<Beginning>,
}

#[derive(Debug, Default)]
struct Table(HashMap<Key, Entry>);

/// One that another source has, too, is another's: else who asked for a stream first could have its refusals forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    stream: StreamName,
    kind: Kind,
    source: Source,
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    telling: Telling,
}

/// Whether other gateways hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Telling {
    Due,
    Done,
    /// Its source had used its part up: a stranger's names would flush theirs.
    Never,
}

impl Kind {
    pub(crate) fn new(method: &Method, error: &Error) -> Option<Self> {
        Some(Self {
            method: NOTED.into_iter().find(|noted| noted == method)?,
            cause: Refused::of(error),
            word: word(error.reason()),
        })
    }

    /// As other gateways read it.
    fn to_text(&self) -> String {
        format!("{}/{}/{}", self.method, self.cause.word(), self.word)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split('/');
        let (method, cause, said) = (words.next()?, words.next()?, words.next()?);
        Some(Self {
            method: NOTED.into_iter().find(|noted| noted.as_str() == method)?,
            cause: Refused::parse(cause)?,
            word: word(said),
        })
    }
}

/// A word is one also where a worker of a later version gave it.
fn word(text: &str) -> String {
    let letters = text.chars().filter(|c| c.is_ascii_lowercase() || *c == '_');
    letters.take(32).collect()
}

impl Refusals {
    /// Notes what an encoder was refused.
    pub(crate) fn note(&self, stream: StreamName, method: &Method, error: &Error, source: Source) {
        let Some(kind) = Kind::new(method, error) else {
            return;
        };
        let mut tables = self.lock();
        let (table, most) = match source {
            Source::Address(_) => (&mut tables.strangers, PER_ADDRESS_MAX),
            Source::Bearer(_) => (&mut tables.bearers, PER_BEARER_MAX),
        };
        let source = match source {
            Source::Address(address) => Source::Address(network(address)),
            bearer @ Source::Bearer(_) => bearer,
        };
        let key = Key { stream, kind, source };
        table.note(key, most, Instant::now());
    }

    /// What was refused here of this stream.
    pub(crate) fn of(&self, stream: &StreamName) -> Vec<Noted> {
        let now = Instant::now();
        let tables = self.lock();
        let mut noted: Vec<Noted> = Vec::new();
        for (key, entry) in tables.strangers.0.iter().chain(&tables.bearers.0) {
            let age = now - entry.at;
            if key.stream == *stream && age < REFUSALS_KEPT {
                add(&mut noted, key.kind.clone(), key.source.is_proven(), age);
            }
        }
        noted
    }

    /// Where the directory's data began anew, what it was told may be gone.
    fn retell(&self, began: Option<Beginning>) {
        let mut tables = self.lock();
        let Some(began) = began else { return };
        if tables.began.replace(began) == Some(began) {
            return;
        }
        let Tables { strangers, bearers, .. } = &mut *tables;
        for entry in strangers.0.values_mut().chain(bearers.0.values_mut()) {
            entry.telling = entry.telling.due();
        }
    }

    /// Those of bearers first; how long ago each was.
    fn due(&self) -> Vec<(Key, Duration)> {
        let now = Instant::now();
        let tables = self.lock();
        let entries = tables.bearers.0.iter().chain(&tables.strangers.0);
        entries
            .filter(|(_, entry)| entry.telling == Telling::Due && now - entry.at < REFUSALS_KEPT)
            .map(|(key, entry)| (key.clone(), now - entry.at))
            .take(TELL_MAX)
            .collect()
    }

    fn set_telling(&self, told: &[(Key, Duration)], telling: Telling) {
        let mut tables = self.lock();
        for (key, _) in told {
            let table = if key.source.is_proven() {
                &mut tables.bearers
            } else {
                &mut tables.strangers
            };
            if let Some(entry) = table.0.get_mut(key) {
                entry.telling = telling;
            }
        }
    }

    /// No method leaves it half changed.
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// In the place of the same source's oldest, or of the oldest of all.
    fn note(&mut self, key: Key, most: usize, now: Instant) {
        self.0.retain(|_, entry| now - entry.at < REFUSALS_KEPT);
        if let Some(entry) = self.0.get_mut(&key) {
            entry.at = now;
            entry.telling = entry.telling.due();
            return;
        }
        let of_source = self.0.keys().filter(|other| other.source == key.source).count();
        let telling = if of_source >= most {
            self.forget_oldest(Some(key.source));
            Telling::Never
        } else {
            if self.0.len() >= REFUSALS_MAX {
                self.forget_oldest(None);
            }
            Telling::Due
        };
        self.0.insert(key, Entry { at: now, telling });
    }

    fn forget_oldest(&mut self, source: Option<Source>) {
        let of_source = self
            .0
            .iter()
            .filter(|(key, _)| source.is_none_or(|source| key.source == source));
        let oldest = of_source.min_by_key(|(_, entry)| entry.at).map(|(key, _)| key.clone());
        if let Some(oldest) = oldest {
            self.0.remove(&oldest);
        }
    }
}

impl Telling {
    /// Once more.
    fn due(self) -> Self {
        match self {
            Self::Due | Self::Done => Self::Due,
            Self::Never => Self::Never,
        }
    }
}

impl Source {
    fn is_proven(self) -> bool {
        matches!(self, Self::Bearer(_))
    }
}

/// Each once, with the time since its last.
fn add(noted: &mut Vec<Noted>, kind: Kind, proven: bool, age: Duration) {
    let known = noted
        .iter_mut()
        .find(|known| known.kind == kind && known.proven == proven);
    match known {
        Some(known) => known.age = known.age.min(age),
        None => noted.push(Noted { kind, proven, age }),
    }
}

impl Shared {
    /// What all gateways refused of this stream; and whether that is all: not while the directory is away, and not a moment after it lost
    /// what it had.
    pub(crate) async fn refusals_of(&self, stream: &StreamName) -> (Vec<Noted>, bool) {
        let mut noted = self.refusals.of(stream);
        let told = self.directory.refusals(stream).await;
        let is_complete = told.as_ref().is_ok_and(|told| told.is_complete);
        for (RefusedRequest { what, proven, .. }, age) in told.map(|told| told.refusals).unwrap_or_default() {
            if let Some(kind) = Kind::parse(&what) {
                add(&mut noted, kind, proven, age);
            }
        }
        noted.sort_by_key(|noted| noted.age);
        (noted, is_complete)
    }
}

/// Tells other gateways, until the end.
pub(crate) async fn tell(shared: Arc<Shared>) {
    let mut turns = interval(TELL_EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let shutdown = shared.shutdown.clone();
    while shutdown.run_until_cancelled(turns.tick()).await.is_some() {
        shared.refusals.retell(shared.directory.began());
        let due = shared.refusals.due();
        if due.is_empty() {
            continue;
        }
        let refusals: Vec<(RefusedRequest, Duration)> = due
            .iter()
            .map(|(key, age)| {
                let refusal = RefusedRequest {
                    stream: key.stream.clone(),
                    what: key.kind.to_text(),
                    proven: key.source.is_proven(),
                };
                (refusal, *age)
            })
            .collect();
        // What comes again meanwhile is told again.
        shared.refusals.set_telling(&due, Telling::Done);
        if shared.directory.refused(&refusals).await.is_err() {
            shared.refusals.set_telling(&due, Telling::Due);
        }
    }
}

#[cfg(test)]
mod tests;
