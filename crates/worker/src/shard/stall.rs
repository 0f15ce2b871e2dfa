//! Media that stops while its session lives.
//!
//! Of a kind as a whole: of simulcast layers an encoder stops some as it likes. Pure.

use std::time::{Duration, Instant};

/// Media that has not come for so long pauses: a track is not active, and what comes after it was a stall. Twice the distance of pictures of
/// a browser that has nothing new to show (1 s), and more than Opus is silent in DTX (0.4 s).
pub(super) const PAUSE: Duration = Duration::from_secs(2);

/// One kind of a session's media.
#[derive(Debug, Default)]
pub(super) struct Stall {
    times: u64,
    /// When media came last before the stall that was counted last.
    after: Option<Instant>,
}

impl Stall {
    /// `heard`: when media of this kind came last. Each silence counts once.
    pub(super) fn look(&mut self, heard: Option<Instant>, now: Instant) {
        if let Some(last) = heard
            && self.after != heard
            && now.saturating_duration_since(last) > PAUSE
        {
            self.times += 1;
            self.after = heard;
        }
    }

    pub(super) fn times(&self) -> u64 {
        self.times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_of_more_than_two_seconds_counts_once() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut stall = Stall::default();
        // When media came last, when it is looked at, and the stalls so far.
        let table = [
            (None, 9000, 0),
            (Some(9500), 10_000, 0),
            (Some(9500), 11_500, 0),
            (Some(9500), 11_501, 1),
            (Some(9500), 15_000, 1),
            (Some(15_500), 16_000, 1),
            (Some(15_500), 18_000, 2),
        ];
        for (heard, now, times) in table {
            stall.look(heard.map(at), at(now));
            assert_eq!(stall.times(), times, "heard {heard:?}, looked at {now}");
        }
    }
}
