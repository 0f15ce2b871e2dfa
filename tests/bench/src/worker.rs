//! Our worker, whole: the RPC service, the shard, its socket, and no sink. An offer is POSTed to it by a few lines of HTTP.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Context;
use axum::{Router, extract::State, routing::post};
use hyper_util::rt::TokioIo;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use whipcord_identity::IceKeys;
use whipcord_proto::worker::{
    CreateSessionRequest, ListSessionsRequest, Owner, worker_service_client::WorkerServiceClient,
};
use whipcord_whip::{Codec, DataPolicy};
use whipcord_worker::{Config, Gateways, Identity, Worker};

use crate::{
    observed,
    server::{say, wait_for_end},
};

#[derive(Clone)]
struct Front {
    client: WorkerServiceClient<Channel>,
    owner: Owner,
    next: Arc<AtomicU64>,
}

/// Sends traces and metrics where a collector is named.
pub(crate) fn serve(collector: Option<SocketAddr>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let _sending = collector.map(observed::send_to).transpose()?;
        let config = Config {
            media: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertise: vec![],
            recordings: None,
            codecs: vec![Codec::Vp8],
            stream_metrics: 0,
            sessions_max: 10_000,
            data_channel: DataPolicy::Accept,
        };
        let identity = Identity {
            cluster_id: "bench".parse()?,
            worker: "bench".parse()?,
            ice_keys: IceKeys::generate([3; 32]),
            address: "bench:0".parse()?,
        };
        let stop = CancellationToken::new();
        let nowhere = Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
        let worker = Worker::start(config, identity, Gateways::new(move || nowhere.clone()), stop.clone()).await?;
        let owner = Owner {
            worker_id: "bench".to_owned(),
            incarnation: worker.incarnation().0,
            epoch: 1,
        };
        let client = WorkerServiceClient::new(pipe(&worker)?);
        let front = Front {
            client: client.clone(),
            owner,
            next: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        say("address", listener.local_addr()?.to_string())?;
        let app = Router::new().route("/", post(create)).with_state(front);
        tokio::spawn(async move { axum::serve(listener, app).await });
        tokio::task::spawn_blocking(wait_for_end).await?;
        say("received", received(client).await?)?;
        stop.cancel();
        worker.join().await;
        Ok(())
    })
}

fn pipe(worker: &Worker) -> anyhow::Result<Channel> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    // A server whose connections can only run out says goodbye on the last.
    let incoming = tokio_stream::once(Ok::<_, std::io::Error>(far)).chain(tokio_stream::pending());
    let server = tonic::transport::Server::builder();
    tokio::spawn(server.serve_with_incoming_shutdown(worker.service(), incoming, std::future::pending()));
    let mut near = Some(near);
    Ok(
        Endpoint::from_static("http://pipe").connect_with_connector_lazy(tower::service_fn(move |_| {
            let near = near.take().context("the pipe is opened once");
            async move { near.map(TokioIo::new).map_err(std::io::Error::other) }
        })),
    )
}

async fn create(State(front): State<Front>, offer: String) -> Result<String, String> {
    let mut session_id = vec![0; 8];
    session_id.extend(front.next.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    let request = CreateSessionRequest {
        session_id,
        stream: "bench".to_owned(),
        offer: offer.into_bytes(),
        owner: Some(front.owner),
        ..CreateSessionRequest::default()
    };
    let response = front
        .client
        .clone()
        .create_session(request)
        .await
        .map_err(|status| status.to_string())?;
    Ok(response.into_inner().answer)
}

async fn received(mut client: WorkerServiceClient<Channel>) -> anyhow::Result<u64> {
    let mut received = 0;
    let mut page_token = String::new();
    loop {
        let request = ListSessionsRequest {
            page_size: 0,
            page_token,
            owner: None,
        };
        let page = client.list_sessions(request).await?.into_inner();
        received += page
            .sessions
            .iter()
            .map(|session| session.packets_received)
            .sum::<u64>();
        if page.next_page_token.is_empty() {
            return Ok(received);
        }
        page_token = page.next_page_token;
    }
}
