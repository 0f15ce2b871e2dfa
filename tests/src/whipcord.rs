//! The process under test.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use serde::Deserialize;
use tempfile::TempDir;

use crate::{binaries, http, process::Process};

/// A running `whipcord standalone`, killed when dropped. A failing test prints its log.
#[derive(Debug)]
pub struct Whipcord {
    process: Process,
    place: Place,
    ready: Ready,
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
    pub pinned: bool,
    pub data_channels: Option<DataChannels>,
}

/// What an encoder said beside its media.
#[derive(Debug, Clone, Deserialize)]
pub struct DataChannels {
    pub open: u32,
    pub messages_received: u64,
    pub bytes_received: u64,
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

    /// The same in a network of its own, on an address that is not loopback. It can be reached from within only, so by encoders and by
    /// a [`Host`](crate::lan::Host).
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
            place.any_port(),
            "--media",
            place.any_port(),
            "--admin",
            "127.0.0.1:0",
        ]);
        command
            .arg("--recordings")
            .arg(recordings.path())
            .arg("--json")
            .args(arguments);
        let (process, ready) = Process::start(&mut command);
        Self {
            process,
            place,
            ready,
            _recordings: recordings,
        }
    }

    /// A command that runs where this process can be reached.
    pub(crate) fn neighbour(&self, program: &Path) -> Command {
        self.place.enter(self.process.id(), program)
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
        sessions(&self.origin(), self.token())
    }

    /// The session of a stream, once there is one and it is connected.
    pub fn connected(&self, stream: &str) -> Option<Session> {
        let mut sessions = self.sessions().into_values();
        sessions.find(|session| session.stream == stream && session.connection_state == "connected")
    }

    /// The recordings of a stream so far, by name.
    pub fn recordings(&self, stream: &str) -> Vec<PathBuf> {
        recordings(&self.ready.recordings, stream)
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
        self.process.terminate()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

impl Place {
    fn any_port(self) -> &'static str {
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

/// The sessions in `GET /whip-stats` by id.
pub(crate) fn sessions(origin: &str, token: &str) -> BTreeMap<String, Session> {
    let authorization = format!("Bearer {token}");
    let response = http::request(
        "GET",
        &format!("{origin}/whip-stats"),
        &[("Authorization", &authorization)],
        "",
    );
    assert_eq!(response.status, 200, "GET /whip-stats: {response:?}");
    serde_json::from_str(&response.body).unwrap_or_else(|error| panic!("/whip-stats: {error}: {}", response.body))
}

/// The recordings of a stream in a folder so far, by name.
pub(crate) fn recordings(folder: &Path, stream: &str) -> Vec<PathBuf> {
    let Ok(folder) = fs::read_dir(folder.join(stream)) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = folder
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    files.sort();
    files
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
