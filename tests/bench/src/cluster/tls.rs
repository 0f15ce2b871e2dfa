//! A worker's connections with gateways: TLS with certificates on both sides, as a cluster has it by default, and below that
//! a count of the bytes on the wire.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use anyhow::Context as _;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use tonic::transport::{Channel, Endpoint, server::Connected};

use super::gateway::Credentials;

/// As `whipcord worker` has them.
const CONNECT_MAX: Duration = Duration::from_secs(2);
const PING: Duration = Duration::from_secs(10);
const PONG_MAX: Duration = Duration::from_secs(5);

/// What a worker's certificate is good for.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: TlsConnector,
    acceptor: TlsAcceptor,
    gateway: ServerName<'static>,
}

/// Bytes of TCP between workers and gateways: TLS, HTTP/2 and gRPC are in them.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
}

/// A connection whose bytes are counted.
pub(crate) struct Counted {
    stream: TcpStream,
    traffic: Arc<Traffic>,
}

/// As the gRPC server takes it.
pub(crate) struct Accepted(Box<server::TlsStream<TcpStream>>);

impl Tls {
    pub(crate) fn load(credentials: &Credentials) -> anyhow::Result<Self> {
        let certificates = |name| -> anyhow::Result<Vec<CertificateDer<'static>>> {
            let read: Result<_, _> = CertificateDer::pem_file_iter(credentials.file(name))?.collect();
            Ok(read?)
        };
        let mut roots = RootCertStore::empty();
        for root in certificates("ca.pem")? {
            roots.add(root)?;
        }
        let (roots, chain) = (Arc::new(roots), certificates("worker.pem")?);
        let key = PrivateKeyDer::from_pem_file(credentials.file("worker.key"))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = [&rustls::version::TLS13];
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)?
            .with_client_cert_verifier(verifier.build()?)
            .with_single_cert(chain.clone(), key.clone_key())?;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        server.alpn_protocols = vec![b"h2".to_vec()];
        client.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self {
            connector: TlsConnector::from(Arc::new(client)),
            acceptor: TlsAcceptor::from(Arc::new(server)),
            gateway: ServerName::try_from("gateway.whipcord.whipcord.internal").context("a name")?,
        })
    }

    /// A channel of its own, which connects when it is used.
    pub(crate) fn dial(&self, address: SocketAddr, traffic: &Arc<Traffic>) -> Channel {
        let (tls, traffic) = (self.clone(), Arc::clone(traffic));
        let connector = tower::service_fn(move |_| {
            let (tls, traffic) = (tls.clone(), Arc::clone(&traffic));
            async move {
                let connecting = timeout(CONNECT_MAX, tls.connect(address, traffic)).await;
                connecting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            }
        });
        Endpoint::from_static("http://whipcord")
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PONG_MAX)
            .keep_alive_while_idle(true)
            .connect_with_connector_lazy(connector)
    }

    async fn connect(
        &self,
        address: SocketAddr,
        traffic: Arc<Traffic>,
    ) -> io::Result<TokioIo<Box<client::TlsStream<Counted>>>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let counted = Counted { stream, traffic };
        let stream = self.connector.connect(self.gateway.clone(), counted).await?;
        Ok(TokioIo::new(Box::new(stream)))
    }

    /// A gateway that calls.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Accepted> {
        stream.set_nodelay(true)?;
        Ok(Accepted(Box::new(self.acceptor.accept(stream).await?)))
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let read = buffer.filled().len() - before;
        self.traffic.received.fetch_add(read as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.traffic.sent.fetch_add(written as u64, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connected for Accepted {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl AsyncRead for Accepted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
