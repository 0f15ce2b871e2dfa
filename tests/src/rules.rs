//! The chart's alert rules, read as text: they are ours, and written in one way.

use std::{fs, path::PathBuf};

use crate::root;

/// Where the chart has them.
pub fn file() -> PathBuf {
    root().join("helm/whipcord/files/rules/whipcord.yaml")
}

/// All of it.
///
/// # Panics
/// When it is not there.
pub fn text() -> String {
    let file = file();
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// What one alert says, line by line.
#[derive(Debug)]
pub struct Alert<'a> {
    pub name: &'a str,
    lines: Vec<&'a str>,
}

impl<'a> Alert<'a> {
    /// In their order.
    pub fn all(text: &'a str) -> Vec<Self> {
        let mut alerts: Vec<Self> = Vec::new();
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("- alert: ") {
                alerts.push(Self {
                    name,
                    lines: Vec::new(),
                });
            } else if let Some(alert) = alerts.last_mut() {
                alert.lines.push(line);
            }
        }
        alerts
    }

    /// The value of a key of it, without quotes.
    pub fn value(&self, key: &str) -> Option<&'a str> {
        let of_key = |line: &&'a str| line.strip_prefix(key)?.strip_prefix(": ");
        Some(self.lines.iter().find_map(of_key)?.trim_matches('"'))
    }
}

/// The same rules with every duration divided: ranges, offsets and `for`. Thresholds are counts, shares and rates per second, and stay.
///
/// # Panics
/// When a duration is not of one unit.
pub fn hastened(text: &str, by: u64) -> String {
    let mut hastened = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, before)) = BEFORE_DURATIONS
        .iter()
        .filter_map(|before| Some((rest.find(before)? + before.len(), before)))
        .min()
    {
        let (done, duration) = rest.split_at(at);
        hastened.push_str(done);
        let length = duration.find(|c: char| !c.is_ascii_alphanumeric());
        let (duration, after) = duration.split_at(length.unwrap_or(duration.len()));
        // A bracket of a regular expression is none of a range.
        match milliseconds(duration) {
            Some(milliseconds) => hastened.push_str(&format!("{}ms", milliseconds / by)),
            None => panic!("{before}{duration}: no duration of one unit"),
        }
        rest = after;
    }
    hastened + rest
}

const BEFORE_DURATIONS: [&str; 3] = ["[", "offset ", "for: "];

fn milliseconds(duration: &str) -> Option<u64> {
    let unit = duration.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = duration.split_at(unit);
    let unit = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(number.parse::<u64>().ok()? * unit)
}
