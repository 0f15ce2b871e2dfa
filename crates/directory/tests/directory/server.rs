//! A Redis, or a Valkey, of one test: its own process, without a disk, ended with the test.

use std::{
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use redis::{Client, FromRedisValue, aio::MultiplexedConnection};
use tempfile::TempDir;
use whipcord_directory::{Config, Directory, Timing};

use crate::bed::eventually;

pub(crate) struct Server {
    child: Child,
    program: &'static str,
    options: Vec<String>,
    folder: TempDir,
}

/// Where `tests/install test` has unpacked it, or else in the PATH.
fn command(program: &str) -> Command {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../.cache/valkey/usr/bin")
        .join(program);
    Command::new(if unpacked.exists() { unpacked } else { program.into() })
}

/// Whether a program is there; a test that goes without says so.
pub(crate) fn is_installed(program: &str) -> bool {
    let found = command(program).arg("--version").stdout(Stdio::null()).status().is_ok();
    if !found {
        // Past the capture of a passing test's output.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: {program} is not installed; `tests/install test` installs it"
        );
    }
    found
}

/// A port nobody listens on now: Redis cannot be told to choose one itself.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with("redis-server", &[]).await
    }

    /// On a socket in a folder of its own, with further options.
    pub(crate) async fn with(program: &'static str, options: &[&str]) -> Self {
        // Shown where a test fails.
        let _ = tracing_subscriber::fmt().with_test_writer().try_init();
        let folder = TempDir::new().unwrap();
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        let child = spawn(program, folder.path(), &options);
        let mut server = Self {
            child,
            program,
            options,
            folder,
        };
        server.ready().await;
        server
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub(crate) fn config(&self) -> Config {
        Config::new(format!("unix://{}", self.socket().display()).parse().unwrap())
    }

    pub(crate) fn directory(&self, timing: Timing) -> Directory {
        Directory::redis_with(&self.config(), &"test".parse().unwrap(), timing).unwrap()
    }

    async fn ready(&mut self) {
        eventually(async || self.connect().await.is_some()).await;
    }

    async fn connect(&self) -> Option<MultiplexedConnection> {
        let client = Client::open(format!("unix://{}", self.socket().display())).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.ok()?;
        let answer: redis::RedisResult<redis::Value> = redis::cmd("PING").query_async(&mut connection).await;
        // One that wants a password is up, too.
        match answer {
            Ok(_) => Some(connection),
            Err(error) if error.code() == Some("NOAUTH") => Some(connection),
            Err(_) => None,
        }
    }

    /// A command of the test's own, words parted by spaces.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &str) -> T {
        let mut words = command.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        command.arg(words.collect::<Vec<_>>());
        let mut connection = self.connect().await.expect("the server runs");
        command.query_async(&mut connection).await.unwrap()
    }

    /// As by `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Comes back without any of its data.
    pub(crate) async fn restart(&mut self) {
        self.child = spawn(self.program, self.folder.path(), &self.options);
        self.ready().await;
    }
}

fn spawn(program: &str, folder: &Path, options: &[String]) -> Child {
    let mut command = command(program);
    // Sentinels need a file of their own to write to.
    let file = folder.join("config");
    if file.exists() {
        command.arg(file);
    }
    if !options
        .iter()
        .any(|option| option == "--port" || option == "--tls-port")
    {
        command.args(["--port", "0"]);
    }
    command
        .args(["--unixsocket", folder.join("socket").to_str().unwrap()])
        .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
        .args(["--dir", folder.to_str().unwrap()])
        .args(options)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server starts; `tests/install test` installs it")
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Longer than any test's connection takes to be found.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
