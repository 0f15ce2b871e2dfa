//! TCP listeners, and the sentence that says why there is none.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

/// Names the flag to change.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {purpose}: {error}; free it, or choose another with {flag}")]
pub(crate) struct Error {
    address: SocketAddr,
    purpose: &'static str,
    flag: &'static str,
    error: io::Error,
}

/// The listener, and the address that it got.
pub(crate) async fn listen(
    address: SocketAddr,
    purpose: &'static str,
    flag: &'static str,
) -> Result<(TcpListener, SocketAddr), Error> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound.await.map_err(|error| Error {
        address,
        purpose,
        flag,
        error,
    })
}
