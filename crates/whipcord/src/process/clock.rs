//! Seconds since 1970, as people read them.

use std::time::Duration;

use rcgen::date_time_ymd;

const DAY: u64 = 24 * 3600;

/// `18:08:45 UTC`; with its date where it is not within a day of now.
pub(crate) fn moment(second: u64, now: u64) -> String {
    let in_day = second % DAY;
    let clock = format!("{:02}:{:02}:{:02} UTC", in_day / 3600, in_day / 60 % 60, in_day % 60);
    if second.abs_diff(now) < DAY {
        clock
    } else {
        format!("{} {clock}", day(second))
    }
}

/// `2026-11-21`.
pub(crate) fn day(second: u64) -> String {
    // What the calendar does not reach is its end.
    let time = date_time_ymd(1970, 1, 1) + Duration::from_secs(second.min(END));
    format!("{}-{:02}-{:02}", time.year(), u8::from(time.month()), time.day())
}

/// The last second of the year 9999: no certificate ends later (RFC 5280 §4.1.2.5).
pub(crate) const END: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_a_moment_of_the_day() {
        assert_eq!(moment(1_795_284_525, 1_795_284_000), "18:08:45 UTC");
        assert_eq!(moment(1_795_284_525, 0), "2026-11-21 18:08:45 UTC");
        assert_eq!(
            (day(0), day(u64::MAX)),
            ("1970-01-01".to_owned(), "9999-12-31".to_owned())
        );
    }
}
