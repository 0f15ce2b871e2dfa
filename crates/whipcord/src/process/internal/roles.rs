//! Who is let in, by the files of keygen.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    path::Path,
    task::{Context, Poll},
};

use tonic::{Code, Request, Status, body::Body, server::NamedService};
use tower::Service;

use super::*;
use crate::{commands::keygen, process::keys::now};

fn internal(folder: &Path, role: &str, own: Role) -> Result<Internal, Error> {
    let file = |name: String| Some(folder.join(name));
    let config = Config {
        internal_cert: file(format!("{role}.pem")),
        internal_key: file(format!("{role}.key")),
        internal_ca: file("ca.pem".to_owned()),
        insecure_internal: false,
    };
    Internal::open(&config, own, &cluster(), CancellationToken::new())
}

fn cluster() -> ClusterId {
    "prod".parse().unwrap()
}

/// How a gateway that awaits workers judges whoever dials it.
async fn judged(gateway: &Internal, caller: Internal) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let addresses = Addresses::new([&address.to_string().parse().unwrap()]);
    let calling = tokio::spawn(async move {
        let connected = caller.connect(&addresses, Role::Gateway).await;
        assert_eq!(addresses.last(), Some(address));
        connected
    });
    let (stream, _) = listener.accept().await.unwrap();
    let welcomed = gateway.welcome(stream, &[Role::Worker]).await.map(drop);
    assert!(calling.await.unwrap().is_ok(), "TLS 1.3: the caller hears of it later");
    welcomed
}

#[tokio::test]
async fn a_certificate_of_the_authority_is_not_enough_it_is_of_the_role() {
    let folder = tempfile::tempdir().unwrap();
    keygen::make(folder.path(), &cluster(), now()).unwrap();
    let gateway = internal(folder.path(), "gateway", Role::Gateway).unwrap();
    assert!(
        judged(&gateway, internal(folder.path(), "worker", Role::Worker).unwrap())
            .await
            .is_ok()
    );
    let refused = judged(&gateway, gateway.clone()).await.unwrap_err().to_string();
    assert_eq!(refused, "its certificate is not of worker.prod.whipcord.internal");
}

/// What [`Named`] answers whoever gets to it.
const ASKED: Code = Code::DataLoss;

/// One of two services.
#[derive(Clone)]
struct Named<const N: u8>;

impl<const N: u8> NamedService for Named<N> {
    const NAME: &'static str = ["a.A", "b.B"][N as usize];
}

impl<const N: u8> Service<http::Request<Body>> for Named<N> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        ready(Ok(Status::new(ASKED, "").into_http()))
    }
}

/// A gateway lets both in by one door.
#[tokio::test]
async fn a_service_for_one_role_is_refused_to_another() {
    let folder = tempfile::tempdir().unwrap();
    keygen::make(folder.path(), &cluster(), now()).unwrap();
    let gateway = internal(folder.path(), "gateway", Role::Gateway).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: WorkerAddress = listener.local_addr().unwrap().to_string().parse().unwrap();
    let routes = Routes::new(only(Role::Worker, Named::<0>)).add_service(only(Role::Controller, Named::<1>));
    let end = CancellationToken::new();
    tokio::spawn(gateway.serve(listener, routes, &[Role::Worker, Role::Controller], end.clone()));
    for (role, own, expected) in [
        ("worker", Role::Worker, [ASKED, Code::PermissionDenied]),
        ("controller", Role::Controller, [Code::PermissionDenied, ASKED]),
    ] {
        let caller = internal(folder.path(), role, own).unwrap();
        let addresses = Arc::new(Addresses::new([&address]));
        let channel = caller.dial(endpoint(), addresses, Role::Gateway);
        for (service, expected) in ["/a.A/Ask", "/b.B/Ask"].into_iter().zip(expected) {
            let mut grpc = tonic::client::Grpc::new(channel.clone());
            grpc.ready().await.unwrap();
            let codec = tonic_prost::ProstCodec::<(), ()>::default();
            let answer = grpc.unary(Request::new(()), service.parse().unwrap(), codec).await;
            assert_eq!(answer.unwrap_err().code(), expected, "{role} asks {service}");
        }
    }
    end.cancel();
}

/// A certificate of keygen holds for a year.
#[tokio::test]
async fn a_certificate_is_good_until_its_end_and_no_longer() {
    const DAY: u64 = 24 * 3600;
    let made = |ago: u64| {
        let folder = tempfile::tempdir().unwrap();
        let made = now() - ago;
        keygen::make(folder.path(), &cluster(), made).unwrap();
        (made + 365 * DAY, internal(folder.path(), "worker", Role::Worker))
    };
    let (end, opened) = made(340 * DAY);
    let Security::Tls { ref tls, .. } = *opened.unwrap().0 else {
        panic!("in clear text")
    };
    assert_eq!(tls.borrow().until.as_secs(), end);
    let (end, opened) = made(366 * DAY);
    let sentence = opened.unwrap_err().to_string();
    let expected = format!(
        "worker.pem ended on {}: whipcord keygen --renew makes another",
        super::super::clock::day(end)
    );
    assert!(sentence.ends_with(&expected), "{sentence}");
}
