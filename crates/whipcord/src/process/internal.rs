//! gRPC between gateways, workers and controllers: served and dialled over TLS with certificates on both sides, or in clear text if the
//! operator says so. A role is known by the name in its certificate, `{role}.{cluster}.whipcord.internal`.

mod callers;
mod connection;
mod tls;
mod validity;

use std::{
    io,
    net::SocketAddr,
    num::NonZeroU32,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use governor::{Quota, RateLimiter};
use hyper_util::rt::TokioIo;
use rustix::net::sockopt;
use tokio::{
    net::{TcpListener, TcpStream, lookup_host},
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::{either::Either, sync::CancellationToken};
use tonic::{
    service::Routes,
    transport::{Channel, Endpoint, Server},
};
use tracing::{debug, error, warn};
use whipcord_identity::{ClusterId, WorkerAddress};

use super::{places::Places, reload};
use connection::Connection;
use tls::{Files, Tls};

pub(crate) use callers::only;

/// How gateways, workers and controllers reach each other
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Config {
    /// Certificate by which gateways, workers and controllers know each other, PEM
    #[arg(long, env = "WHIPCORD_INTERNAL_CERT", value_name = "FILE")]
    internal_cert: Option<PathBuf>,
    /// Key of --internal-cert, PEM
    #[arg(long, env = "WHIPCORD_INTERNAL_KEY", value_name = "FILE")]
    internal_key: Option<PathBuf>,
    /// Certificate of the authority that signed all of these, PEM
    #[arg(long, env = "WHIPCORD_INTERNAL_CA", value_name = "FILE")]
    internal_ca: Option<PathBuf>,
    /// Let gateways, workers and controllers speak to each other in clear text, without certificates
    #[arg(long, env = "WHIPCORD_INSECURE_INTERNAL", conflicts_with_all = ["internal_cert", "internal_key", "internal_ca"])]
    insecure_internal: bool,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Gateway,
    Worker,
    Controller,
}

impl Role {
    /// For how long bytes to one of them may stay unacknowledged by its host, before the connection is given up: the kernel's own limit
    /// is a quarter of an hour. A worker's acknowledgements each second lead to it where only the way to it is cut: its next report comes
    /// within 1 s and is answered within 0.2 s, after 0.8 s it is given nothing more, and 0.5 s later all gateways know: 2.5 s. TCP repeats
    /// a lost packet after 0.2 s, so that three in a row are lost by then, and a process that stands still has a kernel that acknowledges.
    /// A gateway reads a recording as slowly as its client, so calls have deadlines of their own.
    fn unacknowledged_max(self) -> Option<Duration> {
        match self {
            Self::Gateway | Self::Controller => None,
            Self::Worker => Some(Duration::from_millis(800)),
        }
    }

    /// What one of them may have under way on one connection.
    fn calls_max(self) -> u32 {
        match self {
            Self::Gateway => CALLS_MAX,
            // A controller says one thing after the other.
            Self::Worker | Self::Controller => REPORTS_MAX,
        }
    }
}

/// The means for both directions. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Internal(Arc<Security>);

#[derive(Debug)]
enum Security {
    ClearText,
    Tls {
        cluster: ClusterId,
        tls: watch::Receiver<Tls>,
    },
}

/// Whom to dial: any of these.
#[derive(Debug)]
pub(crate) struct Addresses {
    names: Box<[String]>,
    /// The one dialled last, for whoever has to say what did not work. Owned by the `Addresses`; held for one copy.
    last: Mutex<Option<SocketAddr>>,
}

/// Why gateways and workers cannot speak to each other.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "gateways, workers and controllers need certificates for each other: give --internal-cert, --internal-key and --internal-ca \
         (whipcord keygen makes them), or --insecure-internal where nobody else reaches their network"
    )]
    Missing,
    #[error(transparent)]
    Certificates(#[from] tls::Error),
}

/// Handshakes at once: of all workers of a cluster when a gateway comes back, a batch. Each is some 1 ms of CPU, and what else goes on
/// waits for a core meanwhile: 64 ms, and not the 500 after which Redis is taken for lost. A quarter of them from one address, which
/// says nothing for [`CONNECT_MAX`] each: who is refused comes again.
const HANDSHAKES_MAX: usize = 64;
/// For a connection, TLS included; inside one data centre it takes milliseconds.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// A connection without traffic is asked this often whether the other end is there.
const PING: Duration = Duration::from_secs(10);
const PONG_MAX: Duration = Duration::from_secs(5);
/// Calls at once on one connection: far above what one gateway asks of one worker.
const CALLS_MAX: u32 = 1024;
/// A worker has one report stream, and for a moment the one before that. Each that says hello is a row in the directory.
const REPORTS_MAX: u32 = 16;
/// Shortages of descriptors or memory take a moment to pass.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);
/// Log lines about refused connections per second: a flood of them is no flood of the log.
const LOG_LINES: NonZeroU32 = NonZeroU32::new(5).expect("not zero");
/// Connections accepted and not yet taken by the server, which takes them at once.
const ACCEPTED_MAX: usize = 16;

impl Internal {
    /// Reads the files of this role's process, and again whenever they change.
    pub(crate) fn open(
        config: &Config,
        own: Role,
        cluster: &ClusterId,
        shutdown: CancellationToken,
    ) -> Result<Self, Error> {
        let security = match (&config.internal_cert, &config.internal_key, &config.internal_ca) {
            (Some(certificate), Some(key), Some(authority)) => {
                let files = Files {
                    certificate: certificate.clone(),
                    key: key.clone(),
                    authority: authority.clone(),
                    name: tls::name(own, cluster),
                };
                let tls = reload::load("the internal certificate", shutdown.clone(), move || files.load())?;
                validity::watch(tls.clone(), shutdown);
                Security::Tls {
                    cluster: cluster.clone(),
                    tls,
                }
            }
            (None, None, None) if config.insecure_internal => {
                warn!("gateways and workers speak in clear text (--insecure-internal)");
                Security::ClearText
            }
            _ => return Err(Error::Missing),
        };
        Ok(Self(Arc::new(security)))
    }

    /// Serves `routes` to these roles, until `shutdown`; then calls in flight end. What is for one of several alone is said with [`only`].
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        routes: Routes,
        to: &'static [Role],
        shutdown: CancellationToken,
    ) {
        let (accepted, incoming) = mpsc::channel(ACCEPTED_MAX);
        tokio::spawn(
            shutdown
                .clone()
                .run_until_cancelled_owned(self.accept(listener, to, accepted)),
        );
        let server = Server::builder()
            .http2_keepalive_interval(Some(PING))
            .http2_keepalive_timeout(Some(PONG_MAX))
            .max_concurrent_streams(to.iter().map(|role| role.calls_max()).max())
            .add_routes(routes)
            .serve_with_incoming_shutdown(ReceiverStream::new(incoming), shutdown.cancelled_owned());
        if let Err(error) = server.await {
            error!(%error, "the gRPC server ended");
        }
    }

    async fn accept(
        self,
        listener: TcpListener,
        from: &'static [Role],
        accepted: mpsc::Sender<io::Result<Connection>>,
    ) {
        let places = Places::new(HANDSHAKES_MAX);
        let log_lines = Arc::new(RateLimiter::direct(Quota::per_second(LOG_LINES)));
        loop {
            let vacancy = places.vacancy().await;
            let (stream, peer) = match listener.accept().await {
                Ok(connection) => connection,
                Err(error) => {
                    warn!(%error, "cannot accept an internal connection");
                    sleep(PAUSE_AFTER_ERROR).await;
                    continue;
                }
            };
            let Some(place) = vacancy.take(peer.ip()) else {
                debug!(%peer, "refused an internal connection: this address has as many handshakes under way as it may");
                continue;
            };
            let (internal, accepted, log_lines) = (self.clone(), accepted.clone(), Arc::clone(&log_lines));
            tokio::spawn(async move {
                match timed(internal.welcome(stream, from)).await {
                    // The server is gone only at shutdown.
                    Ok(connection) => drop(accepted.send(Ok(connection)).await),
                    Err(error) if log_lines.check().is_ok() => warn!(%peer, %error, "refused an internal connection"),
                    Err(_) => {}
                }
                drop(place);
            });
        }
    }

    /// The handshake, and who it is: a certificate of our authority is not enough, it must be of the right role.
    async fn welcome(&self, stream: TcpStream, from: &[Role]) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        // Before it is known who it is of these: a controller that is cut off dials again.
        if let Some(limit) = from.iter().filter_map(|role| role.unacknowledged_max()).min() {
            sockopt::set_tcp_user_timeout(&stream, limit.as_millis() as u32)?;
        }
        let Security::Tls { cluster, tls } = &*self.0 else {
            return Ok(Connection::new(Either::Left(stream), from.to_vec()));
        };
        let acceptor = TlsAcceptor::from(tls.borrow().server.clone());
        let stream = acceptor.accept(stream).await?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = certificate.and_then(|certificate| webpki::EndEntityCert::try_from(certificate).ok());
        let mut named = from.to_vec();
        named.retain(|role| {
            let name = tls::name(*role, cluster);
            let certificate = certificate.as_ref();
            certificate.is_some_and(|certificate| certificate.verify_is_valid_for_subject_name(&name).is_ok())
        });
        if named.is_empty() {
            let names = from.iter().map(|role| tls::name(*role, cluster).to_str().into_owned());
            let names: Vec<String> = names.collect();
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("its certificate is not of {}", names.join(" or ")),
            ));
        }
        Ok(Connection::new(Either::Right(Box::new(stream)), named))
    }

    /// A channel to one of these addresses, another one each time it connects. It connects when it is used.
    pub(crate) fn dial(&self, endpoint: Endpoint, addresses: Arc<Addresses>, to: Role) -> Channel {
        let internal = self.clone();
        let connector = tower::service_fn(move |_| {
            let (internal, addresses) = (internal.clone(), Arc::clone(&addresses));
            async move { internal.connect(&addresses, to).await }
        });
        endpoint.connect_with_connector_lazy(connector)
    }

    async fn connect(&self, addresses: &Addresses, to: Role) -> io::Result<TokioIo<connection::Dialled>> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
        for address in resolve(&addresses.names).await? {
            addresses.set_last(address);
            match timed(self.connect_to(address, to)).await {
                Ok(stream) => return Ok(TokioIo::new(stream)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_to(&self, address: SocketAddr, to: Role) -> io::Result<connection::Dialled> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let Security::Tls { cluster, tls } = &*self.0 else {
            return Ok(Either::Left(stream));
        };
        let connector = TlsConnector::from(tls.borrow().client.clone());
        let name = tls::name(to, cluster);
        Ok(Either::Right(Box::new(connector.connect(name, stream).await?)))
    }
}

impl Addresses {
    pub(crate) fn new<'a>(addresses: impl IntoIterator<Item = &'a WorkerAddress>) -> Self {
        Self {
            names: addresses.into_iter().map(ToString::to_string).collect(),
            last: Mutex::default(),
        }
    }

    pub(crate) fn last(&self) -> Option<SocketAddr> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_last(&self, address: SocketAddr) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }
}

/// What channels have in common.
pub(crate) fn endpoint() -> Endpoint {
    // The name is for HTTP/2's :authority only.
    Endpoint::from_static("http://whipcord")
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PONG_MAX)
        .keep_alive_while_idle(true)
}

/// All that the names stand for, in an order of chance.
async fn resolve(addresses: &[String]) -> io::Result<Vec<SocketAddr>> {
    let mut found = Vec::new();
    let mut failed = None;
    for address in addresses {
        match lookup_host(address.as_str()).await {
            Ok(resolved) => found.extend(resolved),
            Err(error) => failed = Some(error),
        }
    }
    if let (true, Some(error)) = (found.is_empty(), failed) {
        return Err(error);
    }
    for last in (1..found.len()).rev() {
        let random = u64::from_ne_bytes(super::random());
        found.swap(last, (random % (last as u64 + 1)) as usize);
    }
    Ok(found)
}

async fn timed<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(CONNECT_MAX, step)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod roles;
#[cfg(test)]
mod tests;
