//! The gateways: any of them is asked, each of them is told addresses.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{
    net::lookup_host,
    sync::watch,
    time::{Instant, interval, timeout},
};
use tonic::{Code, Response, Status, transport::Channel};
use tracing::{info, warn};
use whipcord_identity::{Incarnation, WorkerAddress, WorkerId};
use whipcord_proto::controller::{
    self as proto, DrainWorkerRequest, ListWorkersRequest, MediaAddress, ProbeWorkerRequest, SetAddressesRequest,
    WorkerAddresses, controller_service_client::ControllerServiceClient,
};

use crate::{
    CALL_MAX,
    plan::{Book, Health, Listed, Listing},
};

/// How gateways are reached.
#[derive(Clone)]
pub struct Gateways {
    names: Vec<WorkerAddress>,
    dial: Arc<dyn Fn(SocketAddr) -> Channel + Send + Sync>,
}

/// A gateway forgets after a minute: five may be lost.
const REPEAT: Duration = Duration::from_secs(10);
/// A rollout of gateways is seen within this.
const LOOK: Duration = Duration::from_secs(1);

/// Those that the names stand for now.
#[derive(Debug)]
pub(crate) struct Fleet {
    gateways: Gateways,
    /// Owned by the `Fleet`; held for one copy, never across an await.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    channels: BTreeMap<SocketAddr, Channel>,
    /// Answered last.
    preferred: Option<SocketAddr>,
}

/// What one gateway was told, and when.
type Told = BTreeMap<SocketAddr, (Arc<Book>, Instant)>;

impl Gateways {
    /// `dial` returns at once: the channel connects when it is used.
    pub fn new(names: Vec<WorkerAddress>, dial: impl Fn(SocketAddr) -> Channel + Send + Sync + 'static) -> Self {
        Self {
            names,
            dial: Arc::new(dial),
        }
    }
}

impl fmt::Debug for Gateways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateways")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl Fleet {
    pub(crate) fn new(gateways: Gateways) -> Self {
        Self {
            gateways,
            known: Mutex::default(),
        }
    }

    /// The workers, by a gateway whose view is current if there is one.
    pub(crate) async fn list(&self) -> Option<Listing> {
        let mut stale = None;
        for (address, channel) in self.in_turn() {
            let mut client = ControllerServiceClient::new(channel);
            let answer = self.within(address, client.list_workers(ListWorkersRequest {})).await;
            let Ok(answer) = answer else { continue };
            let listing = listing(answer);
            if !listing.is_stale {
                return Some(listing);
            }
            stale = Some(listing);
        }
        stale
    }

    /// How many incarnations were found dead; `None` where no gateway answers.
    pub(crate) async fn probe(&self, worker: &WorkerId) -> Option<u32> {
        for (address, channel) in self.in_turn() {
            let mut client = ControllerServiceClient::new(channel);
            let worker_id = worker.to_string();
            let answer = self.within(address, client.probe_worker(ProbeWorkerRequest { worker_id }));
            if let Ok(probed) = answer.await {
                return Some(u32::try_from(probed.dead.len()).unwrap_or(u32::MAX));
            }
        }
        None
    }

    /// Sessions that live there; `None` where it may not have heard of it.
    pub(crate) async fn drain(&self, worker: &WorkerId, deadline_seconds: u32) -> Option<u32> {
        for (address, channel) in self.in_turn() {
            let mut client = ControllerServiceClient::new(channel);
            let request = DrainWorkerRequest {
                worker_id: worker.to_string(),
                deadline_seconds,
            };
            match self.within(address, client.drain_worker(request)).await {
                Ok(drained) => return Some(drained.sessions),
                Err(status) if status.code() == Code::NotFound => return None,
                Err(status) => {
                    warn!(%worker, gateway = %address, reason = status.message(), "a worker does not drain, trying again")
                }
            }
        }
        None
    }

    /// Tells every gateway what is in the book, as long as there is one; and finds out which gateways there are.
    pub(crate) async fn tell(self: Arc<Self>, mut book: watch::Receiver<Option<Arc<Book>>>) {
        let (mut told, mut look, mut is_failing) = (Told::new(), interval(LOOK), false);
        loop {
            tokio::select! {
                _ = look.tick() => self.resolve(&mut is_failing).await,
                changed = book.changed() => if changed.is_err() { return },
            }
            let current = book.borrow_and_update().clone();
            let Some(current) = current else {
                // Who leads next tells it.
                told.clear();
                continue;
            };
            let now = Instant::now();
            let channels = self.in_turn();
            told.retain(|address, _| channels.iter().any(|(known, _)| known == address));
            let due = channels.into_iter().filter(|(address, _)| {
                let is_told = |(book, at): &(Arc<Book>, Instant)| **book == *current && now < *at + REPEAT;
                !told.get(address).is_some_and(is_told)
            });
            let request = request(&current);
            let telling = due.map(async |(address, channel)| {
                let mut client = ControllerServiceClient::new(channel);
                let answer = self.within(address, client.set_addresses(request.clone())).await;
                answer.map(|_| address)
            });
            let heard = join_all(telling).await.into_iter().flatten();
            told.extend(heard.map(|address| (address, (Arc::clone(&current), now))));
        }
    }

    /// Names that do not resolve leave those that are known.
    async fn resolve(&self, is_failing: &mut bool) {
        let mut found = Vec::new();
        for name in &self.gateways.names {
            let addresses = timeout(CALL_MAX, lookup_host(name.as_str())).await;
            match addresses.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
                Ok(addresses) => found.extend(addresses),
                Err(error) => {
                    if !std::mem::replace(is_failing, true) {
                        warn!(gateway = %name, %error, "the gateways' name does not resolve, trying again");
                    }
                    return;
                }
            }
        }
        *is_failing = false;
        let mut known = self.lock();
        known.channels.retain(|address, _| found.contains(address));
        for address in found {
            let channel = || (self.gateways.dial)(address);
            known.channels.entry(address).or_insert_with(channel);
        }
    }

    /// The one that answered last first.
    fn in_turn(&self) -> Vec<(SocketAddr, Channel)> {
        let known = self.lock();
        let mut all: Vec<_> = known
            .channels
            .iter()
            .map(|(address, channel)| (*address, channel.clone()))
            .collect();
        all.sort_by_key(|(address, _)| Some(*address) != known.preferred);
        all
    }

    async fn within<T>(
        &self,
        address: SocketAddr,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Status> {
        let answer = timeout(CALL_MAX, call).await;
        let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")));
        let mut known = self.lock();
        match &answer {
            Ok(_) if known.preferred.is_none() => {
                known.preferred = Some(address);
                info!(gateway = %address, "a gateway answers");
            }
            Err(status) if known.preferred == Some(address) && status.code() != Code::NotFound => {
                known.preferred = None;
                warn!(gateway = %address, code = ?status.code(), reason = status.message(), "a gateway does not answer");
            }
            Ok(_) | Err(_) => {}
        }
        answer.map(Response::into_inner)
    }

    /// No panic leaves the table half changed.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn request(book: &Book) -> SetAddressesRequest {
    let workers = book.iter().map(|(worker, addresses)| WorkerAddresses {
        worker_id: worker.to_string(),
        addresses: addresses
            .iter()
            .map(|address| MediaAddress {
                ip: address.ip.to_string(),
                port: address.port.into(),
            })
            .collect(),
    });
    SetAddressesRequest {
        workers: workers.collect(),
    }
}

fn listing(answer: proto::ListWorkersResponse) -> Listing {
    let listed = answer.workers.into_iter().filter_map(|worker| {
        Some(Listed {
            worker: worker.worker_id.parse().ok()?,
            incarnation: Incarnation(worker.incarnation),
            health: match worker.health() {
                proto::Health::Alive => Health::Alive,
                proto::Health::Suspect => Health::Suspect,
                proto::Health::Draining => Health::Draining,
                proto::Health::Unaddressed => Health::Unaddressed,
                proto::Health::Unspecified => Health::Other,
            },
            sessions: worker.sessions,
            sessions_max: worker.sessions_max,
        })
    });
    Listing {
        workers: listed.collect(),
        is_stale: answer.stale,
    }
}
