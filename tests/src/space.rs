//! A network namespace, there for as long as a process waits in it.

use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::output;

/// With nothing in it but loopback.
#[derive(Debug)]
pub(crate) struct Space {
    holder: Child,
}

impl Space {
    /// # Panics
    /// When not run as root.
    pub(crate) fn new() -> Self {
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "ip link set lo up && echo up && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare can be started");
        let stdout = holder.stdout.take().expect("stdout is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("its line is text");
        assert_eq!(line, "up\n", "a namespace can be made by root only");
        Self { holder }
    }

    /// As `ip link set ... netns` names it.
    pub(crate) fn id(&self) -> u32 {
        self.holder.id()
    }

    /// A command that runs there.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.id())).arg(program);
        command
    }

    /// Runs lines of shell there.
    pub(crate) fn run(&self, lines: &str) -> String {
        let (stdout, _) = output(self.command(Path::new("sh")).args(["-e", "-c", lines]));
        String::from_utf8(stdout).expect("it writes text")
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Set in the process that runs a test in a network of its own.
const APART: &str = "WHIPCORD_TEST_APART";

/// Runs the test of this name, whose body this is, in another process in a network of its own, so that what it does to addresses and
/// routes is nobody else's and is gone with it.
///
/// # Panics
/// When the test fails there.
pub fn apart(test: &str, body: impl FnOnce()) {
    if env::var_os(APART).is_some() {
        return body();
    }
    let test_binary = env::current_exe().expect("a test knows its own path");
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""]);
    command.arg(test_binary).args([test, "--exact", "--nocapture"]);
    let (stdout, _) = output(command.env(APART, "1"));
    let stdout = String::from_utf8_lossy(&stdout);
    assert!(stdout.contains("1 passed"), "{test} is no test: {stdout}");
}
