//! A Redis of this run: its own process and folder, empty, on a socket of the file system. It is asked by a few lines of its
//! protocol, because the client belongs to the directory.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    time::{Instant, sleep},
};

use crate::process;

/// It is up within a second; a loaded machine gets this long.
const UP: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);

pub(crate) struct Redis {
    child: Child,
    folder: TempDir,
    connection: BufReader<UnixStream>,
}

/// What it has spent since it started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    /// Those inside scripts too.
    pub(crate) commands: u64,
    /// In scripts, by its own clock.
    pub(crate) script: Duration,
    /// Of the whole process, so also of reading and writing.
    pub(crate) cpu: Duration,
}

impl Redis {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("socket");
        let child = Command::new("redis-server")
            .args(["--port", "0", "--unixsocket"])
            .arg(&socket)
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no", "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .context("redis-server is needed: tests/install test installs it")?;
        let begun = Instant::now();
        let connection = loop {
            match UnixStream::connect(&socket).await {
                Ok(connection) => break connection,
                Err(error) if begun.elapsed() > UP => return Err(error).context("Redis does not come up"),
                Err(_) => sleep(LOOK).await,
            }
        };
        Ok(Self {
            child,
            folder,
            connection: BufReader::new(connection),
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        process::memory(self.child.id())
    }

    pub(crate) async fn spent(&mut self) -> anyhow::Result<Spent> {
        let info = self.text("INFO commandstats").await?;
        // Our own questions are not the cluster's; sizes are asked for only where nothing is measured.
        let ours = ["cmdstat_info:", "cmdstat_flushall:"];
        let (mut commands, mut micros) = (0, 0);
        for line in info.lines().filter(|line| line.starts_with("cmdstat_")) {
            if ours.iter().any(|name| line.starts_with(name)) {
                continue;
            }
            commands += field(line, "calls=")?;
            // A script's time includes that of what it calls.
            if line.starts_with("cmdstat_eval") {
                micros += field(line, "usec=")?;
            }
        }
        Ok(Spent {
            commands,
            script: Duration::from_micros(micros),
            cpu: process::cpu(self.child.id())?,
        })
    }

    /// The sizes of hashes, by one question.
    pub(crate) async fn sizes(&mut self, keys: &[String]) -> anyhow::Result<Vec<u64>> {
        let question: String = keys.iter().map(|key| format!("HLEN {key}\r\n")).collect();
        self.connection.write_all(question.as_bytes()).await?;
        let mut sizes = Vec::with_capacity(keys.len());
        for _ in keys {
            sizes.push(self.number().await?);
        }
        Ok(sizes)
    }

    pub(crate) async fn flush_all(&mut self) -> anyhow::Result<()> {
        self.connection.write_all(b"FLUSHALL\r\n").await?;
        let answer = self.line().await?;
        ensure!(answer == "+OK", "Redis says {answer:?}");
        Ok(())
    }

    async fn text(&mut self, question: &str) -> anyhow::Result<String> {
        self.connection.write_all(format!("{question}\r\n").as_bytes()).await?;
        let head = self.line().await?;
        let length: usize = match head.split_at_checked(1) {
            Some(("$", length)) => length.parse()?,
            _ => bail!("Redis says {head:?}"),
        };
        // And the end of the line.
        let mut text = vec![0; length + 2];
        self.connection.read_exact(&mut text).await?;
        text.truncate(length);
        Ok(String::from_utf8(text)?)
    }

    async fn number(&mut self) -> anyhow::Result<u64> {
        let answer = self.line().await?;
        match answer.split_at_checked(1) {
            Some((":", number)) => Ok(number.parse()?),
            _ => bail!("Redis says {answer:?}"),
        }
    }

    async fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.connection.read_line(&mut line).await?;
        ensure!(line.ends_with("\r\n"), "Redis hung up");
        line.truncate(line.len() - 2);
        Ok(line)
    }
}

/// `calls=7,usec=12,...`
fn field(line: &str, name: &str) -> anyhow::Result<u64> {
    let (_, rest) = line.split_once(name).with_context(|| format!("{name} in {line}"))?;
    let number = rest.split(',').next().unwrap_or_default();
    number.parse().with_context(|| format!("{name} in {line}"))
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
