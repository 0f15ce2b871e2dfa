//! Every limit of the HTTP side, and the request rates.

use crate::{auth::Bearer, problem::Error};
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::HashMapStateStore,
};
use std::{
    fmt,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    time::Duration,
};

pub(crate) use whipcord_whip::{fragment::FRAGMENT_BYTES_MAX, offer::OFFER_BYTES_MAX};

/// A connection costs some 20 KiB: 200 MiB at most.
pub(crate) const CONNECTIONS_MAX: usize = 10_000;
/// A request's head arrives within this, and a new connection's first one: an encoder sends it at once.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A request's body arrives within this: 64 KiB take 5 s at 100 kbit/s.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// A token of 8 KiB fits, and so does the metadata of a query.
pub(crate) const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Requests of one HTTP/2 connection at once: a proxy's, which shares it among encoders.
pub(crate) const HTTP2_STREAMS_MAX: u32 = 200;
/// An HTTP/2 connection is pinged this often; one that does not answer within [`HEAD_TIMEOUT`] is closed.
pub(crate) const HTTP2_PING: Duration = Duration::from_secs(30);
/// At shutdown requests in flight may end within this: longer than any deadline below.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);

/// What is read of a body nobody wants before the connection is closed, so that its sender reads our answer rather than a reset.
pub(crate) const DISCARD_BYTES_MAX: usize = 4 * 1024 * 1024;
pub(crate) const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

/// All query parameters of a POST, names and values: what `CreateSessionRequest.metadata` may hold.
pub(crate) const METADATA_BYTES_MAX: usize = 8192;
pub(crate) const METADATA_ENTRIES_MAX: usize = 64;

/// A POST is answered within this, however many workers it asks: OBS gives up after 8 s.
pub(crate) const CREATE_TIMEOUT: Duration = Duration::from_secs(7);
/// One worker answers a CreateSession within this; it takes milliseconds.
pub(crate) const CREATE_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// Workers asked for one POST.
pub(crate) const CREATE_ATTEMPTS_MAX: usize = 3;
/// A worker answers any other call within this.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// A session's metadata is at most 8 KiB, so a page is at most 2.5 MiB: below gRPC's 4 MiB.
pub(crate) const STATS_PAGE: u32 = 250;
/// Sessions in one answer of `/whip-stats`: some 500 bytes each.
pub(crate) const STATS_SESSIONS_MAX: usize = 50_000;

/// After this a request that found no worker may be repeated: a lease's worth of beats tells of a new one.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(2);

/// An unread answer blocks a worker's report stream, not this gateway's memory.
pub(crate) const REPORT_RESPONSES_MAX: usize = 16;
/// Sessions named in one report: a chunk of 1 MiB holds fewer.
pub(crate) const REPORT_SESSIONS_MAX: usize = 65_536;

/// How far above its rate a burst may go, in seconds: a studio's encoders all start at once.
const BURST_SECONDS: u32 = 10;
/// Addresses and bearers followed at once: some 5 MiB each.
const RATE_KEYS_MAX: usize = 100_000;

/// POST, PATCH and DELETE per address, and per bearer (RFC 9725 §5).
pub(crate) struct Rates {
    by_address: Rate<IpAddr>,
    by_bearer: Rate<Bearer>,
}

type Rate<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock>;

impl Rates {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        let burst = per_second.saturating_mul(NonZeroU32::MIN.saturating_add(BURST_SECONDS - 1));
        let quota = Quota::per_second(per_second).allow_burst(burst);
        Self {
            by_address: RateLimiter::hashmap(quota),
            by_bearer: RateLimiter::hashmap(quota),
        }
    }

    pub(crate) fn check_address(&self, address: IpAddr) -> Result<(), Error> {
        check(&self.by_address, &network(address))
    }

    pub(crate) fn check_bearer(&self, bearer: Bearer) -> Result<(), Error> {
        check(&self.by_bearer, &bearer)
    }
}

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rates").finish_non_exhaustive()
    }
}

fn check<K: Hash + Eq + Clone>(rate: &Rate<K>, key: &K) -> Result<(), Error> {
    if rate.len() >= RATE_KEYS_MAX {
        rate.retain_recent();
        if rate.len() >= RATE_KEYS_MAX {
            return Err(Error::TooManyRequests {
                retry_after: RETRY_AFTER,
            });
        }
    }
    let clock = DefaultClock::default();
    rate.check_key(key).map_err(|until| Error::TooManyRequests {
        retry_after: until.wait_time_from(clock.now()),
    })
}

/// One IPv6 customer has a /64 at least, and would be many addresses; a mapped IPv4 address is that address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_the_rate_holds() {
        let rates = Rates::new(NonZeroU32::new(1).unwrap());
        let address = "192.0.2.1".parse().unwrap();
        for _ in 0..10 {
            assert!(rates.check_address(address).is_ok());
        }
        let refused = rates.check_address("::ffff:192.0.2.1".parse().unwrap());
        assert!(
            matches!(refused, Err(Error::TooManyRequests { retry_after }) if retry_after <= Duration::from_secs(1))
        );
        assert!(rates.check_address("192.0.2.2".parse().unwrap()).is_ok());
    }

    #[test]
    fn an_ipv6_network_counts_as_one() {
        assert_eq!(
            network("2001:db8::1".parse().unwrap()),
            network("2001:db8::ffff:1".parse().unwrap())
        );
        assert_ne!(
            network("2001:db8::1".parse().unwrap()),
            network("2001:db8:0:1::1".parse().unwrap())
        );
    }
}
