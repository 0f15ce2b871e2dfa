//! Our own credentials through ICE restarts (RFC 8445 §9): which are answered, and until when.

use std::time::Instant;

use whipcord_whip::Credentials;

/// Old generations that are answered: the one whose path carries media, and one more, because an encoder that restarts again uses the last
/// answer that it has for its new port until it gets the next one.
pub(super) const OLD_MAX: usize = 2;

#[derive(Debug)]
pub(super) enum Local {
    Stable(Generation),
    /// A restart was answered; SRTP still comes over paths from before it, if it comes at all.
    Restarting {
        /// Newest first, at least one.
        old: Vec<Generation>,
        new: Generation,
    },
    /// The encoder's restart carries SRTP.
    Restarted {
        old: Vec<Generation>,
        new: Generation,
        until: Instant,
    },
}

/// The credentials of one answer.
#[derive(Debug)]
pub(super) struct Generation {
    credentials: Credentials,
    /// When the path in use was last checked with them.
    used: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    Newest,
    Old,
}

impl Local {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self::Stable(Generation::unused(credentials))
    }

    /// Of another process; `old` newest first. Its path in use is taken for one of the oldest.
    pub(super) fn restore(now: Instant, newest: Credentials, old: Vec<Credentials>) -> Self {
        let new = Generation::unused(newest);
        let mut old: Vec<Generation> = old.into_iter().map(Generation::unused).collect();
        match old.last_mut() {
            Some(oldest) => {
                oldest.used = Some(now);
                Self::Restarting { old, new }
            }
            None => Self::Stable(new),
        }
    }

    pub(super) fn newest(&self) -> &Credentials {
        match self {
            Self::Stable(new) | Self::Restarting { new, .. } | Self::Restarted { new, .. } => &new.credentials,
        }
    }

    /// Those before, newest first.
    pub(super) fn old(&self) -> impl Iterator<Item = &Credentials> {
        let old = match self {
            Self::Stable(_) => &[][..],
            Self::Restarting { old, .. } | Self::Restarted { old, .. } => old,
        };
        old.iter().map(|generation| &generation.credentials)
    }

    pub(super) fn find(&self, ufrag: &str) -> Option<(&Credentials, Age)> {
        let newest = std::iter::once((self.newest(), Age::Newest));
        let mut all = newest.chain(self.old().map(|old| (old, Age::Old)));
        all.find(|(credentials, _)| credentials.ufrag == ufrag)
    }

    pub(super) fn until(&self) -> Option<Instant> {
        match self {
            Self::Restarted { until, .. } => Some(*until),
            Self::Stable(_) | Self::Restarting { .. } => None,
        }
    }

    /// The path in use was checked with these.
    pub(super) fn used(&mut self, now: Instant, ufrag: &str) {
        let (old, new) = match self {
            Self::Stable(new) => (&mut [][..], new),
            Self::Restarting { old, new } | Self::Restarted { old, new, .. } => (&mut old[..], new),
        };
        let mut all = std::iter::once(new).chain(old);
        if let Some(generation) = all.find(|generation| generation.credentials.ufrag == ufrag) {
            generation.used = Some(now);
        }
    }

    /// Returns the ufrag that ends by it: of three older ones that would be, the newest stays, and the one in use.
    pub(super) fn restart(&mut self, fresh: Credentials) -> Option<String> {
        let (mut old, newest) = match self.take() {
            Self::Stable(new) => (vec![], new),
            Self::Restarting { old, new } | Self::Restarted { old, new, .. } => (old, new),
        };
        let unneeded = (old.len() >= OLD_MAX)
            .then(|| (0..old.len()).min_by_key(|index| old[*index].used))
            .flatten();
        let ended = unneeded.map(|index| old.remove(index).credentials.ufrag);
        old.insert(0, newest);
        *self = Self::Restarting {
            old,
            new: Generation::unused(fresh),
        };
        ended
    }

    /// The encoder's restart carries SRTP; the old credentials end at `until`.
    pub(super) fn settle(&mut self, until: Instant) {
        *self = match self.take() {
            Self::Restarting { old, new } => Self::Restarted { old, new, until },
            settled => settled,
        };
    }

    /// The encoder that restarted still uses old ones: they end later.
    pub(super) fn extend(&mut self, later: Instant) {
        if let Self::Restarted { until, .. } = self {
            *until = later;
        }
    }

    /// Returns the ufrags that ended.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<String> {
        if self.until().is_none_or(|until| now < until) {
            return vec![];
        }
        let ended = self.old().map(|old| old.ufrag.clone()).collect();
        *self = match self.take() {
            Self::Restarted { new, .. } => Self::Stable(new),
            other => other,
        };
        ended
    }

    fn take(&mut self) -> Self {
        let empty = Credentials {
            ufrag: String::new(),
            pwd: String::new(),
        };
        std::mem::replace(self, Self::new(empty))
    }
}

impl Generation {
    fn unused(credentials: Credentials) -> Self {
        Self {
            credentials,
            used: None,
        }
    }
}
