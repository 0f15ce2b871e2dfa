//! How each kind of Redis is dialled: one server, those that Sentinels name, a Cluster; with TLS, a user and a password.

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo,
    RedisResult, TlsCertificates, TlsMode,
    cluster::ClusterClient,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};

use super::{CALL_MAX, ConnectError, Guide, Line, STEP_MAX};
use crate::config::{Config, ConfigError, Host, Place, Secrets};

/// A Cluster's client follows a moved slot within this many attempts.
const CLUSTER_RETRIES: u32 = 3;

pub(super) async fn dial(config: &Config, attempt: u64) -> Result<(Line, Guide), ConnectError> {
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
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let secrets = config.secrets()?;
    // rustls takes the process's provider; there is one only, and setting it twice does no harm.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    standalone(config, &secrets)
        .map(drop)
        .map_err(|error| ConfigError::Certificates(error.to_string()))
}
