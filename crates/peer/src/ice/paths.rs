//! Paths that have proven themselves, each with what it is worth.

use std::time::Instant;

use crate::Path;

/// A host with several interfaces, behind a few NAT rebindings, in both IP versions. The one not heard from for longest goes
/// first; never the one in use.
const PATHS_MAX: usize = 16;

/// What a path has shown, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Authentic SRTP came over it, and no check.
    Media,
    /// Checked with credentials from before a restart.
    Old,
    /// Checked with the newest credentials.
    Valid,
    /// The same, with USE-CANDIDATE.
    Nominated,
}

#[derive(Debug, Default)]
pub(super) struct Paths {
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    path: Path,
    standing: Standing,
    /// The last check, or the SRTP that made it known.
    heard: Instant,
}

impl Paths {
    pub(super) fn standing(&self, path: &Path) -> Option<Standing> {
        self.find(path).map(|known| known.standing)
    }

    pub(super) fn heard(&self, path: &Path) -> Option<Instant> {
        self.find(path).map(|known| known.heard)
    }

    pub(super) fn none_checked(&self) -> bool {
        self.known.iter().all(|known| known.standing == Standing::Media)
    }

    /// Notes a proof; a path never loses standing by it. Returns what it is worth now. `in_use` is not dropped to make room.
    pub(super) fn learn(&mut self, now: Instant, path: Path, standing: Standing, in_use: Option<Path>) -> Standing {
        if let Some(known) = self.known.iter_mut().find(|known| known.path == path) {
            known.heard = now;
            known.standing = known.standing.max(standing);
            return known.standing;
        }
        if self.known.len() >= PATHS_MAX {
            let candidates = self
                .known
                .iter()
                .enumerate()
                .filter(|(_, known)| Some(known.path) != in_use);
            if let Some((oldest, _)) = candidates.min_by_key(|(_, known)| known.heard) {
                self.known.swap_remove(oldest);
            }
        }
        self.known.push(Known {
            path,
            standing,
            heard: now,
        });
        standing
    }

    /// A restart: nothing was checked with the newest credentials yet.
    pub(super) fn demote(&mut self) {
        for known in &mut self.known {
            known.standing = known.standing.min(Standing::Old);
        }
    }

    fn find(&self, path: &Path) -> Option<&Known> {
        self.known.iter().find(|known| known.path == *path)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}
