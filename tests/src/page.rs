//! The gateway's own page, visited with headless Chromium by `tests/interop/clients/visitor.py`.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tempfile::TempDir;

use crate::{eventually, lan::Host, root};

/// A visit that has not ended after this long hangs: its own waits are of 60 s, and each has a few.
const VISIT: Duration = Duration::from_secs(240);

/// A browser on the page, doing what its scene says. It is killed when this is dropped.
#[derive(Debug)]
pub struct Visit {
    scene: &'static str,
    child: Child,
    output: TempDir,
}

/// What the page showed in the end, and what the scene adds to that: a test unwraps what its scene says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    pub state: String,
    /// The error: what happened, and what to do.
    pub what: String,
    pub todo: String,
    /// Why there is no camera.
    pub insecure: String,
    pub recording: String,
    /// In place of the list of streams.
    pub streams_said: String,
    /// Names and values, a line each.
    pub figures: String,
    /// The table of simulcast layers, a line each.
    pub layers: String,
    /// The id of the element with the focus.
    pub focus: String,
    /// Exceptions, and what the page's own policy refused.
    pub complaints: Vec<String>,
    /// From live to stopped.
    pub seconds: Option<f64>,
    /// Pictures encoded in that time, of the largest layer.
    pub frames: Option<u32>,
    /// After the stop.
    pub after: Option<Box<Self>>,
    /// Before the camera was allowed.
    pub refused: Option<Box<Self>>,
    /// While no media got through.
    pub interrupted: Option<Box<Self>>,
    /// Peer connections made, and ICE restarts.
    pub connections: Option<u32>,
    pub restarts: Option<u32>,
    /// Elements to use or look at without a name for a screen reader.
    pub nameless: Option<Vec<String>>,
    /// How wide the page is where 360 pixels are there.
    pub width: Option<u32>,
    /// The lines for other encoders, with the token hidden and shown.
    pub hidden: Option<Vec<String>>,
    pub shown: Option<Vec<String>>,
    /// How much is stored beyond the tab, and what in it.
    pub kept: Option<(u32, Vec<String>)>,
    /// The recording behind each link that was clicked.
    pub played: Option<Vec<Played>>,
    /// Questions for the link to a recording, the first of which is refused.
    pub heads: Option<u32>,
    /// Whether somebody looks at the tab, in the browser's word.
    pub visibility: Option<String>,
    /// What the tabulator key comes by.
    pub order: Option<Vec<Option<String>>>,
}

/// What a `<video>` says at the end of a recording.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Played {
    /// In seconds: where it is, and how long the file is.
    pub time: f64,
    pub duration: f64,
    pub width: u32,
    pub pictures: u32,
    pub error: String,
}

impl Visit {
    /// Opens the page of the gateway at `origin`.
    ///
    /// # Panics
    /// When Chromium is not installed.
    pub fn start(origin: &str, token: &str, scene: &'static str, seconds: u32) -> Self {
        let visitor = Command::new(visitor());
        Self::with(visitor, origin, token, scene, seconds)
    }

    /// The same in a browser on another host.
    ///
    /// # Panics
    /// As [`Visit::start`].
    pub fn start_on(host: &Host, origin: &str, token: &str, scene: &'static str, seconds: u32) -> Self {
        let visitor = host.command(&visitor());
        Self::with(visitor, origin, token, scene, seconds)
    }

    fn with(mut command: Command, origin: &str, token: &str, scene: &'static str, seconds: u32) -> Self {
        assert!(
            Path::new("/usr/bin/chromium").exists(),
            "chromium: not there; run `make interop`, which installs it"
        );
        let output = tempfile::tempdir().expect("a temporary folder can be made");
        let file = |name| File::create(output.path().join(name)).expect("a file can be made");
        command
            .args([scene, &format!("{origin}/"), token, &seconds.to_string()])
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"));
        // A group of its own, so that the signals reach the browser.
        let child = command.process_group(0).spawn();
        let child = child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { scene, child, output }
    }

    /// Waits for the end of the scene.
    ///
    /// # Panics
    /// When it fails or does not end, or the page complained.
    #[track_caller]
    pub fn said(mut self) -> Said {
        let status = eventually("the visit ended", VISIT, || {
            self.child.try_wait().expect("a child can be waited for")
        });
        let written = |name| fs::read_to_string(self.output.path().join(name)).unwrap_or_default();
        let stdout = written("stdout");
        assert!(
            status.success(),
            "{}: {status}\n{stdout}\n{}",
            self.scene,
            written("stderr")
        );
        let said: Said =
            serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{}: {error}: {stdout}", self.scene));
        assert!(said.complaints.is_empty(), "{}: {:?}", self.scene, said.complaints);
        said
    }
}

fn visitor() -> PathBuf {
    root().join("tests/interop/clients/visitor.py")
}

impl Said {
    /// The value of a figure.
    pub fn figure(&self, name: &str) -> Option<&str> {
        let mut lines = self.figures.lines();
        lines.find(|line| *line == name)?;
        lines.next()
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}
