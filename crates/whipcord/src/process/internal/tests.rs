use rustls::{HandshakeKind, pki_types::ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

fn name(role: Role) -> ServerName<'static> {
    tls::name(role, &"whipcord".parse().unwrap())
}

/// Certificates of both roles under one authority.
fn files(folder: &std::path::Path) -> Files {
    let mut authority = rcgen::CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::from_params(&authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names = ["gateway", "worker"].map(|role| format!("{role}.whipcord.whipcord.internal"));
    let leaf = rcgen::CertificateParams::new(names).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let write = |name: &str, pem: String| {
        let file = folder.join(name);
        std::fs::write(&file, pem).unwrap();
        file
    };
    Files {
        certificate: write("both.pem", leaf.pem()),
        key: write("both.key", key.serialize_pem()),
        authority: write("ca.pem", authority_certificate.pem()),
        name: name(Role::Gateway),
    }
}

/// A connection, and what the handshake was to each end.
async fn connect(server: Arc<rustls::ServerConfig>, client: Arc<rustls::ClientConfig>) -> [Option<HandshakeKind>; 2] {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let serve = async {
        let mut stream = TlsAcceptor::from(server).accept(far).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        stream.flush().await.unwrap();
        stream.get_ref().1.handshake_kind()
    };
    let ask = async {
        let mut stream = TlsConnector::from(client)
            .connect(name(Role::Gateway), near)
            .await
            .unwrap();
        // After what the server had to say of resumption.
        stream.read_exact(&mut [0]).await.unwrap();
        stream.get_ref().1.handshake_kind()
    };
    let (served, asked) = tokio::join!(serve, ask);
    [served, asked]
}

/// Neither end alone makes it so: the other may be of another version.
#[tokio::test]
async fn no_session_is_resumed_past_the_end_of_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (_, tls) = files(folder.path()).load().unwrap();
    let mut resuming_server = (*tls.server).clone();
    resuming_server.send_tls13_tickets = 2;
    resuming_server.session_storage = rustls::server::ServerSessionMemoryCache::new(8);
    let resuming_server = Arc::new(resuming_server);
    let mut resuming_client = (*tls.client).clone();
    resuming_client.resumption = rustls::client::Resumption::in_memory_sessions(8);
    let resuming_client = Arc::new(resuming_client);
    let full = [Some(HandshakeKind::Full); 2];
    for (server, client, second) in [
        (&tls.server, &resuming_client, full),
        (&resuming_server, &tls.client, full),
        // That the test could see it.
        (&resuming_server, &resuming_client, [Some(HandshakeKind::Resumed); 2]),
    ] {
        assert_eq!(connect(Arc::clone(server), Arc::clone(client)).await, full);
        assert_eq!(connect(Arc::clone(server), Arc::clone(client)).await, second);
    }
}

/// A listener that wants a handshake first, and serves nothing.
async fn serve(to: &'static [Role], security: Security) -> (SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, end) = (listener.local_addr().unwrap(), CancellationToken::new());
    let internal = Internal(Arc::new(security));
    tokio::spawn(internal.serve(listener, Routes::default(), to, end.clone()));
    (address, end)
}

#[tokio::test]
async fn silent_connections_from_one_address_do_not_hold_up_those_from_another() {
    let folder = tempfile::tempdir().unwrap();
    let (_, tls) = files(folder.path()).load().unwrap();
    let (_sender, receiver) = watch::channel(tls.clone());
    let security = Security::Tls {
        cluster: "whipcord".parse().unwrap(),
        tls: receiver,
    };
    let (address, _end) = serve(&[Role::Worker], security).await;
    let mut silent = Vec::new();
    let begun = tokio::time::Instant::now();
    // As many as would take all places five times over: 5 s pass until the last of them is thrown out.
    for _ in 0..5 * HANDSHAKES_MAX {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        silent.push(socket.connect(address).await.unwrap());
    }
    let stream = TcpStream::connect(address).await.unwrap();
    let connected = TlsConnector::from(tls.client)
        .connect(name(Role::Gateway), stream)
        .await;
    connected.unwrap();
    let took = begun.elapsed();
    assert!(took < 2 * CONNECT_MAX, "a handshake behind silent ones took {took:?}");
}

/// RFC 9113 §6.5.2.
const MAX_CONCURRENT_STREAMS: [u8; 2] = [0, 3];

#[tokio::test]
async fn a_workers_connection_carries_few_report_streams() {
    for (role, calls_max) in [
        (&[Role::Worker][..], 16_u32),
        (&[Role::Worker, Role::Controller], 16),
        (&[Role::Gateway], 1024),
    ] {
        let (address, _end) = serve(role, Security::ClearText).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let mut settings = vec![0; usize::from(head[2])];
        stream.read_exact(&mut settings).await.unwrap();
        let said = settings
            .chunks(6)
            .find(|setting| setting[..2] == MAX_CONCURRENT_STREAMS);
        assert_eq!(
            said.map(|setting| &setting[2..]),
            Some(&calls_max.to_be_bytes()[..]),
            "{role:?}"
        );
    }
}

/// What is seen of it depends on when a link is cut: just before a report, its silence would be noticed as soon.
#[tokio::test]
async fn a_worker_whose_host_acknowledges_nothing_is_given_up_soon_and_a_gateway_is_not() {
    let internal = Internal(Arc::new(Security::ClearText));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    const OF_A_GATEWAY: &[Role] = &[Role::Worker, Role::Controller];
    for (roles, most) in [(OF_A_GATEWAY, 800), (&[Role::Gateway], 0)] {
        let _far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let welcomed = internal.welcome(stream, roles).await.unwrap();
        let Either::Left(stream) = welcomed.stream else {
            panic!("it is in clear text");
        };
        assert_eq!(sockopt::tcp_user_timeout(&stream).unwrap(), most, "{roles:?}");
    }
}
