//! The way to Redis, made anew whenever it is lost.
//!
//! One task holds it. redis-rs's `ConnectionManager` reconnects when a connection is reset, but not when one falls silent, and its
//! Sentinel client asks for the master only once; so a call that is late, or told that it reached a replica, loses the connection.

mod dial;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{
    Cmd, ConnectionAddr, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value,
    aio::{ConnectionLike as _, MultiplexedConnection},
    cluster_async::ClusterConnection,
    sentinel::SentinelClient,
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    config::{Config, ConfigError},
    values::Unavailable,
};

/// A call to Redis ends within this: one takes a millisecond, and a POST waits for two.
pub const CALL_MAX: Duration = Duration::from_millis(500);
/// A connection is made within this, TLS and the question to a Sentinel included.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// One step of it: of three Sentinels the second is asked in time.
const STEP_MAX: Duration = Duration::from_secs(1);
/// Between two attempts: a server that restarts is found soon.
const RETRY: Duration = Duration::from_millis(200);
/// A Sentinel is asked this often whether the master is still the one: one that was replaced may not know it.
const RECHECK: Duration = Duration::from_secs(1);

/// The way there, for all calls of one directory.
#[derive(Debug)]
pub(super) struct Connection {
    state: Arc<watch::Sender<State>>,
    /// Counts answers.
    answered: AtomicU64,
}

enum State {
    /// Calls wait for it.
    Connecting,
    /// The last attempt failed: calls fail at once.
    Away,
    Up {
        number: u64,
        line: Line,
    },
}

#[derive(Clone)]
enum Line {
    /// Of a standalone server, or the master that Sentinels named.
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Whom to ask whether the line still leads to the right server.
enum Guide {
    None,
    Sentinels {
        client: Box<SentinelClient>,
        master: ConnectionAddr,
    },
}

impl Connection {
    /// Connects, and stays connected until `stop`.
    pub(super) fn start(config: Config, stop: CancellationToken) -> Result<Self, ConfigError> {
        dial::check(&config)?;
        let state = Arc::new(watch::Sender::new(State::Connecting));
        let following = follow(config, Arc::clone(&state));
        tokio::spawn(async move { stop.run_until_cancelled(following).await });
        Ok(Self {
            state,
            answered: AtomicU64::new(0),
        })
    }

    /// One command, within [`CALL_MAX`]. An error of Redis's own is returned as such.
    pub(super) async fn call(&self, command: &Cmd) -> Result<RedisResult<Value>, Unavailable> {
        let answered = self.answered.load(Ordering::Relaxed);
        let mut number = None;
        let attempt = async {
            let mut states = self.state.subscribe();
            let settled = states
                .wait_for(|state| !matches!(state, State::Connecting))
                .await
                .map(|state| state.line());
            let Ok(Some((now, mut line))) = settled else {
                return Err(Unavailable::Away);
            };
            number = Some(now);
            Ok(line.call(command).await)
        };
        match timeout(CALL_MAX, attempt).await {
            Ok(Ok(Err(error))) if loses(&error) => {
                self.lose(number, &error.to_string());
                Err(Unavailable::Away)
            }
            Ok(Ok(answer)) => {
                self.answered.fetch_add(1, Ordering::Relaxed);
                Ok(answer)
            }
            Ok(away) => away,
            Err(_) => {
                // Where others were answered meanwhile it is Redis that is slow, and a new connection would be as slow.
                if self.answered.load(Ordering::Relaxed) == answered {
                    self.lose(number, "no answer in time");
                }
                Err(Unavailable::Away)
            }
        }
    }

    /// Of many calls that find a connection broken, one ends it.
    fn lose(&self, number: Option<u64>, reason: &str) {
        let lost = self.state.send_if_modified(|state| match state {
            State::Up { number: current, .. } if Some(*current) == number => {
                *state = State::Connecting;
                true
            }
            State::Up { .. } | State::Connecting | State::Away => false,
        });
        if lost {
            warn!(reason, "lost the connection to Redis");
        }
    }
}

impl State {
    fn line(&self) -> Option<(u64, Line)> {
        match self {
            Self::Up { number, line } => Some((*number, line.clone())),
            Self::Connecting | Self::Away => None,
        }
    }
}

impl Line {
    async fn call(&mut self, command: &Cmd) -> RedisResult<Value> {
        let value = match self {
            Self::Single(connection) => connection.req_packed_command(command).await,
            Self::Cluster(connection) => connection.req_packed_command(command).await,
        };
        value.and_then(Value::extract_error)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "Connecting",
            Self::Away => "Away",
            Self::Up { .. } => "Up",
        })
    }
}

/// Whether another connection may do better. A Cluster's client finds its nodes by itself.
fn loses(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading
        ),
        // A word of the server's own that redis-rs does not know, as OOM. Without a password, a new connection is told what to do.
        ErrorKind::Extension => is_without_password(error),
        _ => true,
    }
}

async fn follow(config: Config, state: Arc<watch::Sender<State>>) {
    let mut number = 0;
    let mut said = false;
    loop {
        let attempt = timeout(CONNECT_MAX, connect(&config, number)).await;
        number += 1;
        let (line, guide) = match attempt {
            Ok(Ok(connected)) => connected,
            failed => {
                if !said {
                    tell(&config, failed.map_err(|_| "no answer in time"));
                    said = true;
                }
                state.send_replace(State::Away);
                sleep(RETRY).await;
                continue;
            }
        };
        info!(redis = %config.url, "connected to Redis");
        said = false;
        let mut states = state.subscribe();
        state.send_replace(State::Up { number, line });
        tokio::select! {
            _ = states.wait_for(|state| !matches!(state, State::Up { .. })) => {}
            () = moved(guide) => {
                info!("the Sentinels name another master");
                state.send_replace(State::Connecting);
            }
        }
    }
}

fn tell(config: &Config, failed: Result<Result<(Line, Guide), ConnectError>, &str>) {
    let reason = match failed {
        Ok(Err(ConnectError::Redis(error))) if is_without_password(&error) => {
            warn!(
                "Redis at {} wants a password: give --redis-password-file (and --redis-user)",
                config.url
            );
            return;
        }
        Ok(Err(error)) => error.to_string(),
        Err(late) => late.to_owned(),
        Ok(Ok(_)) => return,
    };
    warn!(redis = %config.url, reason, "no connection to Redis; trying again");
}

/// It answers nothing else to whoever has not said who he is.
fn is_without_password(error: &RedisError) -> bool {
    error.code() == Some("NOAUTH")
}

/// Ends when the Sentinels name another master than the one at the other end.
async fn moved(guide: Guide) {
    let Guide::Sentinels { mut client, master } = guide else {
        return std::future::pending().await;
    };
    loop {
        sleep(RECHECK).await;
        if let Ok(Ok(now)) = timeout(CONNECT_MAX, client.async_get_client()).await
            && *now.get_connection_info().addr() != master
        {
            return;
        }
    }
}

/// A line on which Redis has answered: one that wants a password lets everybody connect.
async fn connect(config: &Config, attempt: u64) -> Result<(Line, Guide), ConnectError> {
    let (mut line, guide) = dial::dial(config, attempt).await?;
    match line.call(&redis::cmd("PING")).await {
        Err(error) if loses(&error) => Err(error.into()),
        // Also that this user may not ask so.
        Ok(_) | Err(_) => Ok((line, guide)),
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Redis(#[from] RedisError),
}
