//! A cluster of real processes: gateways and workers, each at an address of its own.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use serde::Deserialize;
use tempfile::TempDir;

use crate::{
    eventually, http, output,
    process::Process,
    redis::Redis,
    road::{self, Roads},
    whipcord::{self, Session, binary},
};

mod condition;
mod controllers;
mod ends;
mod keys;
mod operators;
mod redis;

pub use condition::Condition;
pub use keys::KEY_FILES;

/// A worker is known to a gateway within a second; a loaded machine gets this long.
const KNOWN: Duration = Duration::from_secs(20);

/// Gateways at `127.A.B.1` and on, workers at `127.A.B.101` and on: A and B are this cluster's own, so that every process keeps its
/// address when it is started again, and gateways to come have theirs already.
#[derive(Debug)]
pub struct Cluster {
    network: [u8; 3],
    /// To the first worker, where that is on another host.
    roads: Option<Roads>,
    folder: TempDir,
    token: String,
    environment: Vec<(String, String)>,
    condition: Condition,
    redis: Option<Redis>,
    /// What gateways to be started are told.
    redis_url: String,
    gateways: Vec<Option<Process>>,
    workers: Vec<Option<Process>>,
    controllers: Vec<Option<Process>>,
}

/// Gateways that workers are told of.
const GATEWAYS_MAX: usize = 4;

const HTTP: u16 = 8080;
const GRPC: u16 = 7000;
const MEDIA: u16 = 8189;
const ADMIN: u16 = 9090;

/// The line of either role, as far as tests look at it.
#[derive(Debug, Deserialize)]
struct Ready {
    #[serde(rename = "grpc")]
    _grpc: SocketAddr,
}

impl Cluster {
    /// Keys and certificates, and no process yet.
    pub fn new() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        // Clusters of one test process follow each other; processes differ.
        let third = NEXT.fetch_add(1, Ordering::Relaxed);
        Self::within([127, (std::process::id() % 250) as u8 + 2, third], None)
    }

    /// The first worker on another host, at the end of these roads.
    pub fn across(roads: Roads) -> Self {
        Self::within(road::HERE, Some(roads))
    }

    fn within(network: [u8; 3], roads: Option<Roads>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        output(Command::new(binary()).arg("keygen").arg(folder.path()));
        let token = output(
            Command::new(binary())
                .args(["token", "make", "--admin", "--stream", "*", "--token-secret-file"])
                .arg(folder.path().join("token.secret")),
        );
        Self {
            network,
            roads,
            token: String::from_utf8(token.0).expect("a token is text").trim().to_owned(),
            folder,
            environment: Vec::new(),
            condition: Condition::default(),
            redis: None,
            redis_url: format!("redis://{}", redis::address(network, 0)),
            gateways: Vec::new(),
            workers: Vec::new(),
            controllers: Vec::new(),
        }
    }

    /// Of every process that is started from now on.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// So many of each, the workers known to a gateway.
    pub fn start(gateways: usize, workers: usize) -> Self {
        let mut cluster = Self::new();
        cluster.start_redis();
        for n in 0..gateways {
            cluster.start_gateway(n, &[]);
        }
        for n in 0..workers {
            cluster.start_worker(n, &[]);
        }
        (0..workers).for_each(|n| cluster.wait_until_known(n));
        cluster
    }

    /// Starts the nth gateway, for the first time or again.
    pub fn start_gateway(&mut self, n: usize, arguments: &[&str]) {
        assert!(n < GATEWAYS_MAX, "workers know {GATEWAYS_MAX} gateways");
        let address = self.gateway_address(n);
        let mut command = self.command(Command::new(binary()), "gateway", address);
        command
            .args(["--http", &format!("{address}:{HTTP}")])
            .arg("--session-keys")
            .arg(self.keys("gateway", n).join("session.keys"))
            .arg("--token-secret-file")
            .arg(self.folder.path().join("token.secret"))
            .args(["--redis", &self.redis_url])
            .args(arguments);
        place::<Ready>(&mut self.gateways, n, &mut command);
    }

    /// Starts the nth worker, for the first time or again. It records.
    pub fn start_worker(&mut self, n: usize, arguments: &[&str]) {
        let mut command = self.worker(self.worker_program(n), n);
        self.record(&mut command, n);
        place::<Ready>(&mut self.workers, n, command.args(arguments));
    }

    /// The same, but it does not record.
    pub fn start_worker_without_recordings(&mut self, n: usize) {
        let mut command = self.worker(self.worker_program(n), n);
        place::<Ready>(&mut self.workers, n, &mut command);
    }

    /// The same with a disk for recordings of so many bytes, which is gone with it; as root.
    pub fn start_worker_on_disk_of(&mut self, bytes: u64, n: usize, arguments: &[&str]) {
        let folder = self.recordings_folder(n);
        fs::create_dir_all(&folder).expect("a folder can be made");
        let mount = format!(
            "mount -t tmpfs -o size={bytes} none {} && exec \"$0\" \"$@\"",
            folder.display()
        );
        let mut program = Command::new("unshare");
        program.args(["--mount", "sh", "-c", &mount]).arg(binary());
        let mut command = self.worker(program, n);
        self.record(&mut command, n);
        place::<Ready>(&mut self.workers, n, command.args(arguments));
    }

    fn record(&self, command: &mut Command, n: usize) {
        command.arg("--recordings").arg(self.recordings_folder(n));
    }

    fn worker_program(&self, n: usize) -> Command {
        match self.roads_to(n) {
            Some(roads) => roads.command(&binary()),
            None => self.condition.command(),
        }
    }

    fn worker(&self, program: Command, n: usize) -> Command {
        let address = self.worker_address(n);
        let mut command = self.command(program, "worker", address);
        for gateway in 0..GATEWAYS_MAX {
            command.args(["--gateway", &format!("{}:{GRPC}", self.gateway_address(gateway))]);
        }
        command
            .args([
                "--media",
                &self.media(n).to_string(),
                "--worker-id",
                &format!("worker-{n}"),
            ])
            .arg("--ice-keys")
            .arg(self.keys("worker", n).join("ice.keys"));
        command
    }

    fn command(&self, mut command: Command, role: &str, address: IpAddr) -> Command {
        let file = |name: String| self.folder.path().join(name);
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .args([role, "--json", "--grpc", &format!("{address}:{GRPC}")])
            .args(["--admin", &format!("{address}:{ADMIN}")])
            .arg("--internal-cert")
            .arg(file(format!("{role}.pem")))
            .arg("--internal-key")
            .arg(file(format!("{role}.key")))
            .arg("--internal-ca")
            .arg(file("ca.pem".to_owned()));
        command
    }

    /// Waits until some gateway knows the nth worker.
    pub fn wait_until_known(&self, n: usize) {
        let url = format!("{}/readyz", self.worker_admin(n));
        eventually("the worker is known", KNOWN, || {
            (http::request("GET", &url, &[], "").status == 200).then_some(())
        });
    }

    fn gateway_address(&self, n: usize) -> IpAddr {
        self.address(1 + n as u8)
    }

    fn worker_address(&self, n: usize) -> IpAddr {
        match self.roads_to(n) {
            Some(roads) => roads.calls.far_address().into(),
            None => self.address(101 + n as u8),
        }
    }

    fn roads_to(&self, n: usize) -> Option<&Roads> {
        self.roads.as_ref().filter(|_| n == 0)
    }

    /// To the first worker.
    ///
    /// # Panics
    /// When it is on the same host.
    pub fn roads(&self) -> &Roads {
        self.roads.as_ref().expect("it is on another host")
    }

    /// Where gateways reach the nth worker.
    pub fn worker_grpc(&self, n: usize) -> SocketAddr {
        (self.worker_address(n), GRPC).into()
    }

    fn address(&self, last: u8) -> IpAddr {
        address(self.network, last)
    }

    /// Where the nth gateway hears workers.
    pub fn reports_address(&self, n: usize) -> SocketAddr {
        SocketAddr::new(self.gateway_address(n), GRPC)
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// `http://host:port` of the nth gateway.
    pub fn origin(&self, n: usize) -> String {
        format!("http://{}:{HTTP}", self.gateway_address(n))
    }

    /// Where the nth worker takes media.
    pub fn media(&self, n: usize) -> SocketAddr {
        let address = match self.roads_to(n) {
            Some(roads) => roads.media.far_address().into(),
            None => self.worker_address(n),
        };
        (address, MEDIA).into()
    }

    /// Bytes that gateways have sent to the nth worker and that it has not read.
    pub fn unread_calls(&self, worker: usize) -> u64 {
        let IpAddr::V4(address) = self.worker_address(worker) else {
            panic!("addresses of a cluster are IPv4");
        };
        // `sl local_address rem_address st tx_queue:rx_queue`, all hexadecimal; addresses as they lie in memory.
        let local = format!("{:08X}:{GRPC:04X}", u32::from_ne_bytes(address.octets()));
        let table = fs::read_to_string("/proc/net/tcp").expect("the kernel lists connections");
        let unread = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let established = fields.get(1) == Some(&local.as_str()) && fields.get(3) == Some(&"01");
            let (_, received) = fields.get(4).filter(|_| established)?.split_once(':')?;
            u64::from_str_radix(received, 16).ok()
        };
        table.lines().filter_map(unread).sum()
    }

    /// Those of all gateways that were started.
    pub fn origins(&self) -> Vec<String> {
        (0..self.gateways.len()).map(|n| self.origin(n)).collect()
    }

    /// Where operators and probes reach the nth gateway.
    pub fn gateway_admin(&self, n: usize) -> String {
        format!("http://{}:{ADMIN}", self.gateway_address(n))
    }

    /// Where operators and probes reach the nth worker.
    pub fn worker_admin(&self, n: usize) -> String {
        format!("http://{}:{ADMIN}", self.worker_address(n))
    }

    /// The URL to publish a stream to by the nth gateway.
    pub fn whip_url(&self, n: usize, stream: &str) -> String {
        format!("{}/whip/{stream}", self.origin(n))
    }

    /// The sessions in `GET /whip-stats` of the nth gateway, by id.
    pub fn sessions(&self, n: usize) -> BTreeMap<String, Session> {
        whipcord::sessions(&self.origin(n), &self.token)
    }

    fn recordings_folder(&self, n: usize) -> PathBuf {
        self.folder.path().join(format!("recordings-{n}"))
    }

    /// All recordings of a stream, whichever worker made them.
    pub fn recordings(&self, stream: &str) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = (0..self.workers.len())
            .flat_map(|n| whipcord::recordings(&self.recordings_folder(n), stream))
            .collect();
        files.sort();
        files
    }

    pub fn gateway_log(&mut self, n: usize) -> String {
        running(&mut self.gateways, n).log()
    }

    pub fn worker_log(&mut self, n: usize) -> String {
        running(&mut self.workers, n).log()
    }

    /// Keys, certificates and recordings.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self::new()
    }
}

fn address([a, b, c]: [u8; 3], last: u8) -> IpAddr {
    Ipv4Addr::new(a, b, c, last).into()
}

fn place<R: serde::de::DeserializeOwned>(processes: &mut Vec<Option<Process>>, n: usize, command: &mut Command) {
    if processes.len() <= n {
        processes.resize_with(n + 1, || None);
    }
    // The one before is gone first: it has the address.
    processes[n] = None;
    let (process, _) = Process::start::<R>(command);
    processes[n] = Some(process);
}

#[track_caller]
fn running(processes: &mut [Option<Process>], n: usize) -> &mut Process {
    processes[n].as_mut().expect("it was started")
}
