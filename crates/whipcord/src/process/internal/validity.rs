//! Says in time that the certificate by which gateways and workers know this process is about to end.

use std::time::Duration;

use opentelemetry::global;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::tls::Tls;
use crate::process::{clock::day, keys::now};

/// Before its end: whoever renews certificates by hand looks into a log once a month, if at all.
const NOTICE: u64 = 30 * 24 * 3600;
/// Between two warnings: one a day is seen, and is no noise.
const EVERY: Duration = Duration::from_secs(24 * 3600);

/// Tells, now and once a day, of a certificate that ends soon; and its remaining seconds as a metric, for whoever has alarms.
pub(super) fn watch(tls: watch::Receiver<Tls>, shutdown: CancellationToken) {
    let measured = tls.clone();
    global::meter("whipcord")
        .u64_observable_gauge("whipcord.internal.certificate.remaining")
        .with_description("Until the certificate ends by which gateways and workers know this process")
        .with_unit("s")
        .with_callback(move |gauge| gauge.observe(until(&measured).saturating_sub(now()), &[]))
        .build();
    tokio::spawn(shutdown.run_until_cancelled_owned(async move {
        loop {
            let end = until(&tls);
            match Left::of(end, now()) {
                Left::Enough => {}
                Left::Little => warn!(ends = day(end), "{ENDING}"),
                Left::Nothing => error!(ended = day(end), "{ENDED}"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }));
}

/// Of a certificate's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Enough,
    Little,
    Nothing,
}

impl Left {
    fn of(end: u64, now: u64) -> Self {
        match end.saturating_sub(now) {
            0 => Self::Nothing,
            1..=NOTICE => Self::Little,
            _ => Self::Enough,
        }
    }
}

const ENDED: &str = "the internal certificate has ended: no gateway or worker takes a new connection of this one; whipcord keygen --renew makes another";
const ENDING: &str =
    "the internal certificate ends soon: renew it by whipcord keygen --renew, and bring the files here";

fn until(tls: &watch::Receiver<Tls>) -> u64 {
    tls.borrow().until.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_before_the_end_little_is_left() {
        let day = 24 * 3600;
        let table = [
            (31 * day, Left::Enough),
            (30 * day + 1, Left::Enough),
            (30 * day, Left::Little),
            (1, Left::Little),
            (0, Left::Nothing),
        ];
        for (left, expected) in table {
            assert_eq!(Left::of(1_795_284_525 + left, 1_795_284_525), expected, "{left}");
        }
        assert_eq!(Left::of(1, 1_795_284_525), Left::Nothing);
    }
}
