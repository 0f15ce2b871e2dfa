//! Request rates: how often one address, and one token, may ask.

use std::{
    fmt,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::HashMapStateStore,
};

use crate::{auth::Bearer, limits::RETRY_AFTER, problem::Error};

/// How far above its rate a burst may go, in seconds: a studio's encoders all start at once.
const BURST_SECONDS: u32 = 10;
/// Addresses and bearers followed at once: some 5 MiB each.
const RATE_KEYS_MAX: usize = 100_000;

/// Requests that prove nothing per address, and all others per bearer (RFC 9725 §5).
pub(crate) struct Rates {
    by_address: Rate<IpAddr>,
    by_bearer: Rate<Bearer>,
    log_lines: DefaultDirectRateLimiter,
}

/// Log lines about refused tokens per second: a flood of them is no flood of the log.
const LOG_LINES: NonZeroU32 = NonZeroU32::new(5).expect("not zero");

type Rate<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock>;

impl Rates {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        let burst = per_second.saturating_mul(NonZeroU32::MIN.saturating_add(BURST_SECONDS - 1));
        let quota = Quota::per_second(per_second).allow_burst(burst);
        Self {
            by_address: RateLimiter::hashmap(quota),
            by_bearer: RateLimiter::hashmap(quota),
            log_lines: RateLimiter::direct(Quota::per_second(LOG_LINES)),
        }
    }

    pub(crate) fn check_address(&self, address: IpAddr) -> Result<(), Error> {
        check(&self.by_address, &network(address))
    }

    /// Whether one more refusal may be logged.
    pub(crate) fn may_log(&self) -> bool {
        self.log_lines.check().is_ok()
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

/// One IPv6 customer has a /64 at least and a /48 at most, and would be many addresses; a mapped IPv4 address is that address.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 80)).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

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

    /// As the line about a worker that nobody reaches, of which each POST finds one.
    #[test]
    fn a_flood_of_lines_is_no_flood_of_the_log() {
        let rates = Rates::new(NonZeroU32::MIN);
        let begun = Instant::now();
        let said = (0..100_000).filter(|_| rates.may_log()).count() as u64;
        let most = 5 * (2 + begun.elapsed().as_secs());
        assert!((5..=most).contains(&said), "{said} lines");
    }

    #[test]
    fn an_ipv6_network_counts_as_one() {
        assert_eq!(
            network("2001:db8::1".parse().unwrap()),
            network("2001:db8:0:ffff::1".parse().unwrap())
        );
        assert_ne!(
            network("2001:db8::1".parse().unwrap()),
            network("2001:db8:1::1".parse().unwrap())
        );
    }
}
