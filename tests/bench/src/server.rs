//! A server under test: its process, what it says on standard output, and what the kernel says of it.
//!
//! A server prints one line of JSON when it is ready, and those that receive media one with `received` when their standard input ends.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::Context;
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use whipcord_peer::srtp::{Master, Profile};

use crate::{observed::Collector, process};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Receive and decrypt, nothing else.
    Floor,
    /// Our worker.
    Worker,
    /// The same, with traces and metrics sent to a collector.
    Observed,
    /// The `webrtc` crate's peer connection, as documented.
    Stock,
}

/// How the media is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Cipher {
    Cm,
    Gcm,
}

impl Cipher {
    pub(crate) fn profile(self) -> Profile {
        match self {
            Self::Cm => Profile::Aes128CmHmacSha1_80,
            Self::Gcm => Profile::AeadAes128Gcm,
        }
    }

    pub(crate) fn dtls(self) -> SrtpProtectionProfile {
        match self {
            Self::Cm => SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
            Self::Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
        }
    }

    /// The floor has no handshake: all its sessions share one key.
    pub(crate) fn fixed_master(self) -> Master {
        Master {
            key: vec![7; self.profile().key_len()],
            salt: vec![9; self.profile().salt_len()],
        }
    }
}

/// Pinned to the first core; the encoders have the second.
const SERVER_CORE: &str = "0";

/// Settles a server before its CPU time is read.
pub(crate) const PAUSE: Duration = Duration::from_millis(300);

pub(crate) struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    /// Where what is observed goes.
    collector: Option<Collector>,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(kind: Kind, cipher: Cipher) -> anyhow::Result<Self> {
        let collector = (kind == Kind::Observed).then(Collector::start).transpose()?;
        let kind = clap::ValueEnum::to_possible_value(&kind).context("a kind has a name")?;
        let cipher = clap::ValueEnum::to_possible_value(&cipher).context("a cipher has a name")?;
        let mut arguments = vec![
            "serve".to_owned(),
            kind.get_name().to_owned(),
            cipher.get_name().to_owned(),
        ];
        arguments.extend(
            collector
                .as_ref()
                .map(|collector| format!("--collector={}", collector.address)),
        );
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut server = Self::spawn(&arguments)?;
        server.collector = collector;
        Ok(server)
    }

    /// This program again, told to be a server.
    pub(crate) fn spawn(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut child = pinned(&std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("taskset is needed (Debian: util-linux)")?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("stdout was piped")?;
        let mut server = Self {
            child,
            stdin,
            stdout: BufReader::new(stdout),
            collector: None,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        server.address = server.line("address")?.as_str().context("a text")?.parse()?;
        Ok(server)
    }

    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        process::cpu(self.child.id())
    }

    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        process::memory(self.child.id())
    }

    /// Ends it; the packets that it received.
    pub(crate) fn finish(mut self) -> anyhow::Result<u64> {
        drop(self.stdin.take());
        let received = self.line("received")?.as_u64().context("a number")?;
        self.child.wait()?;
        Ok(received)
    }

    fn line(&mut self, field: &str) -> anyhow::Result<serde_json::Value> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        let mut value: serde_json::Value = serde_json::from_str(&line).context("the server died")?;
        Ok(value[field].take())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program on the servers' core.
pub(crate) fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", SERVER_CORE]).arg(program);
    command
}

/// One line of JSON for the benchmark.
pub(crate) fn say(field: &str, value: impl Into<serde_json::Value>) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", serde_json::json!({ field: value.into() }))?;
    stdout.flush()?;
    Ok(())
}

/// Waits for the benchmark to be done with this server.
pub(crate) fn wait_for_end() {
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}
