//! What a publisher of a stream that is held gets, by the operator's rules; and what is done while the directory does not answer.

use std::{net::IpAddr, str::FromStr, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use whipcord_directory::{PlaceError, Placement, Session, Takeover, Unavailable};
use whipcord_identity::StreamName;

use crate::{Config, Shared, auth::Pattern, rates::network, workers::CallError};

/// A publisher that lost its stream gets it back at once when nothing has come from the holder for so long: an encoder sends every
/// 40 ms.
const HOLDER_SILENT: Duration = Duration::from_secs(2);

/// For the streams of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pattern: Pattern,
    takeover: Takeover,
}

/// What a POST gets while the directory does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum WithoutDirectory {
    /// A session on a worker last known to live; which of two of one stream stays is decided when the directory is back.
    #[default]
    Place,
    /// 503 with Retry-After.
    Refuse,
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (pattern, takeover) = text.rsplit_once('=').ok_or(RuleError)?;
        Ok(Self {
            pattern: pattern.parse().map_err(|_| RuleError)?,
            takeover: match takeover {
                "replace" => Takeover::Replace,
                "reject" => Takeover::Reject,
                "several" => Takeover::Several,
                _ => return Err(RuleError),
            },
        })
    }
}

/// Why a text is no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("PATTERN=replace, PATTERN=reject or PATTERN=several is needed, as in live/*=reject")]
pub(crate) struct RuleError;

impl Config {
    /// The first rule that matches.
    pub(crate) fn takeover(&self, stream: &StreamName) -> Takeover {
        let rule = self.takeover.iter().find(|rule| rule.pattern.matches(stream));
        rule.map_or_else(Takeover::default, |rule| rule.takeover)
    }

    /// Whether a session may be made without the directory. Of a stream that must have one publisher it may not; and data of a later
    /// version are no outage, which others have, too, but a gateway to be updated.
    pub(crate) fn places_without_directory(&self, takeover: Takeover, why: Unavailable) -> bool {
        why == Unavailable::Away && self.without_directory == WithoutDirectory::Place && takeover != Takeover::Reject
    }
}

/// By which a publisher is known again: its address, which is not to be read from the directory.
pub(crate) fn client(address: IpAddr) -> u64 {
    let hash = digest(&SHA256, network(address).to_string().as_bytes());
    let (first, _) = hash.as_ref().split_first_chunk().expect("SHA-256 has 32 bytes");
    u64::from_be_bytes(*first)
}

impl Shared {
    /// Reserves the stream; for who lost it a moment ago only when its holder is silent.
    pub(crate) async fn place(&self, placement: Placement) -> Result<Session, PlaceError> {
        match self.directory.place(&placement).await {
            Err(PlaceError::Lost { holder }) if self.is_silent(&holder).await => {
                let forced = Placement {
                    force: true,
                    ..placement
                };
                self.directory.place(&forced).await
            }
            placed => placed,
        }
    }

    async fn is_silent(&self, holder: &Session) -> bool {
        let Some(worker) = self.directory.worker(holder.owner.incarnation).await else {
            return true;
        };
        let held = self.workers.get(&worker.hello.address, holder.sid, &holder.owner).await;
        match held {
            Ok(session) => !session.end_reason.is_empty() || u128::from(session.silent_ms) >= HOLDER_SILENT.as_millis(),
            Err(CallError::NotFound) => true,
            Err(CallError::Dead) => {
                self.directory.bury(holder.owner.incarnation).await;
                true
            }
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        config: Config,
    }

    #[test]
    fn the_first_rule_that_matches_holds() {
        let flags = ["gateway", "--takeover", "live/a=several", "--takeover", "live/*=reject"];
        let config = Flags::parse_from(flags).config;
        for (stream, expected) in [
            ("live/a", Takeover::Several),
            ("live/b", Takeover::Reject),
            ("b", Takeover::Replace),
        ] {
            assert_eq!(config.takeover(&stream.parse().unwrap()), expected, "{stream}");
        }
        for broken in ["live/a", "live/a=", "live/a=keep", "=reject", "a b=reject"] {
            assert_eq!(broken.parse::<Rule>(), Err(RuleError), "{broken}");
        }
    }

    #[test]
    fn a_stream_that_must_have_one_publisher_waits_for_the_directory() {
        let config = Flags::parse_from(["gateway"]).config;
        assert!(config.places_without_directory(Takeover::Replace, Unavailable::Away));
        assert!(!config.places_without_directory(Takeover::Reject, Unavailable::Away));
        assert!(!config.places_without_directory(Takeover::Replace, Unavailable::Newer(2)));
        let config = Flags::parse_from(["gateway", "--without-directory", "refuse"]).config;
        assert!(!config.places_without_directory(Takeover::Replace, Unavailable::Away));
    }

    #[test]
    fn a_publisher_is_known_by_its_address() {
        let of = |text: &str| client(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        // All gateways of a cluster must agree, of whatever version.
        assert_eq!(of("192.0.2.1"), 0x37fc_ff24_bf62_035b);
    }
}
