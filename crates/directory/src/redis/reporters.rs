//! The workers that report to this gateway: what it knows of them without Redis.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use whipcord_identity::{Incarnation, SessionId, StreamName, WorkerId};

use super::script::NUMBER_RENEWAL;
use crate::{
    SESSIONS_PER_WORKER_MAX, Timing,
    agreement::Agreement,
    values::{Health, Hello, Lease, Load, Session},
};

#[derive(Debug, Default)]
pub(super) struct Reporters {
    table: HashMap<Incarnation, Reporter>,
    /// Of the last lease that Redis did not give.
    serial: u64,
    /// Counts what changes which workers there are, or what may be placed on them; not what each beat says of their work.
    change: u64,
}

#[derive(Debug)]
pub(super) struct Reporter {
    pub(super) hello: Hello,
    pub(super) serial: u64,
    pub(super) standing: Standing,
    /// As this gateway shows it.
    pub(super) health: Health,
    /// As its last beat says; not shown as alive before Redis knows it too.
    told: Health,
    pub(super) load: Load,
    /// When it last said something.
    pub(super) heard: Instant,
    agreement: Agreement,
    /// None until its first beat.
    number_renewed: Option<Instant>,
    /// Of the sessions it told, because it names ended ones without: some 100 bytes each, [`SESSIONS_PER_WORKER_MAX`] at most.
    streams: HashMap<SessionId, StreamName>,
}

/// What a reporter's lease is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Redis gave it, and has since been told of so many changes.
    Leased { changes: u64 },
    /// Redis does not know it, or not all that was reported. It holds until Redis has been heard of after this.
    Adrift { since: Instant },
}

/// What a beat tells Redis.
#[derive(Debug)]
pub(super) struct Beat {
    pub(super) changes: u64,
    pub(super) load: Load,
    pub(super) health: Health,
    /// The worker's number, when its claim is to be renewed.
    pub(super) number: Option<u32>,
}

impl Reporters {
    /// A serial and standing for a lease without Redis.
    pub(super) fn adrift(&mut self) -> (u64, Standing) {
        let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let micros = clock.map_or(0, |clock| clock.as_micros() as u64);
        self.serial = micros.max(self.serial + 1);
        let since = Instant::now();
        (self.serial, Standing::Adrift { since })
    }

    pub(super) fn insert(&mut self, hello: Hello, serial: u64, standing: Standing) {
        let former = self.table.remove(&hello.incarnation);
        let now = Instant::now();
        let reporter = Reporter {
            serial,
            standing,
            health: Health::Alive,
            told: Health::Alive,
            load: former.map(|former| former.load).unwrap_or_default(),
            heard: now,
            agreement: Agreement::default(),
            number_renewed: None,
            streams: HashMap::new(),
            hello,
        };
        self.table.insert(reporter.hello.incarnation, reporter);
        self.change += 1;
    }

    pub(super) fn change(&self) -> u64 {
        self.change
    }

    /// None when the lease is void.
    pub(super) fn standing(&mut self, lease: &Lease) -> Option<Standing> {
        self.of(lease).map(|reporter| {
            reporter.heard = Instant::now();
            reporter.standing
        })
    }

    pub(super) fn worker(&mut self, lease: &Lease) -> Option<WorkerId> {
        self.of(lease).map(|reporter| reporter.hello.worker.clone())
    }

    pub(super) fn set_standing(&mut self, lease: &Lease, standing: Standing) {
        if let Some(reporter) = self.of(lease) {
            let is_leased = |standing| matches!(standing, Standing::Leased { .. });
            let turned = is_leased(reporter.standing) != is_leased(standing);
            reporter.standing = standing;
            self.change += u64::from(turned);
        }
    }

    /// As [`Reporters::standing`], with what the worker carries now.
    pub(super) fn beat(&mut self, lease: &Lease, load: Load, health: Health) -> Option<Standing> {
        let reporter = self.of(lease)?;
        (reporter.load, reporter.told) = (load, health);
        // Redis refuses to place there until it has been told, by the next renewal: a placement that came before would take the worker for
        // none.
        let waits = health == Health::Alive && matches!(reporter.standing, Standing::Leased { .. });
        if !waits {
            self.turn(lease);
        }
        self.standing(lease)
    }

    /// Its health is as the last beat says, here as in Redis.
    pub(super) fn turn(&mut self, lease: &Lease) {
        if let Some(reporter) = self.of(lease) {
            let turned = reporter.health != reporter.told;
            reporter.health = reporter.told;
            self.change += u64::from(turned);
        }
    }

    /// Whether what the last beat told and what Redis knew of it then have been apart for too long.
    pub(super) fn is_lost(&mut self, lease: &Lease, known: usize, timing: Timing) -> bool {
        self.of(lease).is_some_and(|reporter| {
            let told = reporter.load.sessions as usize;
            reporter
                .agreement
                .is_lost(told, known, timing, Instant::now().into_std())
        })
    }

    /// What to tell Redis; None when there is nothing to renew any more.
    pub(super) fn renewal(&mut self, lease: &Lease) -> Option<Beat> {
        let reporter = self.of(lease)?;
        let Standing::Leased { changes } = reporter.standing else {
            return None;
        };
        let due = reporter
            .number_renewed
            .is_none_or(|renewed| renewed.elapsed() >= NUMBER_RENEWAL);
        if due {
            reporter.number_renewed = Some(Instant::now());
        }
        Some(Beat {
            changes,
            load: reporter.load,
            health: reporter.told,
            number: due.then(|| reporter.hello.number.get()),
        })
    }

    /// What a worker told.
    pub(super) fn remember<'s>(&mut self, lease: &Lease, sessions: impl Iterator<Item = &'s Session>) {
        let Some(reporter) = self.of(lease) else { return };
        let room = SESSIONS_PER_WORKER_MAX.saturating_sub(reporter.streams.len());
        let streams = sessions.map(|session| (session.sid, session.stream.clone()));
        reporter.streams.extend(streams.take(room));
    }

    /// Forgets ended ones: those with their streams, and those that are not remembered.
    pub(super) fn recall(
        &mut self,
        lease: &Lease,
        sids: &[SessionId],
    ) -> (Vec<(SessionId, StreamName)>, Vec<SessionId>) {
        let mut reporter = self.of(lease);
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for sid in sids {
            let told = reporter
                .as_mut()
                .and_then(|reporter| reporter.streams.remove_entry(sid));
            match told {
                Some(told) => known.push(told),
                None => unknown.push(*sid),
            }
        }
        (known, unknown)
    }

    pub(super) fn suspect(&mut self, lease: &Lease) {
        if let Some(reporter) = self.of(lease) {
            reporter.health = Health::Suspect;
            self.change += 1;
        }
    }

    pub(super) fn void(&mut self, lease: &Lease) {
        if self.of(lease).is_some() {
            self.remove(lease.incarnation);
        }
    }

    pub(super) fn remove(&mut self, incarnation: Incarnation) {
        self.table.remove(&incarnation);
        self.change += 1;
    }

    /// Forgets those silent for so long.
    pub(super) fn expire(&mut self, lease: Duration) {
        self.table.retain(|_, reporter| reporter.heard.elapsed() < lease);
    }

    /// Those that have said something within a lease.
    pub(super) fn alive(&self, lease: Duration) -> impl Iterator<Item = &Reporter> {
        self.table
            .values()
            .filter(move |reporter| reporter.heard.elapsed() < lease)
    }

    fn of(&mut self, lease: &Lease) -> Option<&mut Reporter> {
        self.table
            .get_mut(&lease.incarnation)
            .filter(|reporter| reporter.serial == lease.serial)
    }
}
