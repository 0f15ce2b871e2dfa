//! What a worker runs under: a disk that refuses, fewer privileges, a core that others have.

use std::{fs, process::Command};

use rustix::process::{Pid, Resource, Rlimit, prlimit, setpriority_process};

use super::{Cluster, running};
use crate::whipcord::binary;

/// How workers are started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Condition {
    #[default]
    Plain,
    /// Files that are not let grow are refused, as by a full disk, instead of being the process's end (SIGXFSZ).
    RefusableDisk,
    /// The kernel's limits hold for it, too.
    NoNetAdmin,
}

impl Condition {
    pub(super) fn command(self) -> Command {
        let words: &[&str] = match self {
            Self::Plain => return Command::new(binary()),
            Self::RefusableDisk => &["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""],
            Self::NoNetAdmin => &["setpriv", "--bounding-set=-net_admin"],
        };
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(binary());
        command
    }
}

impl Cluster {
    /// Of the workers that are started from now on.
    pub fn set_condition(&mut self, condition: Condition) {
        self.condition = condition;
    }

    /// No file of the nth worker grows beyond so many bytes; `None`: as far as they like, again.
    ///
    /// # Panics
    /// When it does not run, or was not started with [`Condition::RefusableDisk`]: that would have been its end.
    pub fn limit_files(&mut self, n: usize, bytes: Option<u64>) {
        assert_eq!(self.condition, Condition::RefusableDisk);
        let process = running(&mut self.workers, n).id();
        let pid = Pid::from_raw(process.cast_signed()).expect("a process has a number");
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(Some(pid), Resource::Fsize, limit).expect("a child can be limited");
    }

    /// Whoever else wants a core gets it before the thread of the nth worker's media port.
    ///
    /// # Panics
    /// When it does not run, or has no such thread.
    pub fn hold_shard_back(&mut self, n: usize) {
        let tasks = format!("/proc/{}/task", running(&mut self.workers, n).id());
        let tasks = fs::read_dir(tasks).expect("a process has threads");
        let is_shard = |task: &fs::DirEntry| {
            let name = fs::read_to_string(task.path().join("comm"));
            name.is_ok_and(|name| name.trim_end() == SHARD)
        };
        let shard = tasks.map_while(Result::ok).find(is_shard).expect("there is a shard");
        let number = shard
            .file_name()
            .to_string_lossy()
            .parse()
            .expect("threads have numbers");
        setpriority_process(Pid::from_raw(number), LAST).expect("a thread can be held back");
    }
}

/// The thread's name.
const SHARD: &str = "shard-0";
/// Of all niceness (setpriority(2)).
const LAST: i32 = 19;
