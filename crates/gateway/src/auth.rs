//! Who may publish what: bearer tokens (RFC 6750) in, a `Grant` out.
//!
//! A token is a JWT (HS256, ES256) or a static key from a file. It is checked before anything else of a request is parsed, and
//! never leaves this module: not in an error, a log or a `Debug`.

mod jwt;
mod pattern;
mod static_key;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_lc_rs::digest;
use http::{HeaderMap, header};
use tokio::sync::watch;
use whipcord_identity::StreamName;
use zeroize::Zeroizing;

use crate::auth::{jwt::Jwt, static_key::StaticKeys};

pub use jwt::{MintError, claims};
pub use pattern::Pattern;

/// Where tokens' keys come from. Files, because a secret on a command line is in the process list.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct Config {
    /// File with a secret of at least 32 bytes: tokens are JWTs signed with it by HS256 (repeatable, to rotate)
    #[arg(long, env = "WHIPCORD_TOKEN_SECRET_FILE", value_name = "FILE", value_delimiter = ',')]
    pub token_secret_file: Vec<PathBuf>,
    /// PEM file with a P-256 public key: tokens are JWTs signed by ES256 (repeatable, to rotate)
    #[arg(
        long,
        env = "WHIPCORD_TOKEN_PUBLIC_KEY_FILE",
        value_name = "FILE",
        value_delimiter = ','
    )]
    pub token_public_key_file: Vec<PathBuf>,
    /// File with a static key per line and the streams it may publish: `KEY PATTERN [PATTERN...]`
    #[arg(long, env = "WHIPCORD_STREAM_KEYS_FILE", value_name = "FILE")]
    pub stream_keys_file: Option<PathBuf>,
}

impl Config {
    /// Whether any token could be good.
    pub fn has_keys(&self) -> bool {
        !self.token_secret_file.is_empty() || !self.token_public_key_file.is_empty() || self.stream_keys_file.is_some()
    }

    /// What its files hold now.
    pub fn read(&self) -> Result<Files, ConfigError> {
        let all = |paths: &[PathBuf]| paths.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>();
        Ok(Files {
            secrets: all(&self.token_secret_file)?,
            public_keys: all(&self.token_public_key_file)?,
            stream_keys: self.stream_keys_file.as_deref().map(read).transpose()?,
        })
    }
}

/// What the files of a [`Config`] hold: secret.
#[derive(PartialEq)]
pub struct Files {
    secrets: Vec<File>,
    public_keys: Vec<File>,
    stream_keys: Option<File>,
}

type File = (PathBuf, Zeroizing<Vec<u8>>);

/// Decides about tokens, by the keys of the moment: what former ones made good is so no more. Cheap to clone.
#[derive(Clone)]
pub struct Authority(watch::Receiver<Arc<Keys>>);

/// What tokens are checked by: secret.
#[derive(Default)]
pub struct Keys {
    jwt: Jwt,
    static_keys: StaticKeys,
}

/// What a token's bearer may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) scope: Scope,
    pub(crate) streams: Vec<Pattern>,
    /// Tells bearers apart for rate limits, and tells nothing else.
    pub(crate) bearer: Bearer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Publish the streams of the patterns, and see their state.
    Publish,
    /// See every stream's state, too.
    Admin,
}

/// The head of a token's SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bearer([u8; 16]);

impl Keys {
    /// Without any, no token is good.
    pub fn from_files(files: &Files) -> Result<Self, ConfigError> {
        let mut keys = Self::default();
        let jwt = |path: &Path, error| ConfigError::Jwt {
            path: path.to_owned(),
            error,
        };
        for (path, secret) in &files.secrets {
            let added = keys.jwt.add_secret(secret.trim_ascii());
            added.map_err(|error| jwt(path, error))?;
        }
        for (path, pem) in &files.public_keys {
            keys.jwt.add_public_key(pem).map_err(|error| jwt(path, error))?;
        }
        if let Some((path, text)) = &files.stream_keys {
            keys.static_keys = StaticKeys::parse(text).map_err(|error| ConfigError::StaticKeys {
                path: path.clone(),
                error,
            })?;
            if keys.static_keys.is_empty() {
                return Err(ConfigError::NoStreamKey { path: path.clone() });
            }
        }
        Ok(keys)
    }
}

impl Authority {
    /// Reads the key files; without any, no token is good.
    pub fn from_config(config: &Config) -> Result<Self, ConfigError> {
        Ok(Self::fixed(Keys::from_files(&config.read()?)?))
    }

    /// By keys that whoever reads their files again replaces.
    pub fn following(keys: watch::Receiver<Arc<Keys>>) -> Self {
        Self(keys)
    }

    /// Knows one HS256 secret, made for this process: tokens come from [`Authority::mint`] alone.
    pub fn ephemeral(random: [u8; 32]) -> Self {
        let mut jwt = Jwt::default();
        jwt.add_secret(&random).expect("32 bytes are long enough for HS256");
        Self::fixed(Keys {
            jwt,
            static_keys: StaticKeys::default(),
        })
    }

    /// Makes a token that may publish these streams, and what its scope says, signed with the last secret.
    pub fn mint(
        &self,
        streams: &[Pattern],
        scope: Scope,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<String, MintError> {
        self.keys().jwt.mint(streams, scope, lifetime, now)
    }

    /// Whether a JWT is good, else a sentence that says why not.
    pub fn check(&self, token: &str, now: SystemTime) -> Result<(), String> {
        let bearer = Bearer::new(token.as_bytes());
        let verified = self.keys().jwt.verify(token.as_bytes(), bearer, now);
        verified.map(|_| ()).map_err(|error| error.to_string())
    }

    /// What the request's bearer may do.
    pub(crate) fn authorize(&self, headers: &HeaderMap, now: SystemTime) -> Result<Grant, Error> {
        let token = bearer_token(headers)?;
        let bearer = Bearer::new(token);
        let keys = self.keys();
        match keys.static_keys.streams(token) {
            Some(streams) => Ok(Grant {
                scope: Scope::Publish,
                streams: streams.to_vec(),
                bearer,
            }),
            None => keys.jwt.verify(token, bearer, now),
        }
    }

    fn fixed(keys: Keys) -> Self {
        Self(watch::channel(Arc::new(keys)).1)
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.0.borrow())
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Files(***)")
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(***)")
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority(***)")
    }
}

impl Grant {
    pub(crate) fn may_publish(&self, stream: &StreamName) -> bool {
        self.streams.iter().any(|pattern| pattern.matches(stream))
    }

    pub(crate) fn may_see(&self, stream: &StreamName) -> bool {
        self.scope == Scope::Admin || self.may_publish(stream)
    }

    /// The stream, when the grant names exactly one.
    pub(crate) fn only_stream(&self) -> Option<&StreamName> {
        match self.streams.as_slice() {
            [Pattern::One(stream)] => Some(stream),
            _ => None,
        }
    }
}

impl Bearer {
    pub(crate) fn new(token: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, token);
        let mut head = [0; 16];
        head.copy_from_slice(&digest.as_ref()[..16]);
        Self(head)
    }
}

/// Why a request has no grant. It quotes nothing of the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("this needs a token: send `Authorization: Bearer <token>`")]
    Missing,
    #[error("the Authorization header is malformed: send it once, as `Authorization: Bearer <token>`")]
    Malformed,
    #[error("the token is not valid here")]
    Invalid,
    /// Genuine, but nothing we can read.
    #[error(
        "the token is genuine, but its claims are not ours: `streams` is a list of at most 100 patterns such as \"live/*\" or \"*\", \
         `exp` the end in seconds since 1970"
    )]
    Claims,
    #[error("the token is not valid yet")]
    Early,
    /// Genuine, but over: what it granted goes along for whoever has another proof besides.
    #[error("the token has expired")]
    Expired(Grant),
}

/// Why key files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {}: {error}", path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("{}: {error}", path.display())]
    Jwt { path: PathBuf, error: jwt::KeyError },
    #[error("{}: {error}", path.display())]
    StaticKeys {
        path: PathBuf,
        error: static_key::ParseError,
    },
    #[error("{} holds no stream key: `KEY PATTERN [PATTERN...]` is a line of it", path.display())]
    NoStreamKey { path: PathBuf },
}

fn read(path: &Path) -> Result<File, ConfigError> {
    let bytes = std::fs::read(path).map_err(|error| ConfigError::Read {
        path: path.to_owned(),
        error,
    })?;
    Ok((path.to_owned(), Zeroizing::new(bytes)))
}

/// The token of the one `Authorization: Bearer` header: scheme in any case, one or more spaces, then anything (RFC 9110 §11.4;
/// users paste stream keys that are no token68).
fn bearer_token(headers: &HeaderMap) -> Result<&[u8], Error> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Error::Missing)?.as_bytes();
    if values.next().is_some() {
        return Err(Error::Malformed);
    }
    let (scheme, rest) = value.split_at(value.iter().position(|b| *b == b' ').unwrap_or(value.len()));
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(Error::Missing);
    }
    match rest.trim_ascii() {
        b"" => Err(Error::Malformed),
        token => Ok(token),
    }
}

#[cfg(test)]
mod tests;
