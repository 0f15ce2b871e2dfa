//! The directory in Redis. Rules are in the scripts, each of which Redis runs as one; here is who calls them, with what, and what
//! goes on while Redis is away.

mod beats;
mod connection;
mod listing;
mod measure;
mod refusals;
mod reporters;
mod script;
mod turns;
mod view;
mod wire;

use std::sync::{Arc, Mutex};

use redis::Value;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, info};
use whipcord_identity::{ClusterId, Incarnation, SessionId, StreamName};

use self::{
    beats::{Beats, Renewal},
    connection::Connection,
    listing::Known,
    measure::{Measure, Operation},
    reporters::{Reporters, Standing},
    script::{Reply, Script, Scripts, Space, texts},
    turns::Turns,
    view::Cache,
    wire::{mode, pack},
};
use crate::{
    Beginning, CommitError, Config, ConfigError, Health, Hello, HelloError, Lease, Load, Lookup, PlaceError, Placement,
    ReportError, Reported, SESSIONS_PER_STREAM_MAX, SESSIONS_PER_WORKER_MAX, Session, Timing, Unavailable, View,
    WORKERS_MAX, Worker, lock,
};

pub use connection::CALL_MAX;

/// Sessions, leases or entries one script goes through: 500 take it 2 ms, during which Redis serves nobody else.
const CHUNK: usize = 500;

#[derive(Debug)]
pub(crate) struct Redis {
    timing: Timing,
    link: Link,
    beats: Beats,
    turns: Turns,
    /// Owned by the `Redis`; held for one table operation, never across an await.
    reporters: Mutex<Reporters>,
    /// As `reporters`.
    cache: Mutex<Cache>,
    /// Ends the tasks.
    _stop: DropGuard,
}

/// What a script needs to be run.
#[derive(Debug)]
struct Link {
    connection: Connection,
    scripts: Scripts,
    space: Space,
    measure: Measure,
}

impl Link {
    async fn run(&self, script: &Script, keys: &[String], arguments: &[String]) -> Result<Reply, Unavailable> {
        let running = script.run(&self.connection, &self.space, keys, arguments);
        self.measure.operation(script.operation(), running).await
    }

    /// A plain command, by its name.
    async fn ask(&self, name: &'static str, arguments: &[&str]) -> Result<Value, Unavailable> {
        let mut command = redis::cmd(name);
        command.arg(arguments);
        let asking = async { self.connection.call(&command).await?.map_err(|_| Unavailable::Away) };
        self.measure.operation(Operation::Command(name), asking).await
    }
}

impl Redis {
    pub(crate) fn start(config: &Config, cluster: &ClusterId, timing: Timing) -> Result<Arc<Self>, ConfigError> {
        let stop = CancellationToken::new();
        let link = Link {
            connection: Connection::start(config.clone(), stop.clone())?,
            scripts: Scripts::new(),
            space: Space::new(cluster, timing),
            measure: Measure::new(&config.url),
        };
        let redis = Arc::new(Self {
            timing,
            link,
            beats: Beats::default(),
            turns: Turns::default(),
            reporters: Mutex::default(),
            cache: Mutex::default(),
            _stop: stop.clone().drop_guard(),
        });
        tokio::spawn(beats::run(Arc::downgrade(&redis), stop.clone()));
        tokio::spawn(view::run(Arc::downgrade(&redis), stop));
        Ok(redis)
    }

    pub(crate) async fn hello(&self, hello: Hello) -> Result<Lease, HelloError> {
        let incarnation = hello.incarnation;
        let arguments = [
            incarnation.to_string(),
            pack(&hello),
            hello.number.get().to_string(),
            WORKERS_MAX.to_string(),
        ];
        let keys = [self.link.space.sessions(incarnation)];
        let reply = self.link.run(&self.link.scripts.hello, &keys, &arguments).await;
        let standing = match &reply {
            Ok(reply) => match (
                reply.word.as_str(),
                reply.texts().next().and_then(|serial| serial.parse().ok()),
            ) {
                ("ok", Some(serial)) => Some((serial, Standing::Leased { changes: 0 })),
                ("taken", _) => return Err(HelloError::NumberTaken),
                ("full", _) => return Err(HelloError::Full),
                _ => None,
            },
            Err(Unavailable::Away) => None,
            Err(newer) => return Err(HelloError::Unavailable(*newer)),
        };
        let mut reporters = lock(&self.reporters);
        let (serial, standing) = standing.unwrap_or_else(|| reporters.adrift());
        reporters.insert(hello, serial, standing);
        Ok(Lease { incarnation, serial })
    }

    pub(crate) async fn beat(&self, lease: &Lease, load: Load, health: Health) -> Result<(), ReportError> {
        let seen = lock(&self.cache).seen();
        let standing = lock(&self.reporters)
            .beat(lease, load, health)
            .ok_or(ReportError::Expired)?;
        match standing {
            Standing::Adrift { since } if seen.is_some_and(|seen| seen > since) => Err(self.expired(lease)),
            Standing::Adrift { .. } => Ok(()),
            Standing::Leased { .. } => match self.beats.renew(lease.clone()).await {
                Ok(Renewal::Renewed { known }) if lock(&self.reporters).is_lost(lease, known, self.timing) => {
                    info!(incarnation = %lease.incarnation, known, told = load.sessions, "a worker has other sessions than the directory knows: it tells all again");
                    Err(self.expired(lease))
                }
                Ok(Renewal::Renewed { .. }) => {
                    lock(&self.reporters).turn(lease);
                    Ok(())
                }
                Err(Unavailable::Away) => Ok(()),
                Ok(Renewal::Over) | Err(Unavailable::Newer(_)) => Err(self.expired(lease)),
            },
        }
    }

    pub(crate) async fn add(&self, lease: &Lease, sessions: &[Reported]) -> Result<Vec<Session>, ReportError> {
        let mut lost = Vec::new();
        for chunk in sessions.chunks(CHUNK) {
            let Some(worker) = chunk.first().map(|reported| &reported.session.owner.worker) else {
                break;
            };
            let _turn = self.turn(lease).await?;
            let mut arguments = vec![
                SESSIONS_PER_WORKER_MAX.to_string(),
                SESSIONS_PER_STREAM_MAX.to_string(),
                worker.to_string(),
            ];
            let mut keys = vec![self.link.space.sessions(lease.incarnation)];
            for Reported {
                session,
                takeover,
                heard,
            } in chunk
            {
                keys.push(self.link.space.stream(&session.stream));
                arguments.extend([
                    session.sid.to_string(),
                    session.stream.to_string(),
                    session.owner.epoch.0.to_string(),
                    mode(*takeover).to_owned(),
                    u8::from(*heard).to_string(),
                ]);
            }
            let Some(reply) = self.change(lease, &self.link.scripts.add, &keys, arguments).await? else {
                continue;
            };
            lock(&self.reporters).remember(lease, chunk.iter().map(|reported| &reported.session));
            let words: Vec<String> = reply.texts().collect();
            lost.extend(words.chunks_exact(5).filter_map(|words| {
                let (stream, words) = words.split_last()?;
                wire::session(words, &stream.parse().ok()?)
            }));
        }
        Ok(lost)
    }

    pub(crate) async fn remove(&self, lease: &Lease, sids: &[SessionId]) -> Result<(), ReportError> {
        for chunk in sids.chunks(CHUNK) {
            let known = self.told(lease, self.known(lease, chunk).await);
            self.forget(lease, &self.link.scripts.remove, &known.unwrap_or_default())
                .await?;
        }
        Ok(())
    }

    pub(crate) async fn end_snapshot(&self, lease: &Lease) -> Result<(), ReportError> {
        let mut cursor = Some("0".to_owned());
        while let Some(from) = cursor {
            let Some((page, next)) = self.told(lease, self.page(lease.incarnation, &from).await) else {
                break;
            };
            let old = page.into_iter().filter(|known| known.confirmed < lease.serial);
            let old: Vec<Known> = old.collect();
            if !old.is_empty() || next.is_none() {
                self.forget(lease, &self.link.scripts.end_snapshot, &old).await?;
            }
            cursor = next;
        }
        Ok(())
    }

    pub(crate) async fn suspect(&self, lease: &Lease) {
        lock(&self.reporters).suspect(lease);
        let arguments = [lease.incarnation.to_string(), lease.serial.to_string()];
        if let Err(error) = self.link.run(&self.link.scripts.suspect, &[], &arguments).await {
            debug!(%error, "cannot tell that a worker is suspect; its lease ends");
        }
    }

    pub(crate) async fn bury(&self, incarnation: Incarnation) {
        lock(&self.reporters).remove(incarnation);
        lock(&self.cache).remove(incarnation);
        if let Err(error) = self.clear(incarnation, true).await {
            debug!(%error, "cannot bury a worker; its lease ends");
        }
    }

    pub(crate) async fn place(&self, placement: &Placement) -> Result<Session, PlaceError> {
        let Placement {
            sid,
            stream,
            worker,
            incarnation,
            takeover,
            client,
            force,
            former,
        } = placement;
        let arguments = [
            incarnation.to_string(),
            worker.to_string(),
            sid.to_string(),
            stream.to_string(),
            mode(*takeover).to_owned(),
            client.map_or_else(|| "-".to_owned(), |client| format!("{client:016x}")),
            u8::from(*force).to_string(),
            former.map_or(0, |epoch| epoch.0).to_string(),
            SESSIONS_PER_STREAM_MAX.to_string(),
        ];
        let keys = [
            self.link.space.sessions(incarnation),
            self.link.space.stream(stream),
            self.link.space.reserved(),
        ];
        // One that was late is asked again, before anybody goes on without the directory: what it would have said of the stream's last epoch
        // is known to nobody else. Twice does no harm, and where there is no way to Redis the second fails at once.
        let place = || self.link.run(&self.link.scripts.place, &keys, &arguments);
        let reply = match place().await {
            Err(Unavailable::Away) => place().await?,
            told => told?,
        };
        let words: Vec<String> = reply.texts().collect();
        let (session, known) = wire::placed(&reply.word, &words, placement)?;
        lock(&self.cache).count(*incarnation, known);
        Ok(session)
    }

    pub(crate) async fn commit(&self, session: &Session) -> Result<Vec<Session>, CommitError> {
        let Session { sid, stream, owner } = session;
        let keys = [
            self.link.space.sessions(owner.incarnation),
            self.link.space.stream(stream),
            self.link.space.reserved(),
        ];
        let arguments = [
            sid.to_string(),
            stream.to_string(),
            owner.incarnation.to_string(),
            owner.epoch.0.to_string(),
        ];
        let reply = self.link.run(&self.link.scripts.commit, &keys, &arguments).await?;
        match reply.word.as_str() {
            "ok" => Ok(sessions(&reply, stream)),
            "rebuilding" => Err(CommitError::Rebuilding),
            "dead" => Err(CommitError::NotAlive),
            _ => Err(CommitError::Lost),
        }
    }

    pub(crate) async fn release(&self, session: &Session) {
        let Session { sid, stream, owner } = session;
        let keys = [
            self.link.space.sessions(owner.incarnation),
            self.link.space.stream(stream),
        ];
        let arguments = [
            sid.to_string(),
            stream.to_string(),
            owner.incarnation.to_string(),
            owner.epoch.0.to_string(),
        ];
        if let Err(error) = self.link.run(&self.link.scripts.release, &keys, &arguments).await {
            debug!(%sid, %error, "cannot release a session; its worker tells");
        }
    }

    pub(crate) async fn lookup(&self, stream: &StreamName, sid: SessionId) -> Lookup {
        let keys = [self.link.space.stream(stream)];
        let arguments = [stream.to_string(), sid.to_string()];
        match self.link.run(&self.link.scripts.lookup, &keys, &arguments).await {
            Ok(reply) => match sessions(&reply, stream).pop() {
                Some(session) => Lookup::Live(session),
                None if reply.word == "ok" => Lookup::Absent,
                None => Lookup::Unknown,
            },
            Err(_) => Lookup::Unknown,
        }
    }

    /// One that said hello elsewhere a moment ago is asked for: what lives there is routed to it at once.
    pub(crate) async fn worker(&self, incarnation: Incarnation) -> Option<Worker> {
        let workers = self.view().workers;
        let known = workers.iter().find(|worker| worker.hello.incarnation == incarnation);
        if known.is_some() {
            return known.cloned();
        }
        let hello = self.hellos(&[incarnation]).await.ok()?.pop()??;
        Some(Worker {
            hello,
            health: Health::Alive,
            sessions: 0,
            load: Load::default(),
        })
    }

    pub(crate) fn newer(&self) -> Option<u64> {
        lock(&self.cache).newer
    }

    pub(crate) fn began(&self) -> Option<Beginning> {
        lock(&self.cache).began
    }

    pub(crate) fn view(&self) -> View {
        let reporters = lock(&self.reporters);
        lock(&self.cache).view(&reporters, self.timing.lease)
    }

    fn expired(&self, lease: &Lease) -> ReportError {
        lock(&self.reporters).void(lease);
        ReportError::Expired
    }
}

/// The sessions of a stream in an answer.
fn sessions(reply: &Reply, stream: &StreamName) -> Vec<Session> {
    let words: Vec<String> = reply.texts().collect();
    words
        .chunks_exact(4)
        .filter_map(|words| wire::session(words, stream))
        .collect()
}
