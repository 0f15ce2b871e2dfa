//! The bench on which whole processes are tested: `whipcord` itself, real encoders, an impaired network between them,
//! and a reader of what was recorded.
//!
//! It knows Whipcord only from outside, by what scripts may rely on: the command line, the one line of JSON, HTTP, UDP
//! and files. It must not use any crate of the workspace, so that it cannot share a misunderstanding with one.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

pub mod cluster;
pub mod collector;
pub mod dashboards;
pub mod encoder;
pub mod fault;
pub mod generated;
pub mod http;
pub mod kubernetes;
pub mod lan;
pub mod load;
pub mod log;
pub mod matrix;
pub mod network;
pub mod page;
pub mod pattern;
pub mod player;
mod process;
pub mod prometheus;
pub mod proxy;
pub mod recording;
pub mod redis;
pub mod road;
pub mod rules;
pub mod space;
pub mod whipcord;

/// How often [`eventually`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until there is something to return.
///
/// # Panics
/// When `limit` is over, naming what was waited for.
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain until {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The repository's root folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the repository")
}

/// The folder of the test that is running is `target/debug/deps`; this is the one above, with the binaries.
fn binaries() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    test.ancestors()
        .nth(2)
        .expect("a test lies in target/debug/deps")
        .to_path_buf()
}

/// Runs a program to its end and returns what it wrote to stdout and stderr.
///
/// # Panics
/// When it cannot be started or fails.
pub fn output(command: &mut Command) -> (Vec<u8>, String) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{stderr}", output.status);
    (output.stdout, stderr)
}
