//! A gateway, its worker and a client that writes its requests byte by byte.

use std::{
    net::SocketAddr,
    sync::{LazyLock, Mutex},
    time::{Duration, SystemTime},
};

use clap::Parser as _;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{
    body::Body,
    codegen::{Service, StdError, http},
    transport::{Channel, Endpoint, Server},
};
use tracing::Level;
use tracing_subscriber::{Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};
use whipcord_directory::{Directory, Hello, Lease, Lookup, Session, Timing};
use whipcord_gateway::{
    Authority, Config, Gateway, Listener, Workers,
    auth::{Pattern, Scope},
};
use whipcord_identity::{Incarnation, SessionId, SessionKeys, WorkerNumber};

use crate::{
    answer::{Answer, read_answer, read_head},
    worker::Worker,
};

pub(crate) const OFFER: &str = "v=0\r\n\
o=- 1 1 IN IP4 127.0.0.1\r\n\
s=-\r\n\
t=0 0\r\n\
a=group:BUNDLE 0 1\r\n\
a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r\n\
a=ice-ufrag:abcd\r\n\
a=ice-pwd:planted0offer0password0\r\n\
a=setup:actpass\r\n\
m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n\
c=IN IP4 0.0.0.0\r\n\
a=mid:0\r\n\
a=sendonly\r\n\
a=rtcp-mux\r\n\
a=rtpmap:111 opus/48000/2\r\n\
m=video 9 UDP/TLS/RTP/SAVPF 96\r\n\
c=IN IP4 0.0.0.0\r\n\
a=mid:1\r\n\
a=sendonly\r\n\
a=rtcp-mux\r\n\
a=rtpmap:96 H264/90000\r\n\
a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n";

pub(crate) const FRAGMENT: &str = "a=ice-ufrag:abcd\r\na=ice-pwd:planted0offer0password0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 UDP 1 192.0.2.1 5000 typ host\r\n";
pub(crate) const SDP: (&str, &str) = ("Content-Type", "application/sdp");
pub(crate) const SDP_FRAGMENT: (&str, &str) = ("Content-Type", "application/trickle-ice-sdpfrag");

pub(crate) struct Bed {
    pub(crate) address: SocketAddr,
    /// May publish everything.
    pub(crate) token: String,
    pub(crate) authority: Authority,
    pub(crate) directory: Directory,
    pub(crate) worker: Worker,
    /// To the gateway's DirectoryService.
    pub(crate) reports: Channel,
    /// To its ControllerService.
    pub(crate) controllers: Channel,
    pub(crate) shutdown: CancellationToken,
    pub(crate) gateway: Gateway,
}

/// A session as its encoder knows it.
pub(crate) struct Published {
    /// Path and hint.
    pub(crate) path: String,
    pub(crate) etag: String,
}

impl Published {
    pub(crate) fn sid(&self) -> &str {
        self.path.rsplit('/').next().unwrap().split('.').next().unwrap()
    }

    pub(crate) fn hint(&self) -> &str {
        self.path.rsplit_once('.').unwrap().1
    }

    pub(crate) fn without_hint(&self) -> &str {
        self.path.rsplit_once('.').unwrap().0
    }
}

/// Of which absence means nothing for so long. Leases are longer than a test: nobody beats for the bed's worker.
fn directory(rebuild: Duration) -> Directory {
    Directory::memory_with(Timing {
        rebuild,
        lease: Duration::from_secs(60),
        ..Timing::STANDARD
    })
}

impl Bed {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With one worker in the directory, and flags.
    pub(crate) async fn with(flags: &[&str]) -> Self {
        let bed = Self::without_worker(flags).await;
        bed.hello().await;
        bed
    }

    pub(crate) async fn with_authority(authority: Authority) -> Self {
        let bed = Self::serving(&[], authority, directory(Duration::ZERO)).await;
        bed.hello().await;
        bed
    }

    pub(crate) async fn without_worker(flags: &[&str]) -> Self {
        Self::serving(flags, Authority::ephemeral(SECRET), directory(Duration::ZERO)).await
    }

    /// With one worker in a directory of which absence means nothing for so long.
    pub(crate) async fn rebuilding(flags: &[&str], rebuild: Duration) -> Self {
        let directory = directory(rebuild);
        let bed = Self::serving(flags, Authority::ephemeral(SECRET), directory).await;
        bed.hello().await;
        bed
    }

    async fn serving(flags: &[&str], served: Authority, directory: Directory) -> Self {
        LazyLock::force(&LOG);
        let authority = Authority::ephemeral(SECRET);
        let token = mint(&authority, &["*"], Scope::Publish);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let worker = Worker::default();
        let workers = {
            let to_worker = pipe(worker.service());
            Workers::new(move |_| to_worker.clone())
        };
        let gateway = Gateway::start(
            config(flags),
            served,
            Listener {
                tcp: listener,
                tls: None,
            },
            directory.clone(),
            SessionKeys::generate([0x33; 32]),
            workers,
            shutdown.clone(),
        );
        let reports = pipe(gateway.directory_service());
        let controllers = pipe(gateway.controller_service());
        Self {
            address,
            token,
            authority,
            directory,
            worker,
            reports,
            controllers,
            shutdown,
            gateway,
        }
    }

    pub(crate) async fn hello(&self) -> Lease {
        self.hello_of(0).await
    }

    /// One more worker, behind the same pipe.
    pub(crate) async fn hello_of(&self, n: u8) -> Lease {
        self.hello_as(n, n).await
    }

    /// Another start of a worker.
    pub(crate) async fn hello_as(&self, n: u8, incarnation: u8) -> Lease {
        let hello = Hello {
            worker: format!("worker-{n}").parse().unwrap(),
            incarnation: Incarnation(incarnation.into()),
            number: WorkerNumber::new(incarnation.into()),
            address: "pipe:0".parse().unwrap(),
            sessions_max: 100,
        };
        self.directory.hello(hello).await.unwrap()
    }

    /// Who lives in a stream: of the sessions that were made, and of those that tests call by a number.
    pub(crate) async fn holders(&self, stream: &str) -> Vec<Session> {
        let created = self.worker.state().created.clone();
        let made = created
            .iter()
            .map(|request| request.session_id.as_slice().try_into().unwrap());
        let (stream, mut found) = (stream.parse().unwrap(), Vec::new());
        for sid in made.chain((0..32).map(|n| [n; 16])) {
            if let Lookup::Live(session) = self.directory.lookup(&stream, SessionId::new(sid)).await {
                found.push(session);
            }
        }
        found
    }

    /// Who has a stream.
    pub(crate) async fn holder(&self, stream: &str) -> Option<Session> {
        self.holders(stream).await.pop()
    }

    pub(crate) fn mint(&self, patterns: &[&str]) -> String {
        mint(&self.authority, patterns, Scope::Publish)
    }

    pub(crate) fn mint_with(&self, patterns: &[&str], scope: Scope) -> String {
        mint(&self.authority, patterns, scope)
    }

    pub(crate) async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        if !body.is_empty() {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        self.raw(method, &[head.as_bytes(), b"\r\n", body].concat()).await
    }

    /// Sends bytes on a connection of their own, and reads the one answer. `method` tells whether it has a body.
    pub(crate) async fn raw(&self, method: &str, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let (mut reading, mut writing) = stream.split();
        // A server may answer before it has read all.
        let write = async { writing.write_all(bytes).await };
        let (answer, _) = tokio::join!(read_answer(&mut reading, method), write);
        answer.expect("an answer")
    }

    /// The body of an answer that is too long or not to be trusted for [`Bed::request`], or how much of it came before the connection
    /// ended.
    pub(crate) async fn bytes(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Result<Vec<u8>, usize> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all((head + "\r\n").as_bytes()).await.unwrap();
        let (length, mut body) = read_head(&mut stream).await;
        while body.len() < length {
            if stream.read_buf(&mut body).await.unwrap_or(0) == 0 {
                return Err(body.len());
            }
        }
        Ok(body)
    }

    pub(crate) async fn bearer(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let authorization = format!("Bearer {}", self.token);
        let headers = [headers, &[("Authorization", authorization.as_str())]].concat();
        self.request(method, path, &headers, body).await
    }

    pub(crate) async fn post(&self, path: &str) -> Answer {
        self.bearer("POST", path, &[SDP], OFFER.as_bytes()).await
    }

    pub(crate) async fn publish(&self, stream: &str) -> Published {
        let answer = self.post(&format!("/whip/{stream}")).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let location = answer.header("location").unwrap();
        let path = location
            .strip_prefix(&format!("http://{}", self.address))
            .unwrap()
            .to_owned();
        Published {
            path,
            etag: answer.header("etag").unwrap(),
        }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.gateway.join().await;
    }
}

const SECRET: [u8; 32] = [0x77; 32];

/// All that all tests of this process logged.
pub(crate) fn log() -> String {
    String::from_utf8(LOG.lock().unwrap().clone()).unwrap()
}

/// Waits for what happens in the background.
pub(crate) async fn eventually(condition: impl Fn() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come true within 5 s");
}

static LOG: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(|| {
    struct Writer;
    impl std::io::Write for Writer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            LOG.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let levels = Targets::new()
        .with_default(Level::DEBUG)
        .with_target("whipcord_gateway", Level::TRACE);
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Writer);
    tracing_subscriber::registry().with(lines.with_filter(levels)).init();
    Mutex::default()
});

fn mint(authority: &Authority, patterns: &[&str], scope: Scope) -> String {
    let patterns: Vec<Pattern> = patterns.iter().map(|pattern| pattern.parse().unwrap()).collect();
    authority
        .mint(&patterns, scope, Duration::from_secs(3600), SystemTime::now())
        .unwrap()
}

fn config(flags: &[&str]) -> Config {
    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        config: Config,
    }
    Flags::parse_from([&["gateway"], flags].concat()).config
}

/// A gRPC service behind a pipe.
fn pipe<S>(service: S) -> Channel
where
    S: Service<http::Request<Body>, Response = http::Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<StdError> + Send,
{
    let (sender, receiver) = mpsc::channel::<DuplexStream>(8);
    let incoming = ReceiverStream::new(receiver).map(Ok::<_, std::io::Error>);
    tokio::spawn(Server::builder().serve_with_incoming(service, incoming));
    let connector = tower::service_fn(move |_| {
        let sender = sender.clone();
        async move {
            let (near, far) = tokio::io::duplex(64 * 1024);
            sender.send(far).await.map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>(TokioIo::new(near))
        }
    });
    Workers::bound(Endpoint::from_static("http://pipe")).connect_with_connector_lazy(connector)
}
