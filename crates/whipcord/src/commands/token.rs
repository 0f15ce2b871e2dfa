//! `whipcord token`: makes tokens, and says what is in one.

use std::{
    io::{self, Read, Write},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use whipcord_gateway::{
    Authority,
    auth::{self, ConfigError, MintError, Pattern, Scope},
};

use super::Failure;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Print a new token
    Make {
        /// The gateways' file with the secret that signs tokens
        #[arg(long, env = "WHIPCORD_TOKEN_SECRET_FILE", value_name = "FILE")]
        token_secret_file: PathBuf,
        /// Stream that it may publish: a name, live/* for all below live/, or * for all (repeatable)
        #[arg(long = "stream", value_name = "PATTERN")]
        streams: Vec<Pattern>,
        /// Let it see every stream and session, and end them
        #[arg(long)]
        admin: bool,
        /// How long it holds: 90m, 24h, 30d
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = lifetime)]
        lifetime: Duration,
    },
    /// Say what is in a token, read from stdin so that it is in no list of processes
    Inspect {
        #[command(flatten)]
        keys: auth::Config,
    },
}

/// Why no token was made or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Keys(#[from] ConfigError),
    #[error(transparent)]
    Mint(#[from] MintError),
    #[error("the token would be good for nothing: give --stream PATTERN, or --admin")]
    Nothing,
    #[error("cannot read the token from stdin: {0}")]
    Stdin(#[source] io::Error),
    #[error("the token is not good: {0}")]
    NotGood(String),
    #[error("this is no JWT: three parts of base64url with points between them")]
    NotAToken,
}

pub(crate) fn run(config: &Config) -> Result<(), Failure> {
    match &config.action {
        Action::Make {
            token_secret_file,
            streams,
            admin,
            lifetime,
        } => print(&make(token_secret_file.clone(), streams, *admin, *lifetime)?),
        Action::Inspect { keys } => {
            let (claims, verdict) = inspect(keys)?;
            print(&claims)?;
            print(&verdict.map_err(Error::NotGood)?)
        }
    }
}

fn print(text: &str) -> Result<(), Failure> {
    writeln!(io::stdout(), "{text}").map_err(Failure::Stdout)
}

fn make(secret: PathBuf, streams: &[Pattern], admin: bool, lifetime: Duration) -> Result<String, Error> {
    if streams.is_empty() && !admin {
        return Err(Error::Nothing);
    }
    let authority = Authority::from_config(&auth::Config {
        token_secret_file: vec![secret],
        ..auth::Config::default()
    })?;
    let scope = if admin { Scope::Admin } else { Scope::Publish };
    Ok(authority.mint(streams, scope, lifetime, SystemTime::now())?)
}

/// The claims, and whether the token is good, or why it is not.
fn inspect(keys: &auth::Config) -> Result<(String, Result<String, String>), Error> {
    let mut token = String::new();
    io::stdin()
        .take(TOKEN_BYTES_MAX)
        .read_to_string(&mut token)
        .map_err(Error::Stdin)?;
    let token = token.trim();
    let claims = auth::claims(token).ok_or(Error::NotAToken)?;
    let verdict = if keys.has_keys() {
        let checked = Authority::from_config(keys)?.check(token, SystemTime::now());
        checked.map(|()| "good".to_owned())
    } else {
        Ok("not checked: give --token-secret-file or --token-public-key-file".to_owned())
    };
    Ok((claims, verdict))
}

/// More than any that a gateway reads: a head of 32 KiB.
const TOKEN_BYTES_MAX: u64 = 64 * 1024;

fn lifetime(text: &str) -> Result<Duration, &'static str> {
    const FORM: &str = "a number and m, h or d, as in 24h";
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(FORM)?;
    let seconds = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(FORM),
    };
    let number: u32 = number.parse().map_err(|_| FORM)?;
    Ok(Duration::from_secs(seconds * u64::from(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_have_a_unit() {
        let table = [
            ("90m", Some(5400)),
            ("24h", Some(86_400)),
            ("30d", Some(2_592_000)),
            ("24", None),
            ("h", None),
            ("-1h", None),
            ("", None),
            ("1\u{e9}", None),
        ];
        for (text, seconds) in table {
            assert_eq!(lifetime(text).ok(), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
