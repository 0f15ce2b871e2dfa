//! How many pictures a second shows: what a parameter set tells, or the command line.

use std::{fmt, str::FromStr, time::Duration};

/// `pictures / seconds` pictures a second; neither is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRate {
    pictures: u32,
    seconds: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a frame rate is a number of pictures a second up to {RATE_MAX}, such as 25, 29.97 or 30000/1001, and one picture in {SECONDS_MAX} s at least"
)]
pub struct FrameRateError;

/// Beyond any camera; an SPS that says more is wrong.
const RATE_MAX: u32 = 300;
/// A still picture is shown again after so long at the latest: a receiver ends a session that is silent for 30 s.
const SECONDS_MAX: u32 = 10;

impl FrameRate {
    pub(super) const DEFAULT: Self = Self {
        pictures: 30,
        seconds: 1,
    };

    /// `None` for what no camera does.
    pub(super) fn new(pictures: u32, seconds: u32) -> Option<Self> {
        let plausible = pictures > 0
            && seconds > 0
            && u64::from(pictures) <= u64::from(RATE_MAX) * u64::from(seconds)
            && u64::from(pictures) * u64::from(SECONDS_MAX) >= u64::from(seconds);
        plausible.then_some(Self { pictures, seconds })
    }

    /// When a picture is due, the first one at 0.
    pub(super) fn time_of(self, picture: u64) -> Duration {
        let nanoseconds = u128::from(picture) * u128::from(self.seconds) * 1_000_000_000 / u128::from(self.pictures);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seconds {
            1 => write!(f, "{}", self.pictures),
            seconds => write!(f, "{}/{seconds}", self.pictures),
        }
    }
}

impl FromStr for FrameRate {
    type Err = FrameRateError;

    fn from_str(text: &str) -> Result<Self, FrameRateError> {
        let number = |digits: &str| {
            let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            all_digits.then(|| digits.parse::<u32>().ok()).flatten()
        };
        let (pictures, seconds) = match (text.split_once('/'), text.split_once('.')) {
            (Some((pictures, seconds)), _) => (number(pictures), number(seconds)),
            (None, Some((whole, decimals))) => (
                number(decimals).and_then(|_| number(&format!("{whole}{decimals}"))),
                10_u32.checked_pow(decimals.len() as u32),
            ),
            (None, None) => (number(text), Some(1)),
        };
        let rate = pictures.zip(seconds);
        rate.and_then(|(pictures, seconds)| Self::new(pictures, seconds))
            .ok_or(FrameRateError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_or_a_fraction() {
        let cases = [
            ("25", Some((25, 1))),
            ("29.97", Some((2997, 100))),
            ("30000/1001", Some((30_000, 1001))),
            ("0.5", Some((5, 10))),
            ("300", Some((300, 1))),
        ];
        for (text, rate) in cases {
            let expected = rate.map(|(pictures, seconds)| FrameRate { pictures, seconds });
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
        for text in [
            "",
            "0",
            "-25",
            "+25",
            "301",
            "0.09",
            "25/0",
            "/1",
            "25.",
            ".5.1",
            "1e1",
            "25 ",
            "4294967296",
            "0.00000000001",
        ] {
            assert_eq!(text.parse::<FrameRate>(), Err(FrameRateError), "{text}");
        }
    }

    #[test]
    fn pictures_are_due_without_drift() {
        let rate = FrameRate::new(30_000, 1001).unwrap();
        assert_eq!(rate.time_of(0), Duration::ZERO);
        assert_eq!(rate.time_of(30_000), Duration::from_secs(1001));
        assert_eq!(rate.time_of(1), Duration::from_nanos(33_366_666));
    }
}
