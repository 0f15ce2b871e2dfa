//! What a large cluster costs that carries no media: its Redis, its gateway, and the network between gateways and workers.
//!
//! The gateway and Redis are the real programs, each a process of its own, the gateway on the servers' core; workers are simulated
//! ([`worker`]) and speak to the gateway as real ones do, under TLS with certificates on both sides.

mod encoder;
mod fleet;
mod gateway;
mod redis;
mod table;
mod tls;
mod window;
mod worker;
mod yardstick;

use std::time::Duration;

use anyhow::ensure;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    process,
    report::{median, progress},
    server::Server,
};
use encoder::{Connections, Posts, Target};
use fleet::{Fleet, Mishaps};
use gateway::{Credentials, Gateway};
use redis::Redis;
use tls::Tls;
use window::{Sample, Span};

pub(crate) use yardstick::serve as serve_http;

/// As OBS sends it, and what a worker answers it.
const OFFER: &str = include_str!("../../../crates/whip/tests/offers/obs-30.2.offer.sdp");
const ANSWER: &str = include_str!("../../../crates/whip/tests/offers/obs-30.2.answer.sdp");

/// A directory that was empty is being rebuilt for 5 s; idle is what comes after.
const REBUILT: Duration = Duration::from_secs(6);

#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    /// Workers of the largest cluster
    #[arg(long, default_value_t = 1000)]
    workers: usize,
    /// Sessions on it, spread evenly
    #[arg(long, default_value_t = 200_000)]
    sessions: usize,
    /// POSTs of one measurement
    #[arg(long, default_value_t = 2000)]
    posts: usize,
    /// Measurements of POSTs; the median counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Seconds that an idle cluster is watched
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

/// What is measured together.
struct Cluster {
    redis: Redis,
    gateway: Gateway,
    fleet: Fleet,
    started: Instant,
}

/// What one POST costs in a cluster of so many workers.
struct PostCost {
    workers: usize,
    commands: f64,
    script: f64,
    redis: f64,
    gateway: f64,
}

/// POSTs that a server answers with one core, and how long one of eight at once takes.
#[derive(Clone, Copy)]
struct Throughput {
    per_core: f64,
    answered: Duration,
}

/// The largest cluster.
struct Large {
    workers: usize,
    sessions: usize,
    /// From nothing until Redis knows all sessions.
    started: Duration,
    idle: Span,
    gateway_memory: u64,
    redis_memory: u64,
    /// With a connection for each POST and with kept ones: the gateway, and the yardstick.
    throughput: [(Connections, Throughput, Throughput); 2],
    /// From FLUSHALL until Redis knows all sessions.
    rebuilt: Duration,
    mishaps: Mishaps,
}

pub(crate) fn run(plan: &Plan) -> anyhow::Result<()> {
    process::open_many_files()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let credentials = Credentials::make()?;
        let mut costs = Vec::new();
        for workers in [plan.workers / 100, plan.workers / 10, plan.workers] {
            costs.push(post_cost(plan, &credentials, workers.max(1)).await?);
        }
        let large = large(plan, &credentials).await?;
        table::print(plan, &costs, &large)
    })
}

impl Cluster {
    async fn start(credentials: &Credentials, workers: usize, sessions: usize) -> anyhow::Result<(Self, Duration)> {
        let started = Instant::now();
        let redis = Redis::start().await?;
        let gateway = Gateway::start(credentials, &redis.url())?;
        let tls = Tls::load(credentials)?;
        let fleet = Fleet::start(workers, sessions, gateway.grpc, &tls).await?;
        let mut cluster = Self {
            redis,
            gateway,
            fleet,
            started,
        };
        let whole = cluster.fleet.whole(&mut cluster.redis).await?;
        Ok((cluster, whole))
    }

    async fn sample(&mut self) -> anyhow::Result<Sample> {
        Sample::take(&mut self.redis, &self.gateway, &self.fleet.traffic).await
    }

    async fn idle(&mut self, time: Duration) -> anyhow::Result<Span> {
        sleep_until(self.started + REBUILT).await;
        let before = self.sample().await?;
        sleep(time).await;
        Ok(before.until(&self.sample().await?))
    }

    fn target<'a>(&self, credentials: &'a Credentials, connections: Connections) -> Target<'a> {
        Target {
            address: self.gateway.http,
            token: &credentials.token,
            connections,
        }
    }

    /// Posts, and waits until the workers have told of the sessions.
    async fn post(&mut self, target: Target<'_>, count: usize) -> anyhow::Result<(Posts, Span)> {
        let before = self.sample().await?;
        let posts = target.post(count).await?;
        self.fleet.known().await?;
        let span = before.until(&self.sample().await?);
        self.fleet.whole(&mut self.redis).await?;
        Ok((posts, span))
    }
}

async fn post_cost(plan: &Plan, credentials: &Credentials, workers: usize) -> anyhow::Result<PostCost> {
    progress(&format!("POSTs with {workers} workers"));
    let (mut cluster, _) = Cluster::start(credentials, workers, 0).await?;
    let target = cluster.target(credentials, Connections::Own);
    // The gateway dials a worker when it first has something to ask it: twice as many as there are reach nearly all.
    cluster.post(target, 2 * workers + plan.posts / 2).await?;
    let idle = cluster.idle(Duration::from_secs_f64(plan.seconds / 2.0)).await?;
    let mut spans = Vec::new();
    for _ in 0..plan.runs {
        let (posts, span) = cluster.post(target, plan.posts).await?;
        spans.push(span.beyond(&idle).each(posts.count));
    }
    let ended = cluster.fleet.mishaps().ended;
    ensure!(ended == 0, "{ended} sessions were ended");
    let of = |figure: fn(&Span) -> f64| median(spans.iter().map(figure));
    Ok(PostCost {
        workers,
        commands: of(|span| span.commands),
        script: of(|span| span.script),
        redis: of(|span| span.redis),
        gateway: of(|span| span.gateway),
    })
}

async fn large(plan: &Plan, credentials: &Credentials) -> anyhow::Result<Large> {
    progress(&format!("{} workers with {} sessions", plan.workers, plan.sessions));
    let (mut cluster, started) = Cluster::start(credentials, plan.workers, plan.sessions).await?;
    let idle = cluster.idle(Duration::from_secs_f64(plan.seconds)).await?;
    let (gateway_memory, redis_memory) = (cluster.gateway.memory()?, cluster.redis.memory()?);
    progress("POSTs as fast as they come, and the yardstick");
    let yardstick = Server::spawn(&["serve-http"])?;
    let target = cluster.target(credentials, Connections::Own);
    cluster.post(target, 2 * plan.workers).await?;
    let throughput = [
        throughput(plan, &mut cluster, &yardstick, target).await?,
        throughput(
            plan,
            &mut cluster,
            &yardstick,
            Target {
                connections: Connections::Kept,
                ..target
            },
        )
        .await?,
    ];
    progress("FLUSHALL");
    cluster.redis.flush_all().await?;
    let rebuilt = cluster.fleet.whole(&mut cluster.redis).await?;
    let mishaps = cluster.fleet.mishaps();
    ensure!(mishaps.ended == 0, "{} sessions were ended", mishaps.ended);
    Ok(Large {
        workers: cluster.fleet.len(),
        sessions: cluster.fleet.sessions(),
        started,
        idle,
        gateway_memory,
        redis_memory,
        throughput,
        rebuilt,
        mishaps,
    })
}

/// Of the gateway and of the yardstick, one after the other.
async fn throughput(
    plan: &Plan,
    cluster: &mut Cluster,
    yardstick: &Server,
    target: Target<'_>,
) -> anyhow::Result<(Connections, Throughput, Throughput)> {
    let (mut gateway, mut least) = (Vec::new(), Vec::new());
    for _ in 0..plan.runs {
        let (posts, span) = cluster.post(target, plan.posts).await?;
        gateway.push(Throughput::of(posts, span.gateway));
        let before = yardstick.cpu()?;
        let posts = Target {
            address: yardstick.address,
            ..target
        };
        let posts = posts.post(plan.posts).await?;
        least.push(Throughput::of(posts, (yardstick.cpu()? - before).as_secs_f64() * 1e6));
    }
    Ok((
        target.connections,
        Throughput::median(&gateway),
        Throughput::median(&least),
    ))
}

impl Throughput {
    fn of(posts: Posts, cpu_micros: f64) -> Self {
        Self {
            per_core: posts.count as f64 * 1e6 / cpu_micros,
            answered: crate::report::median_time(posts.answered.into_iter()),
        }
    }

    fn median(all: &[Self]) -> Self {
        Self {
            per_core: median(all.iter().map(|one| one.per_core)),
            answered: crate::report::median_time(all.iter().map(|one| one.answered)),
        }
    }
}
