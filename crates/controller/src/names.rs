//! Load balancers' names, resolved and resolved again: an encoder is told addresses alone, and a balancer may change them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use tokio::{
    net::lookup_host,
    sync::watch,
    time::{sleep, timeout},
};
use tracing::warn;

use crate::CALL_MAX;

/// As long as a load balancer's name is cached, usually.
const REFRESH: Duration = Duration::from_secs(60);
/// While one is missing: a new balancer's name resolves after a minute or two.
const RETRY: Duration = Duration::from_secs(5);
/// Asked at the same moment.
const ASKED_MAX: usize = 16;

pub(crate) type Names = BTreeMap<String, Vec<IpAddr>>;

/// Resolves those wanted, and tells what changes. What resolved once is kept while it does not.
pub(crate) async fn run(mut wanted: watch::Receiver<BTreeSet<String>>, names: watch::Sender<Names>) {
    loop {
        let now_wanted = wanted.borrow_and_update().clone();
        let known = names.borrow().clone();
        let resolved = stream::iter(now_wanted.clone()).map(async |name| {
            let found = resolve(&name).await;
            (name, found)
        });
        let resolved: Vec<_> = resolved.buffer_unordered(ASKED_MAX).collect().await;
        let mut next = Names::new();
        for (name, found) in resolved {
            let found = if found.is_empty() {
                known.get(&name).cloned()
            } else {
                Some(found)
            };
            next.extend(found.map(|ips| (name, ips)));
        }
        let is_whole = next.len() == now_wanted.len();
        if !is_whole {
            let missing: Vec<&String> = now_wanted.iter().filter(|name| !next.contains_key(*name)).collect();
            warn!(?missing, "names of load balancers do not resolve");
        }
        names.send_if_modified(|names| {
            let changed = *names != next;
            *names = next;
            changed
        });
        let rest = sleep(if is_whole { REFRESH } else { RETRY });
        tokio::select! {
            () = rest => {}
            changed = wanted.changed() => if changed.is_err() { return },
        }
    }
}

async fn resolve(name: &str) -> Vec<IpAddr> {
    // The port is for the form alone.
    let Ok(Ok(found)) = timeout(CALL_MAX, lookup_host((name, 0))).await else {
        return Vec::new();
    };
    // In one order, whatever the server's: it turns them around.
    let ips: BTreeSet<IpAddr> = found.map(|address| address.ip()).collect();
    ips.into_iter().collect()
}
