//! Step 6: every candidate of the answer gets an ICE check of its own, and what comes back is put into words.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::UdpSocket,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{
    answer::Candidate,
    offer::{OwnError, random},
    place::Place,
    report::{Finding, Step, Verdict},
    stun::{Check, Reply, Transaction, is_translated},
};

/// One lost datagram, or two, is no firewall.
const TRIES: usize = 5;
/// The first of RFC 8489 §6.2.1, not doubled: who asks waits for the answer.
const TRY_INTERVAL: Duration = Duration::from_millis(500);
/// The fifth try goes out after 2 s, and has 1 s: twice round the world.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);
/// More than any path's MTU lets through unfragmented.
const DATAGRAM_MAX: usize = 1500;

#[derive(Debug)]
pub(super) enum Outcome {
    Answered {
        after: Duration,
        /// Ours, as this machine has it.
        local: SocketAddr,
        /// Ours, as the server sees it.
        mapped: Option<SocketAddr>,
    },
    /// By ICMP: the host is there, and nothing has the port.
    Refused,
    Silent,
    /// Something came, but no answer to our check.
    Wrong(Reply),
    /// Nothing could be sent.
    Unroutable(io::Error),
    /// Not sent to: an address or a name that no encoder could send to either.
    Unfit,
}

/// Probes all at once. `server`: where HTTP is.
pub(super) async fn probe(check: &Arc<Check>, candidates: &[Candidate], server: Place) -> Vec<(Candidate, Outcome)> {
    let mut probes = JoinSet::new();
    for (n, candidate) in candidates.iter().cloned().enumerate() {
        let check = Arc::clone(check);
        probes.spawn(async move {
            let outcome = match candidate {
                Candidate::Udp(address) if is_fit(address, server) => {
                    ask(&check, address).await.unwrap_or_else(Outcome::Unroutable)
                }
                _ => Outcome::Unfit,
            };
            (n, candidate, outcome)
        });
    }
    let mut outcomes = probes.join_all().await;
    outcomes.sort_by_key(|(n, ..)| *n);
    outcomes
        .into_iter()
        .map(|(_, candidate, outcome)| (candidate, outcome))
        .collect()
}

/// Loopback of a server that is elsewhere would be this machine's own.
fn is_fit(address: SocketAddr, server: Place) -> bool {
    address.port() != 0
        && match Place::of(address.ip()) {
            Place::Nowhere => false,
            Place::Loopback => server <= Place::Loopback,
            Place::LinkLocal | Place::Private | Place::Public => true,
        }
}

/// Sends up to [`TRIES`] checks, each a transaction of its own so that its answer tells the round trip.
async fn ask(check: &Check, address: SocketAddr) -> io::Result<Outcome> {
    let any = match address.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    // Connected: what others send is not seen, and ICMP is.
    socket.connect(address).await?;
    let local = socket.local_addr()?;
    let start = Instant::now();
    let mut asked: Vec<(Transaction, Instant)> = Vec::new();
    let mut wrong = None;
    let mut buffer = [0; DATAGRAM_MAX];
    loop {
        let now = Instant::now();
        let next = start + TRY_INTERVAL * asked.len() as u32;
        if asked.len() < TRIES && now >= next {
            let transaction = random().map_err(|error: OwnError| io::Error::other(error))?;
            let request = check.request(transaction).map_err(io::Error::other)?;
            match socket.send(&request).await {
                Ok(_) => asked.push((transaction, Instant::now())),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(Outcome::Refused),
                Err(error) => return Err(error),
            }
            continue;
        }
        let until = if asked.len() < TRIES {
            next
        } else {
            start + CHECK_TIMEOUT
        };
        match timeout_at(until, socket.recv(&mut buffer)).await {
            Ok(Ok(len)) => {
                let transactions: Vec<Transaction> = asked.iter().map(|(transaction, _)| *transaction).collect();
                match check.read(&buffer[..len], &transactions) {
                    Reply::Success { n, mapped } => {
                        let after = asked[n].1.elapsed();
                        return Ok(Outcome::Answered { after, local, mapped });
                    }
                    // What says most about the fault is kept: a foreign datagram may be the server's own check.
                    Reply::Foreign => wrong = wrong.or(Some(Reply::Foreign)),
                    reply => wrong = Some(reply),
                }
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(Outcome::Refused),
            Ok(Err(error)) => return Err(error),
            Err(_) if asked.len() < TRIES => {}
            Err(_) => return Ok(wrong.map_or(Outcome::Silent, Outcome::Wrong)),
        }
    }
}

/// A candidate that does not answer is a failure only where no other does.
pub(super) fn said(outcomes: &[(Candidate, Outcome)], server: Place) -> Vec<Finding> {
    if outcomes.is_empty() {
        return vec![Step::Stun.fail(
            "the answer names no address for media, so that no encoder can send any: set --advertise on the server",
        )];
    }
    let is_answered = outcomes
        .iter()
        .any(|(_, outcome)| matches!(outcome, Outcome::Answered { .. }));
    let lost = if is_answered { Verdict::Warn } else { Verdict::Fail };
    let said = |(candidate, outcome): &(Candidate, Outcome)| match candidate {
        Candidate::Udp(address) => said_of(*address, outcome, server, lost),
        Candidate::Tcp(address) => Step::Stun.finding(
            if is_answered { Verdict::Skipped } else { Verdict::Fail },
            format!("{address} is for media over TCP, which was not tried: OBS and FFmpeg send over UDP alone"),
        ),
        Candidate::Named(name) => Step::Stun.finding(
            lost,
            format!(
                "{name} is a name in place of an address, which most encoders leave out: set --advertise to an address"
            ),
        ),
    };
    outcomes.iter().map(said).collect()
}

fn said_of(address: SocketAddr, outcome: &Outcome, server: Place, lost: Verdict) -> Finding {
    let (ip, port) = (address.ip(), address.port());
    let place = Place::of(ip);
    let fault = fault(address, place, server);
    let lost = |words: String| match &fault {
        Some(fault) => Step::Stun.finding(lost, format!("{words}; {fault}")),
        None => Step::Stun.finding(lost, words),
    };
    match outcome {
        Outcome::Answered { after, local, mapped } => {
            let found = format!(
                "{address} answers in {:.1} ms, {}",
                after.as_secs_f64() * 1000.0,
                seen(*local, *mapped)
            );
            match fault {
                Some(fault) => Step::Stun.warn(format!("{found}; {fault}")),
                None => Step::Stun.ok(found),
            }
        }
        Outcome::Refused => lost(format!(
            "{address} refuses by ICMP: nothing listens on UDP {port} there, or a firewall rejects it; check that the worker \
             runs, open the firewall for UDP, or set --advertise to the address that encoders reach"
        )),
        Outcome::Silent => lost(format!(
            "UDP {port} of {ip} is not reachable from here, {TRIES} checks in {} s had no answer: open the firewall for UDP, or \
             set --advertise to the address that encoders reach",
            CHECK_TIMEOUT.as_secs()
        )),
        Outcome::Wrong(Reply::Error { code, reason }) => lost(format!(
            "{address} refuses the check with {code} {reason}: it does not know the session, so it is another server's, or a relay \
             sends it to the wrong worker; check --advertise"
        )),
        Outcome::Wrong(Reply::Forged | Reply::Success { .. }) => lost(format!(
            "{address} answers, but not with the session's password: another server has that port; set --advertise to the \
             worker's own"
        )),
        Outcome::Wrong(Reply::Foreign) => lost(format!(
            "{address} sends something, but no answer to an ICE check: another service has UDP {port}; set --media and \
             --advertise to a port of the worker's own"
        )),
        Outcome::Unroutable(cause) => lost(format!(
            "UDP {port} of {ip} is not reachable from here, nothing can be sent to it ({cause}): {}",
            if address.is_ipv6() {
                "this machine may have no IPv6 to the outside"
            } else {
                "set --advertise to the address that encoders reach, and open the firewall for UDP"
            }
        )),
        Outcome::Unfit => lost(format!("{address} was not tried")),
    }
}

/// What is wrong with a candidate, whether it answers or not.
fn fault(address: SocketAddr, place: Place, server: Place) -> Option<String> {
    let cure = "set --advertise to the address that encoders reach";
    match place {
        Place::Nowhere => Some(format!("{address} is {}: {cure}", place.word())),
        _ if address.port() == 0 => Some(format!("{address} has no port: {cure}")),
        Place::Public => None,
        place if place < server => Some(format!(
            "this address is {}, and the server's {}, so that encoders elsewhere cannot reach it: {cure}",
            place.word(),
            server.word()
        )),
        _ => None,
    }
}

fn seen(local: SocketAddr, mapped: Option<SocketAddr>) -> String {
    match mapped {
        Some(mapped) if is_translated(local, mapped) => {
            format!("and sees {local} as {mapped}: a NAT lies between, which does no harm")
        }
        Some(mapped) => format!("and sees {mapped}: no NAT lies between"),
        None => "and does not say from where it was asked".to_owned(),
    }
}

#[cfg(test)]
mod tests;
