//! What this owner may still do, after it gave a checkpoint away.
//!
//! An adopter starts where the checkpoint it finds ends. So an owner that may have been replaced without knowing it must stay
//! below that point: sealing two RTCP packets under one (key, SSRC, index) would give the key away (RFC 7714 §8.2). Our RTCP
//! SSRC depends on the epoch as well; either alone would do, and neither has to be trusted.

/// RTCP packets reserved by one checkpoint: at 20 per second, more than 14 hours.
pub(crate) const RESERVE: u32 = 1 << 20;
/// SRTCP has 31 bits of index (RFC 3711 §3.4).
const INDEX_END: u32 = 1 << 31;

/// The next SRTCP index, and how far it may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Indices {
    next: u32,
    pledge: Pledge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pledge {
    /// No checkpoint was ever taken: nobody can take over.
    Free,
    /// The oldest checkpoint that an adopter may find ends here.
    Below(u32),
}

impl Indices {
    /// `first` is 0 for a new session, the checkpoint's ceiling for an adopted one.
    pub(crate) fn starting_at(first: u32) -> Self {
        Self {
            next: first,
            pledge: Pledge::Free,
        }
    }

    /// The index for one packet; None when nothing more may be sent.
    pub(crate) fn take(&mut self) -> Option<u32> {
        let end = match self.pledge {
            Pledge::Free => INDEX_END,
            Pledge::Below(ceiling) => ceiling,
        };
        (self.next < end).then(|| {
            self.next += 1;
            self.next - 1
        })
    }

    /// The ceiling of a checkpoint taken now.
    pub(crate) fn offer_ceiling(&mut self) -> u32 {
        let ceiling = self.next.saturating_add(RESERVE).min(INDEX_END);
        if self.pledge == Pledge::Free {
            self.pledge = Pledge::Below(ceiling);
        }
        ceiling
    }

    /// A checkpoint with this ceiling has replaced all older ones.
    pub(crate) fn persisted(&mut self, ceiling: u32) {
        if let Pledge::Below(current) = &mut self.pledge {
            *current = ceiling.max(*current);
        }
    }

    pub(crate) fn is_free(&self) -> bool {
        self.pledge == Pledge::Free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_that_was_never_checkpointed_has_all_of_srtcp() {
        let mut indices = Indices::starting_at(INDEX_END - 1);
        assert_eq!(indices.take(), Some(INDEX_END - 1));
        assert_eq!(indices.take(), None);
    }

    #[test]
    fn an_owner_stays_below_the_oldest_checkpoint_that_may_be_found() {
        let mut indices = Indices::starting_at(0);
        let first = indices.offer_ceiling();
        while indices.take().is_some() {}
        let second = indices.offer_ceiling();
        assert_eq!((first, indices.take()), (RESERVE, None));
        indices.persisted(second);
        assert_eq!(indices.take(), Some(first));
    }
}
