//! What is to be done, from what Kubernetes says, what the gateways say, and what was done already.
//!
//! Pure: time is passed in, and what came of a request is told afterwards.

mod capacity;
mod deaths;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use whipcord_identity::{Incarnation, WorkerId};

use crate::{
    addresses::{self, Address, Rule, Unknown, World},
    platform::{Node, Pod},
};

use capacity::Capacity;
use deaths::Deaths;
pub(crate) use deaths::Probe;

/// Which duties there are.
#[derive(Clone, Debug)]
pub(crate) struct Duties {
    pub(crate) addresses: Rule,
    pub(crate) fencing: bool,
    pub(crate) drain: bool,
    /// Taints that say that a node's pods are to go.
    pub(crate) taints: Vec<String>,
}

/// The workers, as a gateway knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) workers: Vec<Listed>,
    /// Who is missing may live.
    pub(crate) is_stale: bool,
}

/// One start of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) worker: WorkerId,
    pub(crate) incarnation: Incarnation,
    pub(crate) health: Health,
    pub(crate) sessions: u32,
    pub(crate) sessions_max: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Alive,
    Suspect,
    Draining,
    Unaddressed,
    /// Of a later version.
    Other,
}

/// A pod, for an Event about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodRef {
    pub(crate) name: String,
    /// Empty where it was never seen.
    pub(crate) uid: String,
}

/// Of all workers whose pods are known; none where none is known.
pub(crate) type Book = BTreeMap<WorkerId, Vec<Address>>;

/// What is to be done now. What was asked already, and has not been answered, is not among it.
#[derive(Debug, Default)]
pub(crate) struct Intentions {
    /// To be told to every gateway.
    pub(crate) addresses: Option<Book>,
    pub(crate) probes: Vec<Probe>,
    pub(crate) drains: Vec<Drain>,
    pub(crate) notices: Vec<Notice>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Drain {
    pub(crate) worker: WorkerId,
    pub(crate) pod: PodRef,
    pub(crate) node: String,
    pub(crate) leaving: Leaving,
    incarnations: BTreeSet<Incarnation>,
}

/// Why a node's workers are to go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Leaving {
    #[error("is cordoned")]
    Cordoned,
    #[error("has the taint {0}")]
    Tainted(String),
    #[error("was deleted")]
    Deleted,
}

/// What an operator must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    DrainBegun { drain: Drain, sessions: u32 },
    AddressUnknown { pod: PodRef, why: Unknown },
    AddressKnown { pod: PodRef, addresses: Vec<Address> },
    WorkerDead { probe: Probe, incarnations: u32 },
    NoCapacity { workers: usize, sessions: u64 },
    Capacity { room: u64 },
}

/// A node that pods name and that is not there was deleted, if it is still not there after this: lists of pods and nodes come one after
/// the other.
const NODE_MISSING: Duration = Duration::from_secs(10);

/// What was seen and done so far. Its loss costs a repetition.
#[derive(Debug)]
pub(crate) struct Plan {
    duties: Duties,
    deaths: Deaths,
    capacity: Capacity,
    /// Told to drain, and why: once for each start of a worker while its node is on its way out.
    drained: BTreeMap<Incarnation, String>,
    draining: BTreeSet<WorkerId>,
    missing: BTreeMap<String, Instant>,
    /// What was said last of a pod's address, by its uid.
    said: BTreeMap<String, Result<Vec<Address>, Unknown>>,
}

impl Plan {
    pub(crate) fn new(duties: Duties) -> Self {
        Self {
            duties,
            deaths: Deaths::default(),
            capacity: Capacity::default(),
            drained: BTreeMap::new(),
            draining: BTreeSet::new(),
            missing: BTreeMap::new(),
            said: BTreeMap::new(),
        }
    }

    /// `listing` is `None` where no gateway answers.
    pub(crate) fn look(&mut self, world: World<'_>, listing: Option<&Listing>, now: Instant) -> Intentions {
        let mut intentions = Intentions::default();
        self.address(world, listing, &mut intentions);
        if self.duties.fencing {
            intentions.probes = self.deaths.look(world.pods, listing);
        }
        if let (true, Some(listing)) = (self.duties.drain, listing) {
            intentions.drains = self.drains(world, listing, now);
        }
        if let Some(listing) = listing.filter(|listing| !listing.is_stale) {
            intentions.notices.extend(self.capacity.look(&listing.workers, now));
        }
        intentions
    }

    fn address(&mut self, world: World<'_>, listing: Option<&Listing>, intentions: &mut Intentions) {
        let mut book = Book::new();
        let uids: BTreeSet<&String> = world.pods.values().map(|pod| &pod.uid).collect();
        self.said.retain(|uid, _| uids.contains(uid));
        for (name, pod) in world.pods {
            let (Some(reach), Ok(worker)) = (
                addresses::reach(pod, self.duties.addresses, world),
                name.parse::<WorkerId>(),
            ) else {
                continue;
            };
            // One that named its addresses itself is not waiting for these.
            let waits = listed(listing, &worker).any(|one| one.health == Health::Unaddressed);
            let changed = self.said.get(&pod.uid) != Some(&reach);
            let pod = pod_ref(name, pod);
            match &reach {
                Ok(addresses) if changed => {
                    let addresses = addresses.clone();
                    self.said.insert(pod.uid.clone(), reach.clone());
                    intentions.notices.push(Notice::AddressKnown { pod, addresses });
                }
                Err(why) if changed && waits => {
                    let why = why.clone();
                    self.said.insert(pod.uid.clone(), reach.clone());
                    intentions.notices.push(Notice::AddressUnknown { pod, why });
                }
                Ok(_) | Err(_) => {}
            }
            book.insert(worker, reach.unwrap_or_default());
        }
        intentions.addresses = (self.duties.addresses.source != addresses::Source::Off).then_some(book);
    }

    fn drains(&mut self, world: World<'_>, listing: &Listing, now: Instant) -> Vec<Drain> {
        let named = world.pods.values().filter_map(|pod| pod.node.as_ref());
        let named: BTreeSet<&String> = named.collect();
        self.missing
            .retain(|name, _| named.contains(name) && !world.nodes.contains_key(name));
        for name in named.iter().filter(|name| !world.nodes.contains_key(**name)) {
            self.missing.entry((*name).clone()).or_insert(now);
        }
        let leaving: BTreeMap<&String, Leaving> = named
            .iter()
            .filter_map(|name| Some((*name, self.leaving(name, world.nodes.get(*name), now)?)))
            .collect();
        // A node that stays after all may be cordoned again.
        self.drained.retain(|_, node| leaving.contains_key(&*node));
        let mut drains = Vec::new();
        for (name, pod) in world.pods.iter().filter(|(_, pod)| !pod.has_ended) {
            let leaves = pod.node.as_ref().and_then(|node| leaving.get_key_value(node));
            let (Some((node, why)), Ok(worker)) = (leaves, name.parse::<WorkerId>()) else {
                continue;
            };
            let due = listed(Some(listing), &worker)
                .filter(|one| one.health != Health::Draining && !self.drained.contains_key(&one.incarnation));
            let incarnations: BTreeSet<Incarnation> = due.map(|one| one.incarnation).collect();
            if incarnations.is_empty() || !self.draining.insert(worker.clone()) {
                continue;
            }
            drains.push(Drain {
                worker,
                pod: pod_ref(name, pod),
                node: (*node).clone(),
                leaving: why.clone(),
                incarnations,
            });
        }
        drains
    }

    fn leaving(&self, name: &str, node: Option<&Node>, now: Instant) -> Option<Leaving> {
        let Some(node) = node else {
            let since = self.missing.get(name)?;
            return (now.saturating_duration_since(*since) >= NODE_MISSING).then_some(Leaving::Deleted);
        };
        let taint = node.taints.iter().find(|taint| self.duties.taints.contains(taint));
        if node.is_deleted {
            Some(Leaving::Deleted)
        } else if node.is_cordoned {
            Some(Leaving::Cordoned)
        } else {
            taint.map(|taint| Leaving::Tainted(taint.clone()))
        }
    }

    /// What came of a drain: sessions that lived there when it began, or `None` where it is to be tried again.
    pub(crate) fn drained(&mut self, drain: Drain, sessions: Option<u32>) -> Option<Notice> {
        self.draining.remove(&drain.worker);
        let sessions = sessions?;
        let told = drain.incarnations.iter();
        self.drained
            .extend(told.map(|incarnation| (*incarnation, drain.node.clone())));
        Some(Notice::DrainBegun { drain, sessions })
    }

    /// What came of a probe: so many incarnations were found dead, or `None` where no gateway answered.
    pub(crate) fn probed(&mut self, probe: Probe, dead: Option<u32>) -> Option<Notice> {
        self.deaths.probed(&probe, dead.is_some());
        let incarnations = dead.filter(|dead| *dead > 0)?;
        Some(Notice::WorkerDead { probe, incarnations })
    }
}

fn listed<'a>(listing: Option<&'a Listing>, worker: &WorkerId) -> impl Iterator<Item = &'a Listed> {
    let workers = listing.map(|listing| &listing.workers[..]).unwrap_or_default();
    workers.iter().filter(move |one| one.worker == *worker)
}

fn pod_ref(name: &str, pod: &Pod) -> PodRef {
    PodRef {
        name: name.to_owned(),
        uid: pod.uid.clone(),
    }
}

#[cfg(test)]
mod tests;
