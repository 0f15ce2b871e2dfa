//! TCP listeners, and the sentence that says why there is none.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

/// Names the flag to change.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {purpose}: {error}; {}choose another with {flag}", advice(.error))]
pub(crate) struct Error {
    address: SocketAddr,
    purpose: &'static str,
    flag: &'static str,
    error: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "free it, or ",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: ",
        _ => "",
    }
}

/// A listener's address from the command line.
pub(crate) fn address(text: &str) -> Result<SocketAddr, AddressError> {
    text.parse().map_err(|_| AddressError)
}

#[derive(Debug, thiserror::Error)]
#[error("it is IP:PORT, as in 0.0.0.0:8080")]
pub(crate) struct AddressError;

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
