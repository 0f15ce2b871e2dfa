//! The way to Redis, made anew whenever it is lost.
//!
//! One task holds it. redis-rs's `ConnectionManager` reconnects when a connection is reset, but not when one falls silent, and its
//! Sentinel client asks for the master only once; so a call that is late, or told that it reached a replica, loses the connection.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisError, RedisResult, ServerErrorKind, TlsCertificates, TlsMode, Value,
    aio::{ConnectionLike as _, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    config::{Config, ConfigError, Host, Place, Secrets},
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
/// A Cluster's client follows a moved slot within this many attempts.
const CLUSTER_RETRIES: u32 = 3;

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
        check(&config)?;
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
    let (mut line, guide) = dial(config, attempt).await?;
    match line.call(&redis::cmd("PING")).await {
        Err(error) if loses(&error) => Err(error.into()),
        // Also that this user may not ask so.
        Ok(_) | Err(_) => Ok((line, guide)),
    }
}

async fn dial(config: &Config, attempt: u64) -> Result<(Line, Guide), ConnectError> {
    let secrets = config.secrets()?;
    let settings = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(STEP_MAX))
        .set_response_timeout(None);
    match &config.url.place {
        Place::Standalone { .. } | Place::Unix { .. } => {
            let client = standalone(config, &secrets)?;
            let line = client.get_multiplexed_async_connection_with_config(&settings).await?;
            Ok((Line::Single(line), Guide::None))
        }
        Place::Sentinel { hosts, master } => {
            let mut hosts = hosts.clone();
            // One that does not answer is not the first to be asked each time.
            let first = (attempt % hosts.len() as u64) as usize;
            hosts.rotate_left(first);
            let mut client = Box::new(sentinel(config, &hosts, master, &secrets)?);
            let found = client.async_get_client().await?;
            let line = found.get_multiplexed_async_connection_with_config(&settings).await?;
            let master = found.get_connection_info().addr().clone();
            Ok((Line::Single(line), Guide::Sentinels { client, master }))
        }
        Place::Cluster { hosts } => {
            let client = cluster(config, hosts, secrets)?;
            Ok((Line::Cluster(client.get_async_connection().await?), Guide::None))
        }
    }
}

fn standalone(config: &Config, secrets: &Secrets) -> RedisResult<Client> {
    let mut settings = RedisConnectionInfo::default();
    if let Some(user) = &config.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = &secrets.password {
        settings = settings.set_password(password);
    }
    let address = match &config.url.place {
        Place::Standalone { host, database } => {
            settings = settings.set_db(i64::from(*database));
            address(host, config.url.tls)
        }
        Place::Unix { path } => ConnectionAddr::Unix(path.clone()),
        // Only for looking at the certificates.
        Place::Sentinel { hosts, .. } | Place::Cluster { hosts } => address(&hosts[0], config.url.tls),
    };
    let info: ConnectionInfo = address.into_connection_info()?.set_redis_settings(settings);
    if config.url.tls {
        Client::build_with_tls(info, certificates(secrets))
    } else {
        Client::open(info)
    }
}

fn sentinel(config: &Config, hosts: &[Host], master: &str, secrets: &Secrets) -> RedisResult<SentinelClient> {
    let addresses = hosts.iter().map(|host| address(host, config.url.tls));
    let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?;
    if let Some(user) = &config.user {
        builder = builder
            .set_client_to_redis_username(user)
            .set_client_to_sentinel_username(user);
    }
    if let Some(password) = &secrets.password {
        builder = builder
            .set_client_to_redis_password(password)
            .set_client_to_sentinel_password(password);
    }
    if config.url.tls {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates(secrets))
            .set_client_to_sentinel_certificates(certificates(secrets));
    }
    builder.build()
}

fn cluster(config: &Config, hosts: &[Host], secrets: Secrets) -> RedisResult<ClusterClient> {
    let addresses = hosts.iter().map(|host| address(host, config.url.tls));
    let mut builder = ClusterClient::builder(addresses)
        .retries(CLUSTER_RETRIES)
        .connection_timeout(STEP_MAX)
        .response_timeout(CALL_MAX);
    if let Some(user) = &config.user {
        builder = builder.username(user);
    }
    if let Some(password) = &secrets.password {
        builder = builder.password(password);
    }
    if config.url.tls {
        builder = builder.tls(TlsMode::Secure).certs(certificates(&secrets));
    }
    builder.build()
}

fn address(host: &Host, tls: bool) -> ConnectionAddr {
    let (host, port) = (host.name.clone(), host.port);
    if tls {
        ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        }
    } else {
        ConnectionAddr::Tcp(host, port)
    }
}

fn certificates(secrets: &Secrets) -> TlsCertificates {
    let client = secrets.client.clone();
    TlsCertificates {
        client_tls: client.map(|(client_cert, client_key)| redis::ClientTlsConfig {
            client_cert,
            client_key,
        }),
        root_cert: secrets.ca.clone(),
    }
}

/// What can be known to be wrong before a server is asked.
fn check(config: &Config) -> Result<(), ConfigError> {
    let secrets = config.secrets()?;
    // rustls takes the process's provider; there is one only, and setting it twice does no harm.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    standalone(config, &secrets)
        .map(drop)
        .map_err(|error| ConfigError::Certificates(error.to_string()))
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Redis(#[from] RedisError),
}
