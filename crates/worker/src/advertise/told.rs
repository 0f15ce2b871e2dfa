//! The addresses for answers as of now: fixed at the start, or told by a controller and told again when they change.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::{info, warn};
use whipcord_proto::{convert, directory::MediaAddress};
use whipcord_whip::answer::LOCAL_CANDIDATES_MAX;

use super::takes;

/// Shared by all who make answers.
#[derive(Debug)]
pub(crate) struct Known {
    source: Source,
    state: watch::Sender<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Configured,
    /// For this socket.
    Controller {
        bound: SocketAddr,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Untold,
    Holds(Arc<[SocketAddr]>),
    /// It was told that there is none any more. Sessions that have the former may live on it.
    Withdrawn(Arc<[SocketAddr]>),
}

impl Known {
    pub(crate) fn fixed(addresses: Vec<SocketAddr>) -> Self {
        Self {
            source: Source::Configured,
            state: watch::Sender::new(State::Holds(addresses.into())),
        }
    }

    pub(super) fn awaited(bound: SocketAddr) -> Self {
        warn!(
            "no encoder is taken before a controller tells where it reaches this worker (--advertise controller): is whipcord controller \
             running?"
        );
        Self {
            source: Source::Controller { bound },
            state: watch::Sender::new(State::Untold),
        }
    }

    /// Whether a controller's word counts.
    pub(crate) fn is_awaited(&self) -> bool {
        self.source != Source::Configured
    }

    /// For a new session; `None` where no encoder would find the way.
    pub(crate) fn current(&self) -> Option<Arc<[SocketAddr]>> {
        match &*self.state.borrow() {
            State::Holds(addresses) => Some(Arc::clone(addresses)),
            State::Untold | State::Withdrawn(_) => None,
        }
    }

    /// For a session that lives.
    pub(crate) fn last(&self) -> Arc<[SocketAddr]> {
        match &*self.state.borrow() {
            State::Holds(addresses) | State::Withdrawn(addresses) => Arc::clone(addresses),
            State::Untold => Arc::default(),
        }
    }

    /// What a controller told. Of what this socket does not receive, or is no address of one host, nothing is taken.
    pub(crate) fn tell(&self, told: &[MediaAddress]) {
        let Source::Controller { bound } = self.source else {
            return;
        };
        let usable = told.iter().filter_map(|address| usable(address, bound));
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for address in usable {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        // Stable: of each family, the preferred first.
        addresses.sort_by_key(SocketAddr::is_ipv6);
        addresses.truncate(LOCAL_CANDIDATES_MAX);
        let next = if addresses.is_empty() {
            State::Withdrawn(self.last())
        } else {
            State::Holds(addresses.into())
        };
        let changed = self.state.send_if_modified(|state| {
            let changed = *state != next;
            *state = next.clone();
            changed
        });
        match next {
            State::Holds(addresses) if changed => {
                info!(?addresses, "a controller told where encoders reach this worker")
            }
            State::Withdrawn(_) if changed => warn!(
                ?told,
                "a controller knows no address by which encoders reach this worker: it takes no new sessions until one is known"
            ),
            _ => {}
        }
    }

    /// Told whenever it changes.
    pub(crate) fn changes(&self) -> Changes {
        Changes(self.state.subscribe())
    }
}

/// Waits for what is told.
#[derive(Debug)]
pub(crate) struct Changes(watch::Receiver<State>);

impl Changes {
    /// Until it changes. Never returns where the worker is gone.
    pub(crate) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Until there is an address, or the worker is gone.
    pub(crate) async fn addressed(&mut self) {
        let _ = self.0.wait_for(|state| matches!(state, State::Holds(_))).await;
    }
}

/// With the socket's port where none is told: the same outside as inside.
fn usable(told: &MediaAddress, bound: SocketAddr) -> Option<SocketAddr> {
    let (ip, port) = convert::media_address(&told.ip, told.port).ok()?;
    let port = if port == 0 { bound.port() } else { port };
    takes(bound.ip(), ip).then_some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(ip: &str, port: u32) -> MediaAddress {
        MediaAddress {
            ip: ip.to_owned(),
            port,
        }
    }

    fn texts(addresses: &[SocketAddr]) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }

    fn after(bound: &str, told: &[MediaAddress]) -> Option<Vec<String>> {
        let known = Known::awaited(bound.parse().unwrap());
        known.tell(told);
        known.current().map(|addresses| texts(&addresses))
    }

    #[test]
    fn what_is_told_is_named_with_its_port_or_the_sockets_ipv4_first() {
        let told = [
            address("2001:db8::9", 31_000),
            address("203.0.113.7", 0),
            address("203.0.113.7", 0),
        ];
        let both = vec!["203.0.113.7:8189".to_owned(), "[2001:db8::9]:31000".to_owned()];
        assert_eq!(after("[::]:8189", &told), Some(both));
        assert_eq!(after("0.0.0.0:8189", &told), Some(vec!["203.0.113.7:8189".to_owned()]));
    }

    #[test]
    fn what_no_encoder_could_use_is_as_if_nothing_was_told() {
        for ip in ["0.0.0.0", "224.0.0.1", "node-1.example", "", "2001:db8::9"] {
            assert_eq!(after("0.0.0.0:8189", &[address(ip, 0)]), None, "{ip}");
        }
        assert_eq!(after("0.0.0.0:8189", &[address("192.0.2.1", 65_536)]), None);
        let many: Vec<MediaAddress> = (1..=100).map(|n| address(&format!("192.0.2.{n}"), 0)).collect();
        assert_eq!(after("0.0.0.0:8189", &many).unwrap().len(), LOCAL_CANDIDATES_MAX);
    }

    #[test]
    fn an_address_that_is_withdrawn_is_named_to_those_alone_that_have_it() {
        let known = Known::awaited("0.0.0.0:1".parse().unwrap());
        assert!(known.last().is_empty());
        known.tell(&[address("192.0.2.1", 0)]);
        known.tell(&[]);
        assert_eq!(known.current(), None);
        assert_eq!(texts(&known.last()), ["192.0.2.1:1"]);
        known.tell(&[address("192.0.2.2", 0)]);
        assert_eq!(texts(&known.current().unwrap()), ["192.0.2.2:1"]);
    }

    #[test]
    fn an_operators_own_word_stands() {
        let known = Known::fixed(vec!["192.0.2.9:1".parse().unwrap()]);
        known.tell(&[address("192.0.2.1", 0)]);
        known.tell(&[]);
        assert_eq!(texts(&known.current().unwrap()), ["192.0.2.9:1"]);
    }
}
