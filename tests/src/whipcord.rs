//! The process under test.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tempfile::TempDir;

use crate::{binaries, eventually, http};

/// A start takes well under a second; a loaded machine gets this long.
const READY: Duration = Duration::from_secs(20);
/// SIGTERM ends sessions and finishes recordings within this.
const DRAINED: Duration = Duration::from_secs(20);

/// A running `whipcord standalone`, killed when dropped. A failing test prints its log.
#[derive(Debug)]
pub struct Whipcord {
    child: Child,
    place: Place,
    ready: Ready,
    log: Log,
    _recordings: TempDir,
}

/// The network that it runs in.
#[derive(Debug, Clone, Copy)]
enum Place {
    Loopback,
    Lan,
}

/// The one line of JSON on stdout.
#[derive(Debug, Deserialize)]
struct Ready {
    whip_url: String,
    token: String,
    media: Vec<SocketAddr>,
    recordings: PathBuf,
    admin_url: String,
}

/// A session in `GET /whip-stats`, as far as tests look at it.
#[derive(Debug, Clone, Deserialize)]
pub struct Session {
    pub stream: String,
    pub connection_state: String,
    pub has_video: bool,
    pub has_audio: bool,
    pub packets_received: u64,
    pub remote: Option<SocketAddr>,
    pub tracks: Vec<Track>,
}

/// A track of a session, or a layer of one.
#[derive(Debug, Clone, Deserialize)]
pub struct Track {
    pub rid: Option<String>,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub bitrate_bps: u64,
    pub frames_per_second: Option<f64>,
    pub active: bool,
}

/// What was written to stderr so far.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Whipcord {
    /// Starts `whipcord standalone` on free ports of 127.0.0.1, with recordings in a new folder, and waits until it is
    /// ready.
    ///
    /// # Panics
    /// When the binary is missing or older than its sources, or it does not become ready.
    pub fn standalone() -> Self {
        Self::start(Place::Loopback, &[])
    }

    /// The same with more arguments.
    ///
    /// # Panics
    /// As [`Whipcord::standalone`].
    pub fn standalone_with(arguments: &[&str]) -> Self {
        Self::start(Place::Loopback, arguments)
    }

    /// The same in a network of its own, with media on an address that is not loopback. HTTP can be reached from within
    /// only, so by encoders.
    ///
    /// # Panics
    /// Also when not run as root.
    pub fn standalone_on_lan() -> Self {
        Self::start(Place::Lan, &[])
    }

    fn start(place: Place, arguments: &[&str]) -> Self {
        let recordings = tempfile::tempdir().expect("a temporary folder can be made");
        let mut command = place.create(&binary());
        command.args([
            "standalone",
            "--http",
            "127.0.0.1:0",
            "--media",
            place.media(),
            "--admin",
            "127.0.0.1:0",
        ]);
        command
            .arg("--recordings")
            .arg(recordings.path())
            .arg("--json")
            .args(arguments);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let log = Log::default();
        log.follow(child.stderr.take().expect("stderr is piped"));
        let line = first_line(child.stdout.take().expect("stdout is piped"));
        let ready = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("whipcord wrote {line:?} when ready: {error}\n{}", log.text()));
        Self {
            child,
            place,
            ready,
            log,
            _recordings: recordings,
        }
    }

    /// A command that runs where this process can be reached.
    pub(crate) fn neighbour(&self, program: &Path) -> Command {
        self.place.enter(self.child.id(), program)
    }

    /// The URL to publish a stream to.
    pub fn whip_url(&self, stream: &str) -> String {
        format!("{}/whip/{stream}", self.origin())
    }

    /// The WHIP URL as Whipcord announced it.
    pub fn announced_url(&self) -> &str {
        &self.ready.whip_url
    }

    pub fn admin_url(&self) -> &str {
        &self.ready.admin_url
    }

    pub fn token(&self) -> &str {
        &self.ready.token
    }

    /// The first UDP address for media, as in answers.
    pub fn media(&self) -> SocketAddr {
        self.ready.media[0]
    }

    /// `http://host:port` of the gateway.
    pub fn origin(&self) -> String {
        format!("http://{}", http::split(&self.ready.whip_url).0)
    }

    /// The sessions in `GET /whip-stats` by id.
    pub fn sessions(&self) -> BTreeMap<String, Session> {
        let authorization = format!("Bearer {}", self.token());
        let url = format!("{}/whip-stats", self.origin());
        let response = http::request("GET", &url, &[("Authorization", &authorization)], "");
        assert_eq!(response.status, 200, "GET /whip-stats: {response:?}");
        serde_json::from_str(&response.body).unwrap_or_else(|error| panic!("/whip-stats: {error}: {}", response.body))
    }

    /// The session of a stream, once there is one and it is connected.
    pub fn connected(&self, stream: &str) -> Option<Session> {
        let mut sessions = self.sessions().into_values();
        sessions.find(|session| session.stream == stream && session.connection_state == "connected")
    }

    /// The recordings of a stream so far, by name.
    pub fn recordings(&self, stream: &str) -> Vec<PathBuf> {
        let Ok(folder) = fs::read_dir(self.ready.recordings.join(stream)) else {
            return Vec::new();
        };
        let mut files: Vec<PathBuf> = folder
            .map(|entry| entry.expect("the folder can be read").path())
            .collect();
        files.sort();
        files
    }

    /// The one recording of a stream.
    #[track_caller]
    pub fn recording(&self, stream: &str) -> PathBuf {
        let mut files = self.recordings(stream);
        assert_eq!(files.len(), 1, "recordings of {stream}: {files:?}");
        files.remove(0)
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Panics
    /// When it has not ended in time.
    pub fn terminate(&mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .expect("a child that was not waited for can be signalled");
        eventually("whipcord ended after SIGTERM", DRAINED, || {
            self.child.try_wait().expect("a child can be waited for")
        })
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.log.text()
    }
}

impl Place {
    fn media(self) -> &'static str {
        match self {
            Self::Loopback => "127.0.0.1:0",
            Self::Lan => "10.77.0.1:0",
        }
    }

    fn create(self, program: &Path) -> Command {
        match self {
            Self::Loopback => Command::new(program),
            Self::Lan => {
                let mut command = Command::new("unshare");
                let lan = "ip link set lo up && ip link add lan0 type veth peer name lan1 && \
                           ip address add 10.77.0.1/24 dev lan0 && ip link set lan0 up && ip link set lan1 up && \
                           exec \"$0\" \"$@\"";
                command.args(["--net", "sh", "-c", lan]).arg(program);
                command
            }
        }
    }

    fn enter(self, pid: u32, program: &Path) -> Command {
        match self {
            Self::Loopback => Command::new(program),
            Self::Lan => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net=/proc/{pid}/ns/net")).arg(program);
                command
            }
        }
    }
}

impl Drop for Whipcord {
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
        eprintln!("--- log of whipcord ---\n{}--- end of log ---", self.text());
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

/// The built binary. Cargo builds binaries for the tests of their own package only, so this one has to be there; cargo
/// lists its sources beside it, by which a stale one is found out.
///
/// `WHIPCORD_BINARY` names another one to test, as it is.
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("WHIPCORD_BINARY") {
        return named.into();
    }
    let binary = binaries().join("whipcord");
    let built = changed(&binary).unwrap_or_else(|| panic!("{}: not built; {BUILD}", binary.display()));
    let sources = fs::read_to_string(binary.with_extension("d")).expect("cargo lists the sources beside a binary");
    let stale = sources
        .split_whitespace()
        .skip(1)
        .find(|file| changed(Path::new(file)) > Some(built));
    assert!(
        stale.is_none(),
        "{}: older than {}; {BUILD}",
        binary.display(),
        stale.unwrap_or_default()
    );
    binary
}

const BUILD: &str = "run `cargo build --workspace --all-targets` first, as `make test` does";

fn changed(file: &Path) -> Option<std::time::SystemTime> {
    fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}
