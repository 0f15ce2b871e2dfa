//! The scripts: what each is called with, and how an answer is read.

use std::sync::atomic::{AtomicBool, Ordering};

use redis::{Cmd, ErrorKind, ServerErrorKind, Value};
use tracing::{debug, error};
use whipcord_identity::ClusterId;

use super::{connection::Connection, measure::Operation};
use crate::{timing::Timing, values::Unavailable};

/// A number's claim is renewed once an hour, so it is kept that much longer.
pub(super) const NUMBER_RENEWAL: std::time::Duration = std::time::Duration::from_secs(3600);

macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        /// All there are, each with the text that every script begins with.
        #[derive(Debug)]
        pub(super) struct Scripts {
            $(pub(super) $name: Script,)*
        }

        impl Scripts {
            pub(super) fn new() -> Self {
                Self {
                    $($name: Script::new(
                        stringify!($name),
                        concat!(include_str!("prelude.lua"), include_str!(concat!(stringify!($name), ".lua"))),
                    ),)*
                }
            }
        }
    };
}

scripts![
    add,
    beats,
    bury,
    commit,
    end_snapshot,
    held,
    hello,
    lapse,
    lookup,
    place,
    refusals,
    refuse,
    release,
    remove,
    suspect,
    view
];

#[derive(Debug)]
pub(super) struct Script {
    name: &'static str,
    text: &'static str,
    hash: String,
    /// Since it last succeeded: said once.
    is_refused: AtomicBool,
}

/// One cluster's keys, and the times every script is told.
#[derive(Debug)]
pub(super) struct Space {
    prefix: String,
    keys: [String; 4],
    times: [String; 5],
}

/// An answer: a word, and what comes with it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) word: String,
    pub(super) rest: Vec<Value>,
}

impl Script {
    fn new(name: &'static str, text: &'static str) -> Self {
        let hash = redis::Script::new(text).get_hash().to_owned();
        Self {
            name,
            text,
            hash,
            is_refused: AtomicBool::new(false),
        }
    }

    pub(super) fn operation(&self) -> Operation {
        Operation::Script(self.name)
    }

    fn command(&self, verb: &str, what: &str, keys: &[&str], arguments: &[&str]) -> Cmd {
        let mut command = redis::cmd(verb);
        command.arg(what).arg(keys.len()).arg(keys).arg(arguments);
        command
    }

    /// By its hash; by its text where the server does not have it.
    pub(super) async fn run(
        &self,
        connection: &Connection,
        space: &Space,
        keys: &[String],
        arguments: &[String],
    ) -> Result<Reply, Unavailable> {
        let keys: Vec<&str> = space.keys.iter().chain(keys).map(String::as_str).collect();
        let arguments: Vec<&str> = space.times.iter().chain(arguments).map(String::as_str).collect();
        let mut answer = connection
            .call(&self.command("EVALSHA", &self.hash, &keys, &arguments))
            .await?;
        let unknown = |kind| kind == ErrorKind::Server(ServerErrorKind::NoScript);
        if answer.as_ref().is_err_and(|error| unknown(error.kind())) {
            answer = connection
                .call(&self.command("EVAL", self.text, &keys, &arguments))
                .await?;
        }
        match answer.as_ref().map(Reply::read) {
            Ok(Some(reply)) if reply.word == "newer" => {
                let format = reply.texts().next().and_then(|format| format.parse().ok());
                Err(Unavailable::Newer(format.unwrap_or(0)))
            }
            Ok(Some(reply)) => {
                self.is_refused.store(false, Ordering::Relaxed);
                Ok(reply)
            }
            Ok(None) => {
                error!(script = self.name, "an answer of Redis is not understood");
                Err(Unavailable::Away)
            }
            // A Cluster moves the slot, and has some of the keys here and some there.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::TryAgain) => {
                debug!(script = self.name, "the slot is being moved");
                Err(Unavailable::Away)
            }
            Err(error) => {
                if !self.is_refused.swap(true, Ordering::Relaxed) {
                    error!(script = self.name, %error, "Redis refuses a script");
                }
                Err(Unavailable::Away)
            }
        }
    }
}

impl Space {
    pub(super) fn new(cluster: &ClusterId, timing: Timing) -> Self {
        let prefix = format!("whipcord:1:{{{cluster}}}:");
        let number = timing.number_rest + NUMBER_RENEWAL.min(timing.number_rest / 24);
        Self {
            keys: ["boot", "leases", "states", "workers"].map(|name| format!("{prefix}{name}")),
            times: [
                timing.lease,
                timing.reservation,
                timing.rebuild,
                number,
                timing.loser_wait,
            ]
            .map(|time| time.as_millis().to_string()),
            prefix,
        }
    }

    pub(super) fn workers(&self) -> &str {
        &self.keys[3]
    }

    pub(super) fn sessions(&self, incarnation: impl std::fmt::Display) -> String {
        format!("{}sessions:{incarnation}", self.prefix)
    }

    pub(super) fn reserved(&self) -> String {
        format!("{}reserved", self.prefix)
    }

    /// Of good tokens, or of others.
    pub(super) fn refused(&self, proven: bool) -> String {
        format!("{}refused:{}", self.prefix, u8::from(proven))
    }

    pub(super) fn stream(&self, stream: impl std::fmt::Display) -> String {
        format!("{}stream:{stream}", self.prefix)
    }
}

impl Reply {
    fn read(value: &Value) -> Option<Self> {
        let Value::Array(values) = value else { return None };
        let (word, rest) = values.split_first()?;
        Some(Self {
            word: text(word)?,
            rest: rest.to_vec(),
        })
    }

    /// What comes with the word, as texts.
    pub(super) fn texts(&self) -> impl Iterator<Item = String> {
        self.rest.iter().map_while(text)
    }
}

/// A text or a number.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The texts of a list.
pub(super) fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(values) => values.iter().map(text).collect(),
        _ => None,
    }
}
