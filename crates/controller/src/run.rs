//! The role as a whole: what is watched, and what is done about it while this controller leads.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1;
use kube::{Api, Client, config::InferConfigError, runtime::watcher};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    Config, Gateways, Source, Standing, Switch,
    addresses::World,
    events::Events,
    gateways::Fleet,
    lease::Campaign,
    names::{self, Names},
    plan::{Book, Drain, Plan, Probe},
    platform::{Ingress, Node, Pod, Service},
    watch::{Table, follow, nothing},
};

/// How often gateways are asked for their workers, besides whenever Kubernetes tells of a change.
const LOOK: Duration = Duration::from_secs(2);
/// After a look: a rollout's changes come by hundreds.
const PAUSE: Duration = Duration::from_millis(100);

/// A running controller. It ends when the token given to [`Controller::start`] is cancelled.
#[derive(Debug)]
pub struct Controller {
    standing: watch::Receiver<Standing>,
    ending: [JoinHandle<()>; 2],
}

/// Why a controller does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "there is no way to Kubernetes: {0}; run it in a pod with a service account's token, or name a file in KUBECONFIG"
    )]
    Infer(#[from] InferConfigError),
    #[error("the way to Kubernetes is not usable: {0}")]
    Client(#[from] kube::Error),
}

/// What is watched.
struct Watched {
    pods: watch::Receiver<Table<Pod>>,
    nodes: watch::Receiver<Table<Node>>,
    services: watch::Receiver<Table<Service>>,
    names: watch::Receiver<Names>,
    wanted: watch::Sender<BTreeSet<String>>,
}

/// What a request to a gateway came to.
enum Done {
    Probed(Probe, Option<u32>),
    Drained(Drain, Option<u32>),
}

/// What acts while this controller leads.
struct Leader {
    config: Config,
    me: String,
    watched: Watched,
    standing: watch::Receiver<Standing>,
    fleet: Arc<Fleet>,
    book: watch::Sender<Option<Arc<Book>>>,
    events: Events,
}

impl Controller {
    /// Starts watching. Neither Kubernetes nor a gateway need be there yet.
    ///
    /// # Errors
    /// Where it is not said how Kubernetes is reached.
    pub async fn start(
        config: Config,
        me: String,
        gateways: Gateways,
        shutdown: CancellationToken,
    ) -> Result<Self, StartError> {
        let kubernetes = kube::Config::infer().await?;
        let namespace = config
            .namespace
            .clone()
            .unwrap_or_else(|| kubernetes.default_namespace.clone());
        let client = Client::try_from(kubernetes)?;
        info!(%namespace, controller = me, "watching Kubernetes");
        let (wanted, now_wanted) = watch::channel(BTreeSet::new());
        let (names, resolved) = watch::channel(Names::new());
        tokio::spawn(names::run(now_wanted, names));
        let watched = Watched {
            names: resolved,
            wanted,
            ..watched(&config, &client, &namespace, &shutdown)
        };
        let leases = Api::namespaced(client.clone(), &namespace);
        let (campaign, standing) = Campaign::new(leases, config.lease.clone(), me.clone());
        let events = match config.events {
            Switch::On => Events::start(client, namespace, config.lease.clone(), me.clone()),
            Switch::Off => Events::off(),
        };
        let (book, told) = watch::channel(None);
        let fleet = Arc::new(Fleet::new(gateways));
        tokio::spawn(Arc::clone(&fleet).tell(told));
        let leader = Leader {
            config,
            me,
            watched,
            standing: standing.clone(),
            fleet,
            book,
            events,
        };
        let ending = [
            tokio::spawn(campaign.run(shutdown.clone())),
            tokio::spawn(leader.run(shutdown)),
        ];
        Ok(Self { standing, ending })
    }

    /// What it is among others, as it changes.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Waits for the end, after the shutdown token was cancelled. It takes a bounded time.
    pub async fn join(self) {
        for ending in self.ending {
            // Its panic was told by whoever hooks panics.
            let _ = ending.await;
        }
    }
}

/// Only what the duties need: what is not watched, need not be allowed.
fn watched(config: &Config, client: &Client, namespace: &str, stop: &CancellationToken) -> Watched {
    let selected = |selector: &str| watcher::Config::default().labels(selector);
    let nodes = config.addresses != Source::Off || config.node_drain == Switch::On;
    let pods = Api::<v1::Pod>::namespaced(client.clone(), namespace);
    Watched {
        pods: follow(pods, selected(&config.worker_selector), "pods", stop.clone()),
        nodes: if nodes {
            let nodes = Api::<v1::Node>::all(client.clone());
            follow(nodes, watcher::Config::default(), "nodes", stop.clone())
        } else {
            nothing()
        },
        services: if config.addresses == Source::Service {
            let services = Api::<v1::Service>::namespaced(client.clone(), namespace);
            follow(services, selected(&config.service_selector), "services", stop.clone())
        } else {
            nothing()
        },
        names: watch::channel(Names::new()).1,
        wanted: watch::Sender::default(),
    }
}

impl Watched {
    /// Returns at any change. What is not watched never changes.
    async fn changed(&mut self) {
        tokio::select! {
            Ok(()) = self.pods.changed() => {}
            Ok(()) = self.nodes.changed() => {}
            Ok(()) = self.services.changed() => {}
            Ok(()) = self.names.changed() => {}
            else => std::future::pending().await,
        }
    }

    /// All has been listed once.
    fn is_complete(&self) -> bool {
        self.pods.borrow().is_complete && self.nodes.borrow().is_complete && self.services.borrow().is_complete
    }

    /// Has the load balancers' names resolved.
    fn want_names(&self) {
        let services = self.services.borrow();
        let ingress = services.objects.values().flat_map(|service| &service.ingress);
        let wanted: BTreeSet<String> = ingress
            .filter_map(|ingress| match ingress {
                Ingress::Name(name) => Some(name.clone()),
                Ingress::Ip(_) => None,
            })
            .collect();
        self.wanted.send_if_modified(|former| {
            let changed = *former != wanted;
            *former = wanted;
            changed
        });
    }
}

impl Leader {
    async fn run(mut self, stop: CancellationToken) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut plan: Option<Plan> = None;
        let mut under_way: JoinSet<Done> = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.watched.changed() => {}
                _ = look.tick() => {}
                Ok(()) = self.standing.changed() => {}
                Some(Ok(done)) = under_way.join_next() => {
                    if let Some(plan) = &mut plan {
                        self.take(plan, done);
                    }
                    continue;
                }
            }
            self.watched.want_names();
            if !self.leads() {
                // Who leads next finds out for itself; what was asked is answered to nobody.
                plan = None;
                under_way.abort_all();
                self.book.send_replace(None);
                continue;
            }
            if !self.watched.is_complete() {
                continue;
            }
            if plan.is_none() {
                self.events.leads(&self.me);
            }
            let plan = plan.get_or_insert_with(|| Plan::new(self.config.duties()));
            self.act(plan, &mut under_way).await;
            sleep(PAUSE).await;
        }
        self.book.send_replace(None);
        under_way.shutdown().await;
    }

    fn leads(&self) -> bool {
        self.standing.borrow().leads(Instant::now())
    }

    /// One look at everything, and what follows from it.
    async fn act(&mut self, plan: &mut Plan, under_way: &mut JoinSet<Done>) {
        let listing = self.fleet.list().await;
        if !self.leads() {
            return;
        }
        let intentions = {
            let (pods, nodes) = (self.watched.pods.borrow(), self.watched.nodes.borrow());
            let (services, names) = (self.watched.services.borrow(), self.watched.names.borrow());
            let world = World {
                pods: &pods.objects,
                nodes: &nodes.objects,
                services: &services.objects,
                names: &names,
            };
            plan.look(world, listing.as_ref(), Instant::now())
        };
        let next = intentions.addresses.map(Arc::new);
        self.book.send_if_modified(|book| {
            let changed = *book != next;
            *book = next;
            changed
        });
        for probe in intentions.probes {
            info!(worker = %probe.worker, cause = %probe.cause, "asking whether a worker lives");
            let fleet = Arc::clone(&self.fleet);
            under_way.spawn(async move {
                let dead = fleet.probe(&probe.worker).await;
                Done::Probed(probe, dead)
            });
        }
        for drain in intentions.drains {
            let (fleet, deadline) = (Arc::clone(&self.fleet), self.config.drain_deadline);
            under_way.spawn(async move {
                let sessions = fleet.drain(&drain.worker, deadline).await;
                Done::Drained(drain, sessions)
            });
        }
        for notice in &intentions.notices {
            self.events.notice(notice);
        }
    }

    fn take(&self, plan: &mut Plan, done: Done) {
        let notice = match done {
            Done::Probed(probe, dead) => plan.probed(probe, dead),
            Done::Drained(drain, sessions) => plan.drained(drain, sessions),
        };
        if let Some(notice) = notice {
            self.events.notice(&notice);
        }
    }
}
