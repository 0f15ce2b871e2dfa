//! Step 2: a TCP connection to each address. Refused and timed out are two faults, with two cures.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, task::JoinSet};

use super::report::{Finding, Step, Verdict};

/// A SYN is sent again after 1 s and 3 s: a path that lost two of them has had its chance.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) enum Outcome {
    Connected(Duration),
    Refused,
    Silent,
    Failed(io::Error),
}

/// All at once, in the order given.
pub(super) async fn connect(addresses: &[SocketAddr]) -> Vec<(SocketAddr, Outcome)> {
    let mut attempts = JoinSet::new();
    for (n, address) in addresses.iter().copied().enumerate() {
        attempts.spawn(async move { (n, address, attempt(address).await) });
    }
    let mut outcomes = attempts.join_all().await;
    outcomes.sort_by_key(|(n, ..)| *n);
    outcomes
        .into_iter()
        .map(|(_, address, outcome)| (address, outcome))
        .collect()
}

async fn attempt(address: SocketAddr) -> Outcome {
    let started = Instant::now();
    match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Outcome::Connected(started.elapsed()),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Outcome::Refused,
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => Outcome::Silent,
        Ok(Err(error)) => Outcome::Failed(error),
        Err(_) => Outcome::Silent,
    }
}

/// The first that connected.
pub(super) fn reached(outcomes: &[(SocketAddr, Outcome)]) -> Option<SocketAddr> {
    let connected = outcomes
        .iter()
        .find(|(_, outcome)| matches!(outcome, Outcome::Connected(_)));
    connected.map(|(address, _)| *address)
}

/// An address that is not reached is a failure only where no other is.
pub(super) fn said(outcomes: &[(SocketAddr, Outcome)]) -> Vec<Finding> {
    let lost = if reached(outcomes).is_some() {
        Verdict::Warn
    } else {
        Verdict::Fail
    };
    let said = |(address, outcome): &(SocketAddr, Outcome)| {
        match outcome {
        Outcome::Connected(took) => Step::Tcp.ok(format!("{address} connects in {:.1} ms", took.as_secs_f64() * 1000.0)),
        Outcome::Refused => Step::Tcp.finding(
            lost,
            format!(
                "{address} refuses: nothing listens there, or a firewall rejects it; check the URL's port, that the server \
                 runs, and its --http"
            ),
        ),
        Outcome::Silent => Step::Tcp.finding(
            lost,
            format!(
                "{address} does not answer within {} s: a firewall drops it, or the host is down; open TCP port {}",
                CONNECT_TIMEOUT.as_secs(),
                address.port()
            ),
        ),
        Outcome::Failed(cause) if address.is_ipv6() => Step::Tcp.finding(
            lost,
            format!("{address} cannot be reached from here ({cause}): this machine may have no IPv6 to the outside"),
        ),
        Outcome::Failed(cause) => Step::Tcp.finding(
            lost,
            format!("{address} cannot be reached from here ({cause}): check the network of this machine, and the address"),
        ),
    }
    };
    outcomes.iter().map(said).collect()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn lines(outcomes: Vec<(&str, Outcome)>) -> Vec<String> {
        let outcomes: Vec<_> = outcomes
            .into_iter()
            .map(|(address, outcome)| (address.parse().unwrap(), outcome))
            .collect();
        said(&outcomes).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn one_that_connects_is_enough_and_the_others_are_named() {
        let some = lines(vec![
            ("203.0.113.5:443", Outcome::Connected(Duration::from_micros(12_340))),
            ("203.0.113.6:443", Outcome::Refused),
            (
                "[2001:db8::5]:443",
                Outcome::Failed(io::Error::other("Network is unreachable")),
            ),
        ]);
        assert_eq!(
            some,
            [
                "ok    tcp   203.0.113.5:443 connects in 12.3 ms",
                "warn  tcp   203.0.113.6:443 refuses: nothing listens there, or a firewall rejects it; check the URL's \
                 port, that the server runs, and its --http",
                "warn  tcp   [2001:db8::5]:443 cannot be reached from here (Network is unreachable): this machine may have \
                 no IPv6 to the outside",
            ]
        );
        let none = lines(vec![("203.0.113.5:443", Outcome::Silent)]);
        assert_eq!(
            none,
            [
                "FAIL  tcp   203.0.113.5:443 does not answer within 5 s: a firewall drops it, or the host is down; open \
                 TCP port 443"
            ]
        );
    }

    #[tokio::test]
    async fn a_listener_connects_and_a_closed_port_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let outcomes = connect(&[closed, open]).await;
        assert!(matches!(
            outcomes[..],
            [(_, Outcome::Refused), (_, Outcome::Connected(_))]
        ));
        assert_eq!(reached(&outcomes), Some(open));
    }
}
