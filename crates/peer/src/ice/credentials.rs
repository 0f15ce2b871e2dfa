//! Our own credentials through ICE restarts (RFC 8445 §9): which are answered, and until when.

use std::time::Instant;

use whipcord_whip::Credentials;

#[derive(Debug)]
pub(super) enum Local {
    Stable(Credentials),
    /// A restart was answered; SRTP still comes over paths of the old credentials, if it comes at all.
    Restarting {
        old: Credentials,
        new: Credentials,
    },
    /// The new credentials carry SRTP.
    Restarted {
        old: Credentials,
        new: Credentials,
        until: Instant,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    Newest,
    Old,
}

impl Local {
    pub(super) fn newest(&self) -> &Credentials {
        match self {
            Self::Stable(new) | Self::Restarting { new, .. } | Self::Restarted { new, .. } => new,
        }
    }

    pub(super) fn previous(&self) -> Option<&Credentials> {
        match self {
            Self::Stable(_) => None,
            Self::Restarting { old, .. } | Self::Restarted { old, .. } => Some(old),
        }
    }

    pub(super) fn find(&self, ufrag: &str) -> Option<(&Credentials, Generation)> {
        let newest = (self.newest().ufrag == ufrag).then(|| (self.newest(), Generation::Newest));
        newest.or_else(|| {
            self.previous()
                .filter(|old| old.ufrag == ufrag)
                .map(|old| (old, Generation::Old))
        })
    }

    pub(super) fn until(&self) -> Option<Instant> {
        match self {
            Self::Restarted { until, .. } => Some(*until),
            Self::Stable(_) | Self::Restarting { .. } => None,
        }
    }

    /// Returns the ufrag that ends by it.
    pub(super) fn restart(&mut self, fresh: Credentials) -> Option<String> {
        let (carrying, ended) = match self.take() {
            Self::Stable(carrying) => (carrying, None),
            Self::Restarting { old, new } => (old, Some(new.ufrag)),
            Self::Restarted { old, new, .. } => (new, Some(old.ufrag)),
        };
        *self = Self::Restarting {
            old: carrying,
            new: fresh,
        };
        ended
    }

    /// The pending credentials carry SRTP; the old ones end at `until`.
    pub(super) fn settle(&mut self, until: Instant) {
        *self = match self.take() {
            Self::Restarting { old, new } => Self::Restarted { old, new, until },
            settled => settled,
        };
    }

    /// Returns the ufrag that ended.
    pub(super) fn expire(&mut self, now: Instant) -> Option<String> {
        if self.until().is_none_or(|until| now < until) {
            return None;
        }
        let ended = self.previous().map(|old| old.ufrag.clone());
        *self = Self::Stable(self.newest().clone());
        ended
    }

    fn take(&mut self) -> Self {
        let empty = Credentials {
            ufrag: String::new(),
            pwd: String::new(),
        };
        std::mem::replace(self, Self::Stable(empty))
    }
}
