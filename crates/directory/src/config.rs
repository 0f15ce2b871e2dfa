//! Where Redis is, and how it is entered.

use std::{fmt, fs, io, path::PathBuf, str::FromStr};

/// Flags and environment of whoever uses a directory in Redis.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Redis or Valkey: redis://HOST:PORT/DB, redis+sentinel://HOST:PORT,HOST:PORT/MASTER, redis+cluster://HOST:PORT,HOST:PORT, with
    /// rediss for TLS, or unix:///PATH. Port and DB may be left out
    #[arg(
        id = "redis",
        long = "redis",
        env = "WHIPCORD_REDIS",
        value_name = "URL",
        default_value = "redis://127.0.0.1:6379"
    )]
    pub url: Url,
    /// ACL user of Redis (default: the default user)
    #[arg(
        id = "redis_user",
        long = "redis-user",
        env = "WHIPCORD_REDIS_USER",
        value_name = "NAME"
    )]
    pub user: Option<String>,
    /// File with the password of Redis, and of its Sentinels
    #[arg(
        id = "redis_password_file",
        long = "redis-password-file",
        env = "WHIPCORD_REDIS_PASSWORD_FILE",
        value_name = "FILE"
    )]
    pub password_file: Option<PathBuf>,
    /// PEM file of the authority that signed Redis's certificate (default: the system's)
    #[arg(id = "redis_ca", long = "redis-ca", env = "WHIPCORD_REDIS_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// PEM file of the certificate that Redis asks its clients for
    #[arg(
        id = "redis_cert",
        long = "redis-cert",
        env = "WHIPCORD_REDIS_CERT",
        value_name = "FILE",
        requires = "redis_key"
    )]
    pub cert: Option<PathBuf>,
    /// PEM file of its key
    #[arg(
        id = "redis_key",
        long = "redis-key",
        env = "WHIPCORD_REDIS_KEY",
        value_name = "FILE",
        requires = "redis_cert"
    )]
    pub key: Option<PathBuf>,
}

/// Where Redis is; never with a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub(crate) tls: bool,
    pub(crate) place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Standalone { host: Host, database: u16 },
    Unix { path: PathBuf },
    Sentinel { hosts: Vec<Host>, master: String },
    Cluster { hosts: Vec<Host> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) port: u16,
}

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// What files say; read at each connection, so that a changed password or certificate needs no restart.
pub(crate) struct Secrets {
    pub(crate) password: Option<String>,
    pub(crate) ca: Option<Vec<u8>>,
    /// Certificate and key.
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Config {
    /// Of a server without password, with the system's authorities.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            user: None,
            password_file: None,
            ca: None,
            cert: None,
            key: None,
        }
    }

    pub(crate) fn secrets(&self) -> Result<Secrets, ConfigError> {
        let read = |file: &Option<PathBuf>, flag| match file {
            None => Ok(None),
            Some(path) => fs::read(path).map(Some).map_err(|error| ConfigError::Read {
                path: path.clone(),
                flag,
                error,
            }),
        };
        let password = read(&self.password_file, "--redis-password-file")?.map(|bytes| {
            String::from_utf8(bytes)
                .map(|text| text.trim().to_owned())
                .map_err(|_| ConfigError::Password)
        });
        let client = match (read(&self.cert, "--redis-cert")?, read(&self.key, "--redis-key")?) {
            (Some(cert), Some(key)) => Some((cert, key)),
            _ => None,
        };
        Ok(Secrets {
            password: password.transpose()?,
            ca: read(&self.ca, "--redis-ca")?,
            client,
        })
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        if scheme == "unix" {
            let path = PathBuf::from(rest);
            let place = Place::Unix { path };
            return if rest.starts_with('/') {
                Ok(Self { tls: false, place })
            } else {
                Err(UrlError::Path)
            };
        }
        if rest.contains('@') {
            return Err(UrlError::User);
        }
        let (server, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        let tls = match server {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err(UrlError::Scheme),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let place = match kind {
            "" => Place::Standalone {
                host: host(authority, REDIS_PORT)?,
                database: match path {
                    "" => 0,
                    number => number.parse().map_err(|_| UrlError::Database)?,
                },
            },
            "sentinel" if path.is_empty() => return Err(UrlError::Master),
            "sentinel" => Place::Sentinel {
                hosts: hosts(authority, SENTINEL_PORT)?,
                master: path.to_owned(),
            },
            "cluster" if path.is_empty() => Place::Cluster {
                hosts: hosts(authority, REDIS_PORT)?,
            },
            "cluster" => return Err(UrlError::Database),
            _ => return Err(UrlError::Scheme),
        };
        Ok(Self { tls, place })
    }
}

fn hosts(text: &str, port: u16) -> Result<Vec<Host>, UrlError> {
    text.split(',').map(|one| host(one, port)).collect()
}

/// `name`, `name:port`, `[v6]`, `[v6]:port`.
fn host(text: &str, default: u16) -> Result<Host, UrlError> {
    let (name, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((name, port))) => (name, port.strip_prefix(':')),
        Some(None) => return Err(UrlError::Host),
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let visible = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b'?' && b != b'#');
    let port = port.map_or(Ok(default), |port| port.parse().map_err(|_| UrlError::Host))?;
    if !visible || port == 0 {
        return Err(UrlError::Host);
    }
    Ok(Host {
        name: name.to_owned(),
        port,
    })
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = |hosts: &[Host]| hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let scheme = if self.tls { "rediss" } else { "redis" };
        match &self.place {
            Place::Standalone { host, database } => write!(f, "{scheme}://{host}/{database}"),
            Place::Unix { path } => write!(f, "unix://{}", path.display()),
            Place::Sentinel { hosts: all, master } => write!(f, "{scheme}+sentinel://{}/{master}", hosts(all)),
            Place::Cluster { hosts: all } => write!(f, "{scheme}+cluster://{}", hosts(all)),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') {
            write!(f, "[{name}]:{port}")
        } else {
            write!(f, "{name}:{port}")
        }
    }
}

/// Why a text says not where Redis is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("it begins with redis://, rediss://, redis+sentinel://, redis+cluster:// or unix://")]
    Scheme,
    #[error(
        "no user or password in it: they would be seen in the list of processes; use --redis-user and --redis-password-file"
    )]
    User,
    #[error("HOST[:PORT] is needed, of several with commas between them")]
    Host,
    #[error("a database is a number, and a cluster has one only")]
    Database,
    #[error("after the Sentinels comes the name of the master they watch: redis+sentinel://HOST,HOST/MASTER")]
    Master,
    #[error("a path begins with /: unix:///run/redis.sock")]
    Path,
}

/// Why a directory in Redis cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {}: {error}; name another file with {flag}", path.display())]
    Read {
        path: PathBuf,
        flag: &'static str,
        error: io::Error,
    },
    #[error("the file of --redis-password-file is not text")]
    Password,
    #[error("the certificates or the key for Redis cannot be used: {0}; see --redis-ca, --redis-cert and --redis-key")]
    Certificates(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_and_never_who() {
        let table = [
            ("redis://localhost", Ok("redis://localhost:6379/0")),
            ("valkey://[::1]:7000/3", Ok("redis://[::1]:7000/3")),
            ("rediss://r.example.com/", Ok("rediss://r.example.com:6379/0")),
            ("unix:///run/redis.sock", Ok("unix:///run/redis.sock")),
            ("redis+sentinel://a,b:7/main", Ok("redis+sentinel://a:26379,b:7/main")),
            ("rediss+cluster://a,b:7", Ok("rediss+cluster://a:6379,b:7")),
            ("redis://:secret@localhost", Err(UrlError::User)),
            ("localhost:6379", Err(UrlError::Scheme)),
            ("http://localhost", Err(UrlError::Scheme)),
            ("redis+other://localhost", Err(UrlError::Scheme)),
            ("redis://", Err(UrlError::Host)),
            ("redis://a:0", Err(UrlError::Host)),
            ("redis://[::1", Err(UrlError::Host)),
            ("redis://a?db=1", Err(UrlError::Host)),
            ("redis://a/b", Err(UrlError::Database)),
            ("redis+cluster://a/1", Err(UrlError::Database)),
            ("redis+sentinel://a", Err(UrlError::Master)),
            ("unix://run/redis.sock", Err(UrlError::Path)),
        ];
        for (text, expected) in table {
            let read = text.parse::<Url>().map(|url| url.to_string());
            assert_eq!(read, expected.map(str::to_owned), "{text}");
            if let Ok(shown) = read {
                assert_eq!(shown.parse::<Url>().map(|url| url.to_string()), Ok(shown));
            }
        }
    }
}
