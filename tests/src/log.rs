//! What a process logged, line by line, with the times at which it did.

use std::time::Duration;

/// When each line with all of these texts was written, since midnight (UTC).
pub fn times(log: &str, texts: &[&str]) -> Vec<Duration> {
    let lines = log.lines().filter(|line| texts.iter().all(|text| line.contains(text)));
    lines.map(time).collect()
}

/// The value of a field in the first line with all of these texts: `sid` of `sid=... stream=...`.
pub fn field<'a>(log: &'a str, texts: &[&str], name: &str) -> Option<&'a str> {
    let mut lines = log.lines();
    let line = lines.find(|line| texts.iter().all(|text| line.contains(text)))?;
    let field = |word: &'a str| word.strip_prefix(name)?.strip_prefix('=');
    line.split_whitespace().find_map(field)
}

/// Of a line that begins `2026-11-21T18:16:17.634209Z`.
fn time(line: &str) -> Duration {
    let clock = line.split(['T', 'Z']).nth(1).unwrap_or_default();
    let mut parts = clock.split(':').map(|part| part.parse().unwrap_or(f64::NAN));
    let [hours, minutes, seconds] = [(); 3].map(|()| parts.next().unwrap_or(f64::NAN));
    Duration::try_from_secs_f64(hours * 3600.0 + minutes * 60.0 + seconds)
        .unwrap_or_else(|error| panic!("{error}: no time begins {line:?}"))
}
