//! The least that answers a POST: hyper, with the same answer, which looks at nothing. What a gateway costs beyond it is its own.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::ANSWER;
use crate::server::{say, wait_for_end};

/// As a session's URL is long.
const LOCATION: &str =
    "/whip/bench/1/AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

pub(crate) fn serve() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        say("address", listener.local_addr()?.to_string())?;
        tokio::spawn(accept(listener));
        Ok(tokio::task::spawn_blocking(wait_for_end).await?)
    })
}

async fn accept(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let _ = request.into_body().collect().await;
    let mut response = Response::new(Full::from(ANSWER));
    *response.status_mut() = hyper::StatusCode::CREATED;
    let location = hyper::header::HeaderValue::from_static(LOCATION);
    response.headers_mut().insert(hyper::header::LOCATION, location);
    Ok(response)
}
