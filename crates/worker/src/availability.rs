//! Whether the cluster may give this worker sessions, in one word.
//!
//! Pure. Not here: who decides it (sessions, voice, report).

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    /// No gateway has acknowledged it: it is given no sessions.
    Unreported,
    /// It is given sessions.
    Ready,
    /// Takes no more, and serves those it has.
    Draining,
    /// Stood still for longer than its lease: it says nothing until the directory has heard of its sessions again.
    Mute,
}

impl Availability {
    pub(crate) const ALL: [Self; 4] = [Self::Unreported, Self::Ready, Self::Draining, Self::Mute];

    /// What says most of it: one that drains may be mute, and one that drains may report or not.
    pub(crate) fn of(may_speak: bool, is_draining: bool, is_registered: bool) -> Self {
        match (may_speak, is_draining, is_registered) {
            (false, _, _) => Self::Mute,
            (true, true, _) => Self::Draining,
            (true, false, true) => Self::Ready,
            (true, false, false) => Self::Unreported,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unreported => "unreported",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Mute => "mute",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_matters_most() {
        let table = [
            ((true, false, false), "unreported"),
            ((true, false, true), "ready"),
            ((true, true, false), "draining"),
            ((true, true, true), "draining"),
            ((false, true, true), "mute"),
            ((false, false, false), "mute"),
        ];
        for ((may_speak, is_draining, is_registered), expected) in table {
            let availability = Availability::of(may_speak, is_draining, is_registered);
            assert_eq!(availability.as_str(), expected);
            assert!(Availability::ALL.contains(&availability));
        }
    }
}
