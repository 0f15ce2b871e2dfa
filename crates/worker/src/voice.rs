//! Whether this worker may speak. A process that stood still for longer than its lease (SIGSTOP, a machine that was paused) cannot know
//! whose its streams are now: it sends and writes nothing until the directory has heard of its sessions again.
//!
//! Every thread that sends or writes looks here first, once per turn; whichever looks first after a stop notices it for all. It
//! must not know what is said: shard, writers and report each hold their own tongue.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{AcqRel, Acquire},
        },
    },
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio_util::sync::CancellationToken;

/// A worker's lease in the directory ends after so long without a beat; then its streams are anybody's.
pub(crate) const LEASE: Duration = Duration::from_secs(3);

/// Somebody looks at least so often, also when there is neither session nor gateway: that nobody did means that none could.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Shared by all threads of a worker. One word, so that none sees a stop half noticed.
#[derive(Clone, Debug)]
pub(crate) struct Voice(Arc<AtomicU64>);

/// How often this process has been stopped so far. It wraps; nobody holds one through 65,536 stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stops(u16);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// When somebody looked last.
    looked_ms: u64,
    stops: Stops,
    leave: Leave,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    Speak,
    /// Since the last of the stops, until the directory has confirmed it.
    Mute,
}

impl Voice {
    pub(crate) fn new() -> Self {
        let state = State {
            looked_ms: clock_ms(),
            stops: Stops(0),
            leave: Leave::Speak,
        };
        Self(Arc::new(AtomicU64::new(state.to_word())))
    }

    /// To be asked right before anything is sent or written.
    pub(crate) fn may_speak(&self) -> bool {
        self.look().leave == Leave::Speak
    }

    /// To be asked before the sessions are listed that the directory is told of.
    pub(crate) fn stops(&self) -> Stops {
        self.look().stops
    }

    /// The directory knows of all sessions there were after these stops. Without effect if there was another since.
    pub(crate) fn confirm(&self, stops: Stops) {
        self.look();
        self.update(|state| state.confirmed(stops));
    }

    /// Looks until `shutdown`.
    pub(crate) async fn watch(self, shutdown: CancellationToken) {
        let looking = async {
            loop {
                self.look();
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        shutdown.run_until_cancelled(looking).await;
    }

    fn look(&self) -> State {
        let now = clock_ms();
        self.update(|state| state.at(now))
    }

    fn update(&self, change: impl Fn(State) -> State) -> State {
        let mut word = self.0.load(Acquire);
        loop {
            let changed = change(State::of_word(word));
            // Who sees that it may speak again sees which taps were discarded before.
            match self.0.compare_exchange_weak(word, changed.to_word(), AcqRel, Acquire) {
                Ok(_) => return changed,
                Err(current) => word = current,
            }
        }
    }

    /// When somebody looked last.
    #[cfg(test)]
    pub(crate) fn looked_ms(&self) -> u64 {
        State::of_word(self.0.load(Acquire)).looked_ms
    }

    /// As if the process had been stopped for so long.
    #[cfg(test)]
    pub(crate) fn stand_still(&self, time: Duration) {
        let millis = time.as_millis() as u64;
        self.update(|state| State {
            looked_ms: state.looked_ms - millis,
            ..state
        });
    }
}

impl State {
    /// Seen at `now`. Clocks of several threads are read in one order and noted in another: the later counts.
    fn at(self, now_ms: u64) -> Self {
        let stood = now_ms.saturating_sub(self.looked_ms);
        let looked_ms = now_ms.max(self.looked_ms);
        if u128::from(stood) <= LEASE.as_millis() {
            return Self { looked_ms, ..self };
        }
        Self {
            looked_ms,
            stops: Stops(self.stops.0.wrapping_add(1)),
            leave: Leave::Mute,
        }
    }

    fn confirmed(self, stops: Stops) -> Self {
        if stops == self.stops {
            Self {
                leave: Leave::Speak,
                ..self
            }
        } else {
            self
        }
    }

    /// Bit 0: mute; 16 bits of stops; 47 bits of milliseconds, 4463 years.
    fn to_word(self) -> u64 {
        self.looked_ms << 17 | u64::from(self.stops.0) << 1 | u64::from(self.leave == Leave::Mute)
    }

    fn of_word(word: u64) -> Self {
        Self {
            looked_ms: word >> 17,
            stops: Stops((word >> 1) as u16),
            leave: if word & 1 == 0 { Leave::Speak } else { Leave::Mute },
        }
    }
}

/// Since the machine's start, with the time for which it slept: the clock of [`std::time::Instant`] leaves that out.
fn clock_ms() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or_default());
    (seconds + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default())).as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: State = State {
        looked_ms: 10_000,
        stops: Stops(0),
        leave: Leave::Speak,
    };

    #[test]
    fn who_stood_still_for_longer_than_the_lease_is_mute_until_that_stop_is_confirmed() {
        let looks = [10_000, 13_000, 12_000, 16_000];
        let state = looks.into_iter().fold(FRESH, State::at);
        assert_eq!((state.stops, state.leave), (Stops(0), Leave::Speak), "a lease long");
        let stopped = state.at(19_001);
        assert_eq!((stopped.stops, stopped.leave), (Stops(1), Leave::Mute));
        let later = stopped.at(19_500);
        assert_eq!(later.leave, Leave::Mute, "looking again gives no leave");
        assert_eq!(later.confirmed(Stops(0)).leave, Leave::Mute, "that was before the stop");
        assert_eq!(later.confirmed(Stops(1)).leave, Leave::Speak);
        let again = later.at(30_000);
        assert_eq!(again.confirmed(Stops(1)).leave, Leave::Mute, "stopped again meanwhile");
        assert_eq!(again.confirmed(Stops(2)).leave, Leave::Speak);
    }

    #[test]
    fn a_word_holds_all_of_it() {
        for (looked_ms, stops, leave) in [
            (0, 0, Leave::Mute),
            ((1 << 47) - 1, u16::MAX, Leave::Speak),
            (5, 7, Leave::Mute),
        ] {
            let state = State {
                looked_ms,
                stops: Stops(stops),
                leave,
            };
            assert_eq!(State::of_word(state.to_word()), state);
        }
    }

    #[test]
    fn all_who_share_it_are_mute() {
        let voice = Voice::new();
        assert!(voice.may_speak());
        let other = voice.clone();
        voice.stand_still(LEASE * 2);
        let stops = voice.stops();
        assert!(!other.may_speak());
        other.confirm(stops);
        assert!(voice.may_speak());
    }
}
