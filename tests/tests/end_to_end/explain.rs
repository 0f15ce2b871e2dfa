//! `whipcord explain`: each fault caused for real, and asked of the gateway that the encoder did not use.

use std::time::Duration;

use serde_json::Value;
use whipcord_tests::{cluster::Cluster, eventually};

mod ended;
mod media;
mod refused;
mod way;

/// A step of the way has 3 s, media that is missing 5 to 12 s; a loaded machine gets this long.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// What the nth gateway says of a session or a stream, once its diagnosis is this word; before each look `act` is done.
#[track_caller]
pub(crate) fn diagnosed(cluster: &Cluster, gateway: usize, subject: &str, word: &str, mut act: impl FnMut()) -> Value {
    let mut last = None;
    let look = || {
        act();
        last = cluster.explain(gateway, subject, &["--json"]);
        let answer: Value = serde_json::from_str(last.as_ref()?).ok()?;
        (answer["diagnosis"] == word).then_some(answer)
    };
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually(&format!("{subject} is {word}"), SOON, look)
    }));
    found.unwrap_or_else(|_| panic!("{subject} is not {word}, but {last:?}"))
}

/// The words of a session's timeline.
pub(crate) fn events(answer: &Value) -> Vec<&str> {
    let moments = answer["session"]["timeline"].as_array().unwrap().iter();
    moments.map(|moment| moment["event"].as_str().unwrap()).collect()
}
