//! ICE-lite (RFC 8445 §2.5): we answer checks, and follow the controlling side's choice.
//!
//! Credentials old and new, which paths are validated, which one is sent on. Not here: bytes (see `stun`), consent and the
//! other waits of a session.
//!
//! # Which path is sent on
//! Some encoders never nominate, some nominate with every check, some only at the start, some move without a word (RFC 8445
//! §8.1.1 has the controlling side nominate once; aggressive nomination is RFC 5245's). So, in this order:
//! 1. The first validated path is used until a better one is known: an encoder that never nominates has no other.
//! 2. A nominated path takes over from one that is not nominated.
//! 3. Among nominated paths the first stays for as long as it carries SRTP, or for [`SILENT`] after it was taken. After that
//!    the next nominating check decides. So an encoder that nominates everywhere does not make us jump to and fro, and one
//!    that really moves is followed.
//! 4. Authentic SRTP newer than any before moves to where it came from, once the path in use has carried none for [`SILENT`]:
//!    consent checks need not nominate, and after a change of address there may be none for seconds.
//! 5. A path on which neither checks nor SRTP arrived for `CONSENT_MISSED` is left at the next check on another one.
//!
//! # Which checks are of a restart
//! Those with our newest credentials, and those with older ones of ours that name the client's newest ufrag. An encoder has new
//! credentials of its own from its new offer on (RFC 8839 §4.4.1.1.1), and of us those of the last answer, until the next one comes.
//! Chromium does not even change to that one for a port that it has gathered already. So a path of either kind that carries SRTP
//! completes the restart, and old credentials of ours that are used so are answered for as long as they are.
//!
//! Nothing is sent to an address that has proven nothing: every path here had a check, or SRTP, that authenticated.

mod credentials;
mod paths;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use whipcord_whip::Credentials;

use crate::Path;
use credentials::{Age, Local};
use paths::{Paths, Standing};

/// The path in use counts as silent when it has carried no authentic SRTP for this long: well over any encoder's gap between packets,
/// audio's 20 ms and DTX's 400 ms included, and short enough that feedback is not sent into the void.
pub(crate) const SILENT: Duration = Duration::from_millis(500);
/// RFC 7675 §5.1: consent is asked for each 5 s ± 20 %; two of the longest intervals.
const CONSENT_MISSED: Duration = Duration::from_secs(12);
/// How long old credentials are answered after the new ones carry SRTP: checks in flight, and a PATCH answer that got lost.
pub(crate) const OLD_CREDENTIALS: Duration = Duration::from_secs(30);
/// Generations of our credentials that are answered at a time.
pub(crate) const GENERATIONS_MAX: usize = 1 + credentials::OLD_MAX;

#[derive(Debug)]
pub(crate) struct Ice {
    local: Local,
    remote: Credentials,
    paths: Paths,
    chosen: Option<Chosen>,
}

/// The path in use.
#[derive(Clone, Copy, Debug)]
struct Chosen {
    path: Path,
    /// When SRTP last came over it, or when it was taken.
    active: Instant,
    proof: Proof,
}

/// What says that the encoder is there. A check has its password, and any source that its sender liked to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    Check,
    /// DTLS was completed on it, or SRTP came over it.
    Traffic,
}

/// A request with good integrity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check<'a> {
    /// USERNAME's two parts: ours, and the client's.
    pub(crate) local_ufrag: &'a str,
    pub(crate) remote_ufrag: &'a str,
    pub(crate) nominates: bool,
}

/// What it meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    /// The first valid check of the session.
    pub first: bool,
    /// The path to send on changed to this one.
    pub moved: bool,
}

impl Ice {
    pub(crate) fn new(remote: Credentials, local: Credentials) -> Self {
        Self {
            local: Local::new(local),
            remote,
            paths: Paths::default(),
            chosen: None,
        }
    }

    /// A session that another process had: its newest local credentials, the ones before that are still answered (newest first), and
    /// the path in use, which is trusted as that process had proof of it. Old credentials are answered until the restart carries SRTP here.
    pub(crate) fn restore(
        now: Instant,
        remote: Credentials,
        local: Credentials,
        old: Vec<Credentials>,
        path: Option<Path>,
    ) -> Self {
        let standing = if old.is_empty() { Standing::Valid } else { Standing::Old };
        let local = Local::restore(now, local, old);
        let mut paths = Paths::default();
        if let Some(path) = path {
            paths.learn(now, path, standing, None);
        }
        Self {
            local,
            remote,
            paths,
            chosen: path.map(|path| Chosen {
                path,
                active: now,
                proof: Proof::Traffic,
            }),
        }
    }

    /// The password that signs checks for this local ufrag, if it is one of ours (current, or an old one still answered).
    pub(crate) fn password(&self, local_ufrag: &str) -> Option<&str> {
        self.local
            .find(local_ufrag)
            .map(|(credentials, _)| credentials.pwd.as_str())
    }

    /// Every local ufrag answered now, newest first: the keys under which the Mux routes.
    pub(crate) fn local_ufrags(&self) -> impl Iterator<Item = &str> {
        let all = std::iter::once(self.local.newest()).chain(self.local.old());
        all.map(|one| one.ufrag.as_str())
    }

    /// Our newest credentials.
    pub(crate) fn local(&self) -> &Credentials {
        self.local.newest()
    }

    /// The ones before that are still answered, newest first.
    pub(crate) fn old(&self) -> impl Iterator<Item = &Credentials> {
        self.local.old()
    }

    /// The client's newest credentials.
    pub(crate) fn remote(&self) -> &Credentials {
        &self.remote
    }

    /// New credentials exist, and no SRTP has come over a path that was checked after the restart.
    pub(crate) fn restart_pending(&self) -> bool {
        matches!(self.local, Local::Restarting { .. })
    }

    /// Where to send now.
    pub(crate) fn path(&self) -> Option<Path> {
        self.chosen.map(|chosen| chosen.path)
    }

    /// Whether the path in use has carried more than checks since it was taken: what answers an encoder's data, and repeats itself
    /// until it is acknowledged, must not be sent to an address that one forged check has named.
    pub(crate) fn is_proven(&self) -> bool {
        self.chosen.is_some_and(|chosen| chosen.proof == Proof::Traffic)
    }

    /// Whether this path may carry handshake datagrams and early media: some check on it authenticated.
    pub(crate) fn is_validated(&self, path: &Path) -> bool {
        self.paths
            .standing(path)
            .is_some_and(|standing| standing > Standing::Media)
    }

    /// A check that authenticated under the password of its local ufrag.
    pub(crate) fn on_check(&mut self, now: Instant, path: Path, check: Check<'_>) -> Checked {
        let Some((_, age)) = self.local.find(check.local_ufrag) else {
            return Checked::default();
        };
        let nominates = check.nominates;
        let has_restarted = check.remote_ufrag == self.remote.ufrag;
        if age == Age::Old && has_restarted {
            self.local.extend(now + OLD_CREDENTIALS);
        }
        let standing = match age {
            Age::Old if !has_restarted => Standing::Old,
            Age::Old | Age::Newest if nominates => Standing::Nominated,
            Age::Old | Age::Newest => Standing::Valid,
        };
        let first = self.paths.none_checked();
        let standing = self.paths.learn(now, path, standing, self.path());
        let moved = self.outranks_chosen(now, &path, standing, nominates);
        if moved {
            self.chosen = Some(Chosen {
                path,
                active: now,
                proof: Proof::Check,
            });
        }
        if self.path() == Some(path) {
            self.local.used(now, check.local_ufrag);
        }
        Checked { first, moved }
    }

    /// Authentic SRTP, newer than any before. Moves the send path once the old one has been silent for 500 ms. True if moved.
    pub(crate) fn on_media(&mut self, now: Instant, path: Path) -> bool {
        let moved = match &mut self.chosen {
            Some(chosen) if chosen.path == path => {
                chosen.active = now;
                chosen.proof = Proof::Traffic;
                false
            }
            Some(chosen) => now.saturating_duration_since(chosen.active) >= SILENT,
            None => true,
        };
        if moved {
            self.paths.learn(now, path, Standing::Media, self.path());
            self.chosen = Some(Chosen {
                path,
                active: now,
                proof: Proof::Traffic,
            });
        }
        if self.restart_pending()
            && self
                .paths
                .standing(&path)
                .is_some_and(|standing| standing >= Standing::Valid)
        {
            self.local.settle(now + OLD_CREDENTIALS);
        }
        moved
    }

    /// DTLS is complete: its last flight answers what was sent on this path.
    pub(crate) fn on_connected(&mut self) {
        if let Some(chosen) = &mut self.chosen {
            chosen.proof = Proof::Traffic;
        }
    }

    /// A restart begins: both credentials new. Those of one that is pending are answered still, and so are the ones that carry SRTP.
    /// Returns the ufrag that is no longer answered, if any.
    pub(crate) fn restart(&mut self, remote: Credentials, local: Credentials) -> Option<String> {
        self.remote = remote;
        self.paths.demote();
        self.local.restart(local)
    }

    /// When the old credentials end.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.local.until()
    }

    /// Ends the old credentials when their time has come. Returns the ufrags that are no longer answered.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<String> {
        self.local.expire(now)
    }

    fn outranks_chosen(&self, now: Instant, path: &Path, standing: Standing, nominates: bool) -> bool {
        let Some(chosen) = self.chosen else { return true };
        if chosen.path == *path {
            return false;
        }
        let silence = now.saturating_duration_since(chosen.active);
        let unnominated = self.paths.standing(&chosen.path) < Some(Standing::Nominated);
        let nominated = standing == Standing::Nominated && nominates && (unnominated || silence >= SILENT);
        let unheard = now.saturating_duration_since(self.paths.heard(&chosen.path).unwrap_or(chosen.active));
        nominated || silence.min(unheard) >= CONSENT_MISSED
    }
}
