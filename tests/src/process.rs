//! A started process: its log, the line it says when ready, and how it is ended.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;

use crate::eventually;

/// A start takes well under a second; a loaded machine gets this long.
const READY: Duration = Duration::from_secs(20);
/// SIGTERM ends sessions and finishes recordings within this.
const DRAINED: Duration = Duration::from_secs(20);

/// Killed when dropped. A failing test prints its log.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: Log,
}

/// What was written to stderr so far.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Process {
    /// Starts it and waits for its line of JSON on stdout.
    ///
    /// # Panics
    /// When that does not come.
    pub(crate) fn start<T: DeserializeOwned>(command: &mut Command) -> (Self, T) {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let log = Log::default();
        log.follow(child.stderr.take().expect("stderr is piped"));
        let line = first_line(child.stdout.take().expect("stdout is piped"));
        let process = Self { child, log };
        let ready = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{command:?} wrote {line:?} when ready: {error}"));
        (process, ready)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a child that was not waited for can be signalled");
    }

    /// SIGSTOP, and waits until no thread of it runs.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.id());
        eventually("all of its threads stand still", READY, || {
            let mut tasks = fs::read_dir(&tasks).expect("a process has threads");
            let stopped = tasks.all(|task| {
                let status = task.and_then(|task| fs::read_to_string(task.path().join("status")));
                // A thread that ended meanwhile does nothing either.
                status.map_or(true, |status| status.contains("State:\tT"))
            });
            stopped.then_some(())
        });
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Panics
    /// When it has not ended in time.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        eventually("it ended after SIGTERM", DRAINED, || self.ended())
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    pub(crate) fn log(&self) -> String {
        self.log.text()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            self.log.print();
        }
    }
}

impl Log {
    fn follow(&self, stderr: impl Read + Send + 'static) {
        let log = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                log.0
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push_str(&(line + "\n"));
            }
        });
    }

    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    #[expect(clippy::print_stderr, reason = "the test runner shows it with the test that failed")]
    fn print(&self) {
        eprintln!("--- log of a process ---\n{}--- end of log ---", self.text());
    }
}

/// The first line, or nothing when it does not come. The rest is read and thrown away, so that a process that writes
/// more does not block.
fn first_line(stdout: impl Read + Send + 'static) -> String {
    let (sender, line) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let _ = stdout.read_line(&mut line);
        let _ = sender.send(line);
        let _ = stdout.read_to_end(&mut Vec::new());
    });
    line.recv_timeout(READY).unwrap_or_default()
}
