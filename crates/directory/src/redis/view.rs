//! All workers, as last heard of: looked at twice a second, so that placing asks Redis nothing, however many they are.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use whipcord_identity::Incarnation;

use super::{
    CHUNK, Redis,
    reporters::{Reporters, Standing},
    texts,
    wire::{self, State},
};
use crate::{
    Beginning, lock,
    values::{Freshness, Hello, Unavailable, View, Worker},
};

#[derive(Debug, Default)]
pub(super) struct Cache {
    /// When Redis last told.
    seen: Option<Instant>,
    /// When its data began, as it then told.
    pub(super) began: Option<Beginning>,
    workers: HashMap<Incarnation, Known>,
    /// The format of the data, if the last look that was answered found a later version's.
    pub(super) newer: Option<u64>,
    /// Buried since the look that is under way began.
    buried: HashSet<Incarnation>,
    merged: Option<Merged>,
}

/// What was seen and who reports here, as one list for all who ask: each POST does, and there may be thousands in it.
#[derive(Debug)]
struct Merged {
    at: Instant,
    /// The reporters' change that it shows.
    change: u64,
    workers: Arc<Vec<Worker>>,
}

/// What reporters say of their work with each beat is shown as late as this: beats come once a second.
const MERGED_MAX: Duration = Duration::from_millis(200);

#[derive(Debug)]
struct Known {
    serial: u64,
    worker: Worker,
}

/// What one look found.
struct Look {
    began: Beginning,
    /// Those whose lease lives.
    living: HashMap<Incarnation, State>,
    dead: Vec<Incarnation>,
    /// Reservations that are over: [`CHUNK`] of them at most, and the rest by the next look.
    over: Vec<String>,
}

impl Cache {
    pub(super) fn seen(&self) -> Option<Instant> {
        self.seen
    }

    /// A newer count than the last look's.
    pub(super) fn count(&mut self, incarnation: Incarnation, sessions: usize) {
        if let Some(known) = self.workers.get_mut(&incarnation) {
            known.worker.sessions = sessions;
            let mut merged = self
                .merged
                .iter_mut()
                .flat_map(|merged| Arc::make_mut(&mut merged.workers));
            if let Some(worker) = merged.find(|worker| worker.hello.incarnation == incarnation) {
                worker.sessions = sessions;
            }
        }
    }

    pub(super) fn remove(&mut self, incarnation: Incarnation) {
        self.workers.remove(&incarnation);
        self.buried.insert(incarnation);
        self.merged = None;
    }

    pub(super) fn view(&mut self, reporters: &Reporters, lease: Duration) -> View {
        let change = reporters.change();
        let shown = self.merged.take();
        let shown = shown.filter(|merged| merged.change == change && merged.at.elapsed() < MERGED_MAX);
        let merged = self.merged.insert(shown.unwrap_or_else(|| Merged {
            at: Instant::now(),
            change,
            workers: Arc::new(merge(&self.workers, reporters, lease)),
        }));
        let current = self.seen.is_some_and(|seen| seen.elapsed() < lease);
        View {
            workers: Arc::clone(&merged.workers),
            freshness: if current { Freshness::Current } else { Freshness::Stale },
        }
    }

    /// Those of whom no hello is known, or an older one.
    fn unknown(&self, living: &HashMap<Incarnation, State>) -> Vec<Incarnation> {
        let unknown = living.iter().filter(|(incarnation, state)| {
            self.workers
                .get(incarnation)
                .is_none_or(|known| known.serial != state.serial)
        });
        unknown.map(|(incarnation, _)| *incarnation).collect()
    }

    fn update(&mut self, living: HashMap<Incarnation, State>, hellos: Vec<Hello>) {
        let mut hellos: HashMap<_, _> = hellos.into_iter().map(|hello| (hello.incarnation, hello)).collect();
        let mut former = std::mem::take(&mut self.workers);
        for (incarnation, state) in living {
            if self.buried.contains(&incarnation) {
                continue;
            }
            let hello = hellos.remove(&incarnation);
            let Some(hello) = hello.or_else(|| former.remove(&incarnation).map(|known| known.worker.hello)) else {
                continue;
            };
            let worker = Worker {
                hello,
                health: state.health,
                sessions: state.sessions,
                load: state.load,
            };
            let serial = state.serial;
            self.workers.insert(incarnation, Known { serial, worker });
        }
        self.seen = Some(Instant::now());
        self.merged = None;
    }
}

/// Of one worker the later lease's word counts.
fn merge(seen: &HashMap<Incarnation, Known>, reporters: &Reporters, lease: Duration) -> Vec<Worker> {
    let mut workers: HashMap<Incarnation, Worker> = seen
        .iter()
        .map(|(incarnation, known)| (*incarnation, known.worker.clone()))
        .collect();
    for reporter in reporters.alive(lease) {
        let incarnation = reporter.hello.incarnation;
        let known = seen.get(&incarnation);
        let leased = matches!(reporter.standing, Standing::Leased { .. });
        if leased && known.is_some_and(|known| known.serial > reporter.serial) {
            continue;
        }
        let sessions = known.map_or(reporter.load.sessions as usize, |known| known.worker.sessions);
        let worker = Worker {
            hello: reporter.hello.clone(),
            health: reporter.health,
            sessions,
            load: reporter.load,
        };
        workers.insert(incarnation, worker);
    }
    workers.into_values().collect()
}

/// Looks, until `stop` or until nobody needs it.
pub(super) async fn run(redis: Weak<Redis>, stop: CancellationToken) {
    let Some(timing) = redis.upgrade().map(|redis| redis.timing) else {
        return;
    };
    let mut ticks = interval(timing.refresh());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let Some(redis) = redis.upgrade() else { return };
        let newer = match redis.refresh().await {
            Ok(()) => None,
            Err(Unavailable::Newer(format)) => Some(format),
            Err(Unavailable::Away) => lock(&redis.cache).newer,
        };
        let known = std::mem::replace(&mut lock(&redis.cache).newer, newer);
        if let Some(format) = newer.filter(|_| known != newer) {
            warn!(error = %Unavailable::Newer(format), "the directory cannot be used");
        }
        lock(&redis.reporters).expire(timing.lease);
    }
}

impl Redis {
    /// One look, and the clearing up of what it found dead.
    async fn refresh(&self) -> Result<(), Unavailable> {
        lock(&self.cache).buried.clear();
        let keys = [self.link.space.reserved()];
        let reply = self
            .link
            .run(&self.link.scripts.view, &keys, &[CHUNK.to_string()])
            .await?;
        let Look {
            began,
            living,
            dead,
            over,
        } = read(&reply).ok_or(Unavailable::Away)?;
        lock(&self.cache).began = Some(began);
        let unknown = lock(&self.cache).unknown(&living);
        let mut hellos = Vec::new();
        if !unknown.is_empty() {
            hellos = self.hellos(&unknown).await?.into_iter().flatten().collect();
        }
        lock(&self.cache).update(living, hellos);
        self.lapse(&over).await?;
        let begun = Instant::now();
        for incarnation in dead {
            // The rest by the next look, or by another gateway.
            if begun.elapsed() > self.timing.refresh() / 2 {
                break;
            }
            info!(%incarnation, "a worker's lease is over");
            self.clear(incarnation, false).await?;
        }
        Ok(())
    }

    /// What these said of themselves, one for each.
    pub(super) async fn hellos(&self, incarnations: &[Incarnation]) -> Result<Vec<Option<Hello>>, Unavailable> {
        let names: Vec<String> = incarnations.iter().map(ToString::to_string).collect();
        let mut arguments = vec![self.link.space.workers()];
        arguments.extend(names.iter().map(String::as_str));
        let redis::Value::Array(values) = self.link.ask("HMGET", &arguments).await? else {
            return Err(Unavailable::Away);
        };
        let read = |(value, incarnation): (&redis::Value, &Incarnation)| {
            wire::unpack(*incarnation, &super::script::text(value)?)
        };
        Ok(values.iter().zip(incarnations).map(read).collect())
    }
}

/// `now, began, rebuilding, leases, states, over`.
fn read(reply: &super::Reply) -> Option<Look> {
    let [now, began, rebuilding, leases, states, over] = reply.rest.as_slice() else {
        return None;
    };
    let now: f64 = super::script::text(now)?.parse().ok()?;
    let began = Beginning(super::script::text(began)?.parse().ok()?);
    let rebuilding = super::script::text(rebuilding)? == "1";
    let states = texts(states)?;
    let states: HashMap<&str, &str> = states
        .chunks_exact(2)
        .map(|pair| (pair[0].as_str(), pair[1].as_str()))
        .collect();
    let mut look = Look {
        began,
        living: HashMap::new(),
        dead: Vec::new(),
        over: texts(over)?,
    };
    for pair in texts(leases)?.chunks_exact(2) {
        let (Some(incarnation), Ok(end)) = (wire::incarnation(&pair[0]), pair[1].parse::<f64>()) else {
            continue;
        };
        if end < now && !rebuilding {
            look.dead.push(incarnation);
        } else if let Some(state) = states.get(pair[0].as_str()).and_then(|text| State::read(text)) {
            look.living.insert(incarnation, state);
        }
    }
    Some(look)
}
