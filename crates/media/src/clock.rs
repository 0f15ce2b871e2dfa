//! RTP time: extended to 64 bit, and compared between two tracks for lip-sync.
//!
//! A track's clock begins anywhere and has its own rate, so two tracks meet only through a third clock. There are two:
//! our arrival times, which always exist but include the encoder's and the network's delays; and the NTP times of sender
//! reports (RFC 3550 §6.4.1), which are exact, or nonsense, depending on the encoder: some stamp with the time of sending,
//! some with a separate epoch for each track. So arrival gives the first answer, and sender reports refine it where
//! they are plausible.

use std::{collections::VecDeque, time::Duration};

/// Where RTP time and arrival disagree by more, the encoder restarted its clock, and the track goes on by arrival.
/// Well above any jitter, retransmission or pause of the network that a session survives without a restart.
const JUMP: i64 = 5_000_000;

/// Extended RTP time begins here, so that packets before the first one stay positive.
const BEGINNING: u64 = 1 << 32;

/// A sender report whose RTP time is further from the newest packet's belongs to another clock.
const REPORT_MAX_DISTANCE: i64 = 1_000_000;

/// Sender reports that contradict arrival by more than any encoder's delay are not believed.
const REPORT_MAX_CORRECTION: i64 = 2_000_000;

/// The median of this many comparisons is used: two wrong ones in a row do no harm from the fifth on.
const REPORTS: usize = 9;

/// The minimum filter looks back over this many windows of this length: 60 s in all. Long enough to find an undelayed
/// packet, short enough to follow clocks that drift apart by 100 ppm: 6 ms.
const WINDOWS: usize = 6;
const WINDOW: i64 = 10_000_000;

/// All times within this module are in microseconds.
type Micros = i64;

/// What a sender report says about its track's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport {
    /// Seconds since 1900, 32.32 fixed point.
    pub ntp: u64,
    /// RTP time at that moment.
    pub timestamp: u32,
    /// Since the start of the session.
    pub arrival: Duration,
}

/// The clock of one track.
#[derive(Debug)]
pub(crate) struct Clock {
    /// In Hz; at least 1.
    rate: u32,
    newest: Option<Newest>,
    transit: Minimum,
    /// NTP time less extended RTP time, by the last credible sender report.
    report: Option<Micros>,
}

#[derive(Clone, Copy, Debug)]
struct Newest {
    timestamp: u32,
    extended: u64,
    arrival: Micros,
}

impl Clock {
    pub(crate) fn new(rate: u32) -> Self {
        Self {
            rate: rate.max(1),
            newest: None,
            transit: Minimum::default(),
            report: None,
        }
    }

    /// Whether there was a packet.
    pub(crate) fn is_running(&self) -> bool {
        self.newest.is_some()
    }

    /// The extended RTP time of a packet, in clock units. It goes backwards where a timestamp does so by less than
    /// five seconds.
    pub(crate) fn extend(&mut self, timestamp: u32, arrival: Duration) -> u64 {
        let arrival = micros(arrival);
        let extended = match self.newest {
            None => BEGINNING,
            Some(newest) => {
                let step = i64::from(timestamp.wrapping_sub(newest.timestamp).cast_signed());
                let passed = arrival - newest.arrival;
                if (self.to_micros(step) - passed).abs() <= JUMP {
                    newest.extended.saturating_add_signed(step)
                } else {
                    self.transit = Minimum::default();
                    self.report = None;
                    newest.extended.saturating_add_signed(self.to_units(passed).max(1))
                }
            }
        };
        self.newest = Some(Newest {
            timestamp,
            extended,
            arrival,
        });
        self.transit
            .observe(arrival, arrival - self.to_micros(extended.cast_signed()));
        extended
    }

    /// Takes a sender report. It is ignored where it does not belong to this clock.
    pub(crate) fn report(&mut self, report: SenderReport) {
        let Some(newest) = self.newest else { return };
        let step = i64::from(report.timestamp.wrapping_sub(newest.timestamp).cast_signed());
        // Between frames, the newest RTP time is the last packet's and what has passed since.
        let passed = micros(report.arrival) - newest.arrival;
        if (self.to_micros(step) - passed).abs() > REPORT_MAX_DISTANCE {
            return;
        }
        let extended = newest.extended.saturating_add_signed(step);
        // 32.32 fixed point: 64 bits of seconds × 2^32, in microseconds 52 bits.
        let ntp = ((u128::from(report.ntp) * 1_000_000) >> 32) as i64;
        self.report = Some(ntp - self.to_micros(extended.cast_signed()));
    }

    pub(crate) fn to_micros(&self, units: i64) -> Micros {
        (i128::from(units) * 1_000_000 / i128::from(self.rate)) as i64
    }

    pub(crate) fn to_units(&self, micros: Micros) -> i64 {
        // To the nearest, so that units survive the way to microseconds and back.
        (i128::from(micros) * i128::from(self.rate) + 500_000).div_euclid(1_000_000) as i64
    }
}

/// How the RTP times of an audio and a video track compare.
#[derive(Debug, Default)]
pub(crate) struct LipSync {
    /// By sender reports, oldest first.
    skews: VecDeque<Micros>,
}

impl LipSync {
    /// One of the clocks took a sender report: compares it with the other's last one.
    pub(crate) fn compare(&mut self, audio: &Clock, video: &Clock) {
        let (Some(audio_ntp), Some(video_ntp)) = (audio.report, video.report) else {
            return;
        };
        let skew = video_ntp - audio_ntp;
        if !by_arrival(audio, video).is_some_and(|by_arrival| plausible(skew, by_arrival)) {
            return;
        }
        if self.skews.len() == REPORTS {
            self.skews.pop_front();
        }
        self.skews.push_back(skew);
    }

    /// By how much a video sample's RTP time, in microseconds, must be raised so that it compares with audio's. None
    /// until both tracks have packets.
    pub(crate) fn skew(&self, audio: &Clock, video: &Clock) -> Option<Micros> {
        let by_arrival = by_arrival(audio, video)?;
        let mut skews: Vec<_> = self.skews.iter().copied().collect();
        skews.sort_unstable();
        // A clock may have jumped since.
        let median = skews
            .get(skews.len() / 2)
            .copied()
            .filter(|skew| plausible(*skew, by_arrival));
        Some(median.unwrap_or(by_arrival))
    }
}

fn plausible(skew: Micros, by_arrival: Micros) -> bool {
    (skew - by_arrival).abs() <= REPORT_MAX_CORRECTION
}

fn by_arrival(audio: &Clock, video: &Clock) -> Option<Micros> {
    Some(video.transit.get()? - audio.transit.get()?)
}

/// The least value of the last minute.
#[derive(Debug, Default)]
struct Minimum {
    /// Start and least value of each window, oldest first.
    windows: VecDeque<(Micros, Micros)>,
}

impl Minimum {
    fn observe(&mut self, at: Micros, value: Micros) {
        match self.windows.back_mut() {
            Some((start, least)) if at - *start < WINDOW => *least = value.min(*least),
            _ => {
                if self.windows.len() == WINDOWS {
                    self.windows.pop_front();
                }
                self.windows.push_back((at, value));
            }
        }
    }

    fn get(&self) -> Option<Micros> {
        self.windows.iter().map(|(_, least)| *least).min()
    }
}

/// Durations up to 36,000 years, so that sums and differences do not overflow.
fn micros(duration: Duration) -> Micros {
    duration.as_micros().min(1 << 60) as i64
}

#[cfg(test)]
mod tests;
