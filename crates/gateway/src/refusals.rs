//! Requests of encoders that were refused here within the last hour, by stream, and what other gateways are told of them.
//!
//! Strangers may ask whatever they like: those whose token could not name the stream have a table of their own, and of one address a
//! small part of it. Nothing that they wrote is kept but the stream's name, whose characters are those of names. Bearers are told
//! apart likewise. Told to others in the background, at a bounded rate; while the directory is away they are known here alone.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::Method;
use tokio::time::{Instant, MissedTickBehavior, interval};
use whipcord_directory::{REFUSALS_KEPT, REFUSALS_MAX, Refusal};
use whipcord_identity::StreamName;

use crate::{Shared, auth::Bearer, explain::Refused, problem::Error, rates::network};

/// Of one address, or of its network: a household's encoders and their mistakes, of each 1 in 64 of the table.
const PER_ADDRESS_MAX: usize = REFUSALS_MAX / 64;
/// Of one token: a quarter, as of POSTs that wait.
const PER_BEARER_MAX: usize = REFUSALS_MAX / 4;
/// How often others are told.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// At once: some 5 kB in one script. What is left waits, and is kept once however often it comes again.
const TELL_MAX: usize = 64;

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
pub(crate) struct Reason {
    pub(crate) method: &'static str,
    pub(crate) refused: Refused,
    /// The word in the encoder's answer.
    pub(crate) reason: String,
}

/// One kind of refusal of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) reason: Reason,
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
}

#[derive(Debug, Default)]
struct Table(HashMap<(StreamName, Reason), Entry>);

#[derive(Debug)]
struct Entry {
    source: Source,
    at: Instant,
    told: bool,
}

impl Reason {
    fn new(method: &Method, error: &Error) -> Option<Self> {
        let method = ["POST", "PATCH", "DELETE"].into_iter().find(|known| method == *known)?;
        Some(Self {
            method,
            refused: Refused::of(error),
            reason: word(error.reason()),
        })
    }

    /// As other gateways read it.
    fn to_text(&self) -> String {
        format!("{}/{}/{}", self.method, self.refused.word(), self.reason)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split('/');
        let (method, refused, reason) = (words.next()?, words.next()?, words.next()?);
        Some(Self {
            method: ["POST", "PATCH", "DELETE"].into_iter().find(|known| method == *known)?,
            refused: Refused::parse(refused)?,
            reason: word(reason),
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
        let Some(reason) = Reason::new(method, error) else {
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
        table.note((stream, reason), source, most, Instant::now());
    }

    /// What was refused here of this stream.
    pub(crate) fn of(&self, stream: &StreamName) -> Vec<Noted> {
        let now = Instant::now();
        let tables = self.lock();
        let both = [(&tables.strangers, false), (&tables.bearers, true)];
        both.into_iter()
            .flat_map(|(table, proven)| table.0.iter().map(move |(key, entry)| (key, entry, proven)))
            .filter(|((of, _), entry, _)| of == stream && now - entry.at < REFUSALS_KEPT)
            .map(|((_, reason), entry, proven)| Noted {
                reason: reason.clone(),
                proven,
                age: now - entry.at,
            })
            .collect()
    }

    fn untold(&self) -> Vec<((StreamName, Reason), bool)> {
        let tables = self.lock();
        // Those of bearers first.
        let both = [(&tables.bearers, true), (&tables.strangers, false)];
        let entries = both
            .into_iter()
            .flat_map(|(table, proven)| table.0.iter().map(move |(key, entry)| (key, entry, proven)));
        let untold = entries.filter(|(_, entry, _)| !entry.told);
        untold
            .map(|(key, _, proven)| (key.clone(), proven))
            .take(TELL_MAX)
            .collect()
    }

    fn set_told(&self, told: &[((StreamName, Reason), bool)], is_told: bool) {
        let mut tables = self.lock();
        for (key, proven) in told {
            let table = if *proven {
                &mut tables.bearers
            } else {
                &mut tables.strangers
            };
            if let Some(entry) = table.0.get_mut(key) {
                entry.told = is_told;
            }
        }
    }

    /// No method leaves it half changed.
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// In the place of one that is over, or of the same source's oldest, or of the oldest of all.
    fn note(&mut self, key: (StreamName, Reason), source: Source, most: usize, now: Instant) {
        if let Some(entry) = self.0.get_mut(&key) {
            (entry.at, entry.told) = (now, false);
            return;
        }
        let of_source = self.0.values().filter(|entry| entry.source == source).count();
        if of_source >= most {
            self.forget_oldest(Some(source));
        } else if self.0.len() >= REFUSALS_MAX {
            self.0.retain(|_, entry| now - entry.at < REFUSALS_KEPT);
            if self.0.len() >= REFUSALS_MAX {
                self.forget_oldest(None);
            }
        }
        let entry = Entry {
            source,
            at: now,
            // Of a source that has used its part up, others are told no more: a stranger's names would flush theirs.
            told: of_source >= most,
        };
        self.0.insert(key, entry);
    }

    fn forget_oldest(&mut self, source: Option<Source>) {
        let of_source = self
            .0
            .iter()
            .filter(|(_, entry)| source.is_none_or(|source| entry.source == source));
        let oldest = of_source.min_by_key(|(_, entry)| entry.at).map(|(key, _)| key.clone());
        if let Some(oldest) = oldest {
            self.0.remove(&oldest);
        }
    }
}

impl Shared {
    /// What all gateways refused of this stream; and whether that is all, or this one's alone because the directory is away.
    pub(crate) async fn refusals_of(&self, stream: &StreamName) -> (Vec<Noted>, bool) {
        let mut noted = self.refusals.of(stream);
        let told = self.directory.refusals(stream).await;
        let is_complete = told.is_ok();
        for (Refusal { what, proven, .. }, age) in told.unwrap_or_default() {
            let Some(reason) = Reason::parse(&what) else { continue };
            match noted
                .iter_mut()
                .find(|known| known.reason == reason && known.proven == proven)
            {
                Some(known) => known.age = known.age.min(age),
                None => noted.push(Noted { reason, proven, age }),
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
        let untold = shared.refusals.untold();
        if untold.is_empty() {
            continue;
        }
        let refusals: Vec<Refusal> = untold
            .iter()
            .map(|((stream, reason), proven)| Refusal {
                stream: stream.clone(),
                what: reason.to_text(),
                proven: *proven,
            })
            .collect();
        // What comes again meanwhile is told again.
        shared.refusals.set_told(&untold, true);
        if shared.directory.refused(&refusals).await.is_err() {
            shared.refusals.set_told(&untold, false);
        }
    }
}

#[cfg(test)]
mod tests;
