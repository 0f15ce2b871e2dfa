//! Servers of Redis, of any kind: one, a replica, a Sentinel, a node of a Cluster; and questions to them.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::eventually;

/// A start takes a tenth of a second; a loaded machine gets this long.
const READY: Duration = Duration::from_secs(20);
/// No answer takes longer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// One process, without a disk; killed when dropped.
#[derive(Debug)]
pub struct Redis {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

/// What a server says (RESP 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Text(String),
    Number(i64),
    List(Vec<Self>),
    Nothing,
    Error(String),
}

impl Redis {
    /// A server, always empty.
    ///
    /// # Panics
    /// When there is no redis-server: `tests/install test` installs it.
    pub fn start(address: SocketAddr, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut command = Command::new("redis-server");
        command
            .args([
                "--bind",
                &address.ip().to_string(),
                "--port",
                &address.port().to_string(),
            ])
            .args(["--save", "", "--appendonly", "no", "--protected-mode", "no", "--dir"])
            .arg(folder.path())
            .args(options);
        Self::spawn(command, address, folder)
    }

    /// A Sentinel, whose word is enough, and which loses patience with the master `main` soon.
    ///
    /// # Panics
    /// As [`Redis::start`].
    pub fn sentinel(address: SocketAddr, master: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let file = folder.path().join("sentinel.conf");
        let text = format!(
            "bind {}\nport {}\nprotected-mode no\ndir {}\nsentinel monitor main {} {} 1\n\
             sentinel down-after-milliseconds main 600\nsentinel failover-timeout main 5000\n",
            address.ip(),
            address.port(),
            folder.path().display(),
            master.ip(),
            master.port(),
        );
        fs::write(&file, text).expect("a file can be written");
        let mut command = Command::new("redis-server");
        command.arg(&file).arg("--sentinel");
        Self::spawn(command, address, folder)
    }

    fn spawn(mut command: Command, address: SocketAddr, folder: TempDir) -> Self {
        let child = command.stdout(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("redis-server: {error}; run tests/install test"));
        let server = Self {
            child,
            address,
            _folder: folder,
        };
        eventually("Redis answers", READY, || server.attempt("PING").ok());
        server
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// One command, words parted by spaces.
    ///
    /// # Panics
    /// When there is no answer, or it is an error.
    #[track_caller]
    pub fn ask(&self, command: &str) -> Answer {
        match self.attempt(command) {
            Ok(Answer::Error(error)) => panic!("{command}: {error}"),
            Ok(answer) => answer,
            Err(error) => panic!("{command}: {error}"),
        }
    }

    fn attempt(&self, command: &str) -> io::Result<Answer> {
        let mut server = TcpStream::connect(self.address)?;
        server.set_read_timeout(Some(ANSWER_MAX))?;
        let words: Vec<&str> = command.split(' ').collect();
        let mut text = format!("*{}\r\n", words.len());
        for word in words {
            text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        server.write_all(text.as_bytes())?;
        read(&mut BufReader::new(server))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.end();
    }
}

impl Answer {
    /// # Panics
    /// When it is no text.
    #[track_caller]
    pub fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            other => panic!("no text: {other:?}"),
        }
    }

    /// # Panics
    /// When it is no number.
    #[track_caller]
    pub fn number(self) -> i64 {
        match self {
            Self::Number(number) => number,
            other => panic!("no number: {other:?}"),
        }
    }

    /// # Panics
    /// When it is no list of texts.
    #[track_caller]
    pub fn texts(self) -> Vec<String> {
        match self {
            Self::List(list) => list.into_iter().map(Self::text).collect(),
            other => panic!("no list: {other:?}"),
        }
    }
}

fn read(server: &mut BufReader<TcpStream>) -> io::Result<Answer> {
    let mut line = String::new();
    server.read_line(&mut line)?;
    let line = line.trim_end();
    let (kind, rest) = line.split_at_checked(1).ok_or_else(|| io::Error::other("no answer"))?;
    let number = || rest.parse::<i64>().map_err(io::Error::other);
    Ok(match kind {
        "+" => Answer::Text(rest.to_owned()),
        "-" => Answer::Error(rest.to_owned()),
        ":" => Answer::Number(number()?),
        "$" | "*" if number()? < 0 => Answer::Nothing,
        "$" => {
            // With its CR LF.
            let mut bytes = vec![0; number()? as usize + 2];
            server.read_exact(&mut bytes)?;
            bytes.truncate(bytes.len() - 2);
            Answer::Text(String::from_utf8_lossy(&bytes).into_owned())
        }
        "*" => Answer::List((0..number()?).map(|_| read(server)).collect::<io::Result<_>>()?),
        _ => return Err(io::Error::other(format!("answered {line:?}"))),
    })
}
