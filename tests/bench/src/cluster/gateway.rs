//! The gateway under test: the real program, as an operator starts it, with certificates between it and its workers.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use serde::Deserialize;
use tempfile::TempDir;

use crate::{process, server::pinned};

pub(crate) struct Gateway {
    child: Child,
    _folder: TempDir,
    /// Where encoders ask.
    pub(crate) http: SocketAddr,
    /// Where workers report.
    pub(crate) grpc: SocketAddr,
}

/// Keys and certificates of a cluster, and a token for all its streams.
pub(crate) struct Credentials {
    folder: TempDir,
    pub(crate) token: String,
}

/// What it prints when it is ready.
#[derive(Deserialize)]
struct Ready {
    whip_url: String,
    grpc: SocketAddr,
}

/// One address and one token ask for all encoders of the benchmark.
const NO_RATE: &str = "10000000";

impl Credentials {
    pub(crate) fn make() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let program = program()?;
        let made = Command::new(&program).arg("keygen").arg(folder.path()).output()?;
        ensure!(
            made.status.success(),
            "keygen: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let made = Command::new(&program)
            .args(["token", "make", "--stream", "*", "--token-secret-file"])
            .arg(folder.path().join("token.secret"))
            .output()?;
        ensure!(
            made.status.success(),
            "token: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        Ok(Self {
            folder,
            token: String::from_utf8(made.stdout)?.trim().to_owned(),
        })
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Gateway {
    /// Its log goes into a file, as loud as it is by default.
    pub(crate) fn start(credentials: &Credentials, redis: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut child = pinned(&program()?)
            .args(["gateway", "--json", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"])
            .args(["--admin", "127.0.0.1:0", "--request-rate", NO_RATE, "--redis", redis])
            .arg("--session-keys")
            .arg(credentials.file("session.keys"))
            .arg("--token-secret-file")
            .arg(credentials.file("token.secret"))
            .arg("--internal-cert")
            .arg(credentials.file("gateway.pem"))
            .arg("--internal-key")
            .arg(credentials.file("gateway.key"))
            .arg("--internal-ca")
            .arg(credentials.file("ca.pem"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.path().join("log"))?)
            .spawn()
            .context("taskset is needed (Debian: util-linux)")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("stdout was piped")?).read_line(&mut line)?;
        let ready: Ready = serde_json::from_str(&line).context("the gateway did not start")?;
        let http = ready
            .whip_url
            .strip_prefix("http://")
            .and_then(|url| url.split('/').next());
        Ok(Self {
            child,
            _folder: folder,
            http: http.context("the gateway's address")?.parse()?,
            grpc: ready.grpc,
        })
    }

    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        process::cpu(self.child.id())
    }

    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        process::memory(self.child.id())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Built beside this one.
fn program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let program = own.with_file_name("whipcord");
    ensure!(
        program.exists(),
        "{} is not there: make bench builds it",
        program.display()
    );
    Ok(program)
}
