//! A recording as a browser plays it: `<video>` in headless Chromium, by `tests/interop/clients/player.py`.

use std::{path::Path, process::Command};

use serde::Deserialize;

use crate::{output, root};

/// What came of it.
#[derive(Debug, Clone, Deserialize)]
pub struct Played {
    /// The player's error, or where it stood still; `None` when it came to the end.
    pub failed: Option<String>,
    /// What it says that it can do with such a file: `probably`, `maybe` or nothing.
    pub can: String,
    /// Where it ended, in seconds.
    pub at: f64,
    /// How long it takes the file to be; `None` when it does not know.
    pub duration: Option<f64>,
    /// Decoded, shown or not.
    pub pictures: usize,
    /// Decoded, but too late to be shown.
    pub dropped: usize,
    /// Of the last picture.
    pub width: u32,
    pub height: u32,
    /// Bytes of sound that were decoded.
    pub sound: u64,
}

/// Plays `file` from its start to its end. `kind` is its type as in `canPlayType`.
///
/// # Panics
/// When Chromium is not installed or says nothing.
pub fn play(file: &Path, kind: &str) -> Played {
    assert!(
        Path::new("/usr/bin/chromium").exists(),
        "chromium: not there; run `make interop`, which installs it"
    );
    let mut player = Command::new(root().join("tests/interop/clients/player.py"));
    let (said, _) = output(player.arg(file).arg(kind));
    let said = String::from_utf8(said).expect("the player writes text");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}
