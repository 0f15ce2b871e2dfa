//! What Redis is asked: the same for ten workers and a thousand. Commands are counted by Redis, those inside scripts too.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use whipcord_directory::{Directory, Hello, Lease, Load, Placement, Reported, Session, Takeover, Timing};
use whipcord_identity::{Epoch, Incarnation, Owner, SessionId, WorkerNumber};

use crate::{bed::eventually, server::Server};

/// Commands and the microseconds they took, all in all.
async fn spent(server: &Server) -> (u64, u64) {
    let info: String = server.ask("INFO commandstats").await;
    let field = |line: &str, name: &str| -> u64 {
        let rest = line.split(name).nth(1).unwrap();
        rest.split(',').next().unwrap().parse().unwrap()
    };
    let lines = info.lines().filter(|line| line.starts_with("cmdstat_"));
    // Our own questions are not the directory's.
    let ours = ["cmdstat_info", "cmdstat_ping", "cmdstat_client"];
    let theirs = lines.filter(|line| !ours.iter().any(|name| line.starts_with(name)));
    theirs.fold((0, 0), |(calls, micros), line| {
        // A script's time includes that of what it calls.
        let outer = line.starts_with("cmdstat_evalsha") || line.starts_with("cmdstat_eval:");
        let micros = micros + if outer { field(line, "usec=") } else { 0 };
        (calls + field(line, "calls="), micros)
    })
}

fn number(n: u32) -> Hello {
    Hello {
        worker: format!("worker-{n}").parse().unwrap(),
        incarnation: Incarnation(n.into()),
        number: WorkerNumber::new(n),
        address: format!("10.0.0.1:{}", 1000 + n).parse().unwrap(),
        sessions_max: 1000,
    }
}

fn sid(n: u64) -> SessionId {
    let mut bytes = [7; 16];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    SessionId::new(bytes)
}

/// Beats and views are not what is counted: none falls between.
const QUIET: Timing = Timing {
    lease: Duration::from_secs(3600),
    ..Timing::STANDARD
};

/// A session of a worker, with a stream of its own.
fn one_of(worker: &Hello, n: u64) -> Reported {
    Reported {
        session: Session {
            sid: sid(n),
            stream: format!("live/{n}").parse().unwrap(),
            owner: Owner {
                worker: worker.worker.clone(),
                incarnation: worker.incarnation,
                epoch: Epoch(1),
            },
        },
        takeover: Takeover::Replace,
        heard: true,
    }
}

/// A whole POST as the directory sees it, on a worker drawn from the view, and its worker's two reports.
async fn post(d: &Directory, leases: &[Lease], n: u64) {
    let workers = d.workers().workers;
    let chosen = &workers[n as usize * 7 % workers.len()].hello;
    let placement = Placement {
        sid: sid(n),
        stream: format!("live/{n}").parse().unwrap(),
        worker: chosen.worker.clone(),
        incarnation: chosen.incarnation,
        takeover: Takeover::Replace,
        client: Some(n),
        force: false,
        former: None,
    };
    let session = d.place(&placement).await.unwrap();
    assert_eq!(d.commit(&session).await, Ok(vec![]));
    let reported = Reported {
        takeover: Takeover::Replace,
        session,
        heard: false,
    };
    let lease = &leases[reported.session.owner.incarnation.0 as usize];
    let heard = Reported {
        heard: true,
        ..reported.clone()
    };
    // First that it is there, then that its encoder is.
    assert_eq!(d.add(lease, vec![reported]).await, Ok(vec![]));
    assert_eq!(d.add(lease, vec![heard]).await, Ok(vec![]));
}

#[tokio::test]
async fn a_post_costs_the_same_with_ten_workers_and_a_thousand() {
    const POSTS: u64 = 200;
    let mut costs = Vec::new();
    for workers in [10, 100, 1000] {
        let server = Server::start().await;
        let d = server.directory(QUIET);
        let mut leases = Vec::new();
        for n in 0..workers {
            leases.push(d.hello(number(n)).await.unwrap());
        }
        // So that every script is known, and all that is done once is done.
        post(&d, &leases, 1_000_000).await;
        let before = spent(&server).await;
        for n in 0..POSTS {
            post(&d, &leases, n).await;
        }
        let after = spent(&server).await;
        let per_post = |before: u64, after: u64| (after - before) as f64 / POSTS as f64;
        let (commands, micros) = (per_post(before.0, after.0), per_post(before.1, after.1));
        println!("{workers} workers: {commands:.1} commands and {micros:.0} us of Redis per POST");
        costs.push(commands);
    }
    assert!(costs[0] > 3.0, "it counts: {costs:?}");
    assert!(costs.iter().all(|cost| *cost <= costs[0] * 1.3), "{costs:?}");
}

#[tokio::test]
async fn to_look_whether_a_snapshot_is_needed_costs_a_part_of_it() {
    const SESSIONS: u64 = 200;
    let server = Server::start().await;
    let d = server.directory(QUIET);
    let reported: Vec<Reported> = (0..SESSIONS).map(|k| one_of(&number(1), k)).collect();
    let mut costs = Vec::new();
    // The second time every script is known, and so is every session.
    for _ in 0..2 {
        let lease = d.hello(number(1)).await.unwrap();
        let before = spent(&server).await;
        d.add(&lease, reported.clone()).await.unwrap();
        d.end_snapshot(&lease).await.unwrap();
        let between = spent(&server).await;
        assert_eq!(d.held(&lease).await.map(|held| held.len()), Some(reported.len()));
        let after = spent(&server).await;
        costs = vec![
            (between.0 - before.0, between.1 - before.1),
            (after.0 - between.0, after.1 - between.1),
        ];
    }
    println!(
        "{SESSIONS} sessions, commands and microseconds: snapshot {:?}, look {:?}",
        costs[0], costs[1]
    );
    assert!(costs[1].0 > SESSIONS, "it looks at each");
    assert!(costs[1].0 * 3 < costs[0].0, "{costs:?}");
}

/// A worker names ended sessions without their streams; its next report waits for each question more.
#[tokio::test]
async fn to_tell_that_a_session_ended_asks_redis_for_nothing() {
    let server = Server::start().await;
    let sids: Vec<SessionId> = (0..20).map(sid).collect();
    let told = || (0..20).map(|k| one_of(&number(1), k)).collect();
    let d = server.directory(QUIET);
    let lease = d.hello(number(1)).await.unwrap();
    assert_eq!(d.add(&lease, told()).await, Ok(vec![]));
    assert_eq!(questions_to_remove(&server, &d, &lease, &sids[..10]).await, 0);
    // It need not tell again what another gateway was told.
    let other = server.directory(QUIET);
    eventually(async || other.workers().workers.len() == 1).await;
    let lease = other.hello(number(1)).await.unwrap();
    assert_eq!(other.held(&lease).await.map(|held| held.len()), Some(10));
    assert_eq!(questions_to_remove(&server, &other, &lease, &sids[10..15]).await, 0);
    // Nobody has told of these since this hello.
    let lease = other.hello(number(1)).await.unwrap();
    assert_eq!(questions_to_remove(&server, &other, &lease, &sids[15..]).await, 1);
    assert_eq!(other.held(&lease).await, Some(vec![]), "all were removed");
}

/// Lists that were asked for while these ended.
async fn questions_to_remove(server: &Server, d: &Directory, lease: &Lease, sids: &[SessionId]) -> u64 {
    let asked = async || {
        let info: String = server.ask("INFO commandstats").await;
        let calls = info.split("cmdstat_hmget:calls=").nth(1);
        calls.map_or(0, |rest| rest.split(',').next().unwrap().parse::<u64>().unwrap())
    };
    let before = asked().await;
    assert_eq!(d.remove(lease, sids).await, Ok(()));
    asked().await - before
}

/// Each would be read once for each of its sessions, and each time as long as it has become.
#[tokio::test]
async fn to_tell_many_sessions_of_one_stream_is_to_read_it_once() {
    const SESSIONS: u64 = 200;
    let server = Server::start().await;
    let d = server.directory(QUIET);
    let lease = d.hello(number(1)).await.unwrap();
    let one = |k| {
        let mut one = one_of(&number(1), k);
        one.session.stream = "shared".parse().unwrap();
        one.takeover = Takeover::Several;
        one
    };
    let before = spent(&server).await;
    assert_eq!(d.add(&lease, (0..SESSIONS).map(one).collect()).await, Ok(vec![]));
    let after = spent(&server).await;
    let (commands, micros) = (after.0 - before.0, after.1 - before.1);
    println!("{SESSIONS} sessions of one stream: {commands} commands, {micros} us");
    // Two writes of each.
    assert!((SESSIONS * 2..SESSIONS * 2 + 50).contains(&commands), "{commands}");
}

#[tokio::test]
async fn a_thousand_idle_workers_cost_less_than_500_commands_a_second() {
    const WORKERS: u32 = 1000;
    let server = Server::start().await;
    let gateways = [(); 3].map(|()| server.directory(Timing::STANDARD));
    let mut leases = Vec::new();
    for n in 0..WORKERS {
        let gateway = &gateways[n as usize % 3];
        let lease = gateway.hello(number(n)).await.unwrap();
        let sessions = (0..SESSIONS).map(|k| one_of(&number(n), u64::from(n) * SESSIONS + k));
        assert_eq!(gateway.add(&lease, sessions.collect()).await, Ok(vec![]));
        gateway.end_snapshot(&lease).await.unwrap();
        leases.push(lease);
        // Those before must not end while the others come.
        if n % 100 == 99 {
            beat_all(&gateways, &leases).await;
        }
    }
    eventually(async || gateways[0].workers().workers.len() == WORKERS as usize).await;
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    seconds.tick().await;
    let (start, before) = (Instant::now(), spent(&server).await);
    for _ in 0..6 {
        beat_all(&gateways, &leases).await;
        seconds.tick().await;
    }
    let (after, elapsed) = (spent(&server).await, start.elapsed().as_secs_f64());
    let commands = (after.0 - before.0) as f64 / elapsed;
    let busy = (after.1 - before.1) as f64 / elapsed / 1e6;
    println!(
        "{commands:.0} commands a second, Redis busy for {:.1} % of a core",
        busy * 100.0
    );
    assert!(commands > 20.0, "it counts: {commands}");
    assert!(commands <= 500.0, "{commands} commands a second");
    let alive = gateways[1].workers().workers.len();
    assert_eq!(alive, WORKERS as usize, "all of them were renewed");
}

/// Of each idle worker.
const SESSIONS: u64 = 20;

/// At once, as each second.
async fn beat_all(gateways: &[Directory; 3], leases: &[Lease]) {
    let mut beats = tokio::task::JoinSet::new();
    for (n, lease) in leases.iter().enumerate() {
        let (gateway, lease) = (gateways[n % 3].clone(), lease.clone());
        let told = Load {
            sessions: SESSIONS as u32,
            ..Load::default()
        };
        beats.spawn(async move { gateway.beat(&lease, told).await });
    }
    while let Some(beaten) = beats.join_next().await {
        assert_eq!(beaten.unwrap(), Ok(()));
    }
}
