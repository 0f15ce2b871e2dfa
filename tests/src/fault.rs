//! The table of failures that `make chaos` prints: a row from each fault that was caused, with what it cost.

use std::{env, fmt, fs, time::Duration};

use crate::root;

/// How much of it: `make test` has minutes for all there is, `make chaos` takes the numbers that are promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    Short,
    Full,
}

impl Extent {
    /// `make chaos` and `make watched` set the variable.
    pub fn of_this_run() -> Self {
        if env::var_os("WHIPCORD_CHAOS").is_some() {
            Self::Full
        } else {
            Self::Short
        }
    }

    pub fn choose<T>(self, short: T, full: T) -> T {
        match self {
            Self::Short => short,
            Self::Full => full,
        }
    }
}

/// What a fault cost, as far as this row measures it.
#[derive(Debug, Default)]
pub struct Cost {
    /// From the fault to the moment somebody knew of it.
    pub noticed: Option<Duration>,
    /// From the fault, or from its end where it ends, to the moment all worked again.
    pub recovered: Option<Duration>,
    /// Sessions that ended and should not have.
    pub sessions_lost: Option<usize>,
    /// The longest time between two pictures that followed each other, beyond the time between two pictures.
    pub media_gap: Option<Duration>,
}

impl Cost {
    /// Notes the row; the last note of a name counts.
    ///
    /// # Panics
    /// When no file can be written below target.
    pub fn note(&self, fault: &str) {
        let folder = root().join("target/faults");
        fs::create_dir_all(&folder).expect("a folder can be made below target");
        let row = format!(
            "| {fault} | {} | {} | {} | {} |\n",
            Figure(self.noticed),
            Figure(self.recovered),
            self.sessions_lost
                .map_or_else(|| "-".to_owned(), |lost| lost.to_string()),
            Figure(self.media_gap),
        );
        let name: String = fault
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        fs::write(folder.join(name), row).expect("a file can be written below target");
    }
}

struct Figure(Option<Duration>);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(time) => write!(f, "{:.2} s", time.as_secs_f64()),
            None => f.write_str("-"),
        }
    }
}
