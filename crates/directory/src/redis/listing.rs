//! A worker's sessions as Redis lists them, and what takes them out again.
//!
//! Scripts may touch only keys that their caller has declared, and a worker names ended sessions without their streams: so these
//! are read first. Where a Cluster moves the slot, a script that went by itself would find a key that is still on the other node
//! missing, and leave it there for ever.

use redis::Value;
use whipcord_identity::{Epoch, Incarnation, Owner, SessionId, StreamName};

use super::{
    CHUNK, Redis,
    reporters::Standing,
    script::{Reply, Script, text, texts},
};
use crate::SESSIONS_PER_WORKER_MAX;
use crate::{
    lock,
    values::{Lease, ReportError, Session, Unavailable},
};

/// A session in its worker's list.
#[derive(Debug)]
pub(super) struct Known {
    sid: SessionId,
    stream: StreamName,
    /// The serial of the lease that named it last.
    pub(super) confirmed: u64,
}

impl Known {
    /// `SERIAL STREAM`.
    fn read(sid: SessionId, text: &str) -> Option<Self> {
        let (confirmed, stream) = text.split_once(' ')?;
        Some(Self {
            sid,
            stream: stream.parse().ok()?,
            confirmed: confirmed.parse().ok()?,
        })
    }
}

impl Redis {
    pub(crate) async fn held(&self, lease: &Lease) -> Option<Vec<Session>> {
        let (worker, standing) = {
            let mut reporters = lock(&self.reporters);
            (reporters.worker(lease)?, reporters.standing(lease)?)
        };
        let Standing::Leased { .. } = standing else {
            return None;
        };
        let mut held = Vec::new();
        let mut cursor = Some("0".to_owned());
        while let Some(from) = cursor {
            let (page, next) = self.page(lease.incarnation, &from).await.ok()?;
            let mut arguments = vec![lease.incarnation.to_string()];
            arguments.extend(named(&page));
            let keys = self.keys(lease.incarnation, &page);
            let reply = self.link.run(&self.link.scripts.held, &keys, &arguments).await.ok()?;
            let words: Vec<String> = reply.texts().collect();
            for words in words.chunks_exact(3) {
                held.push(Session {
                    sid: words[0].parse().ok()?,
                    stream: words[1].parse().ok()?,
                    owner: Owner {
                        worker: worker.clone(),
                        incarnation: lease.incarnation,
                        epoch: Epoch(words[2].parse().ok()?),
                    },
                });
            }
            cursor = next;
        }
        // A page may name again what an earlier one named.
        held.sort_unstable_by_key(|session| session.sid);
        held.dedup();
        lock(&self.reporters).remember(lease, held.iter());
        Some(held)
    }

    /// Those of `sids` that are listed, as far as this gateway does not remember their streams: each question more would be a way to
    /// Redis and back, for which the worker's next report waits.
    pub(super) async fn known(&self, lease: &Lease, sids: &[SessionId]) -> Result<Vec<Known>, Unavailable> {
        let (told, unknown) = lock(&self.reporters).recall(lease, sids);
        let confirmed = lease.serial;
        let told = told.into_iter().map(|(sid, stream)| Known { sid, stream, confirmed });
        let mut known: Vec<Known> = told.collect();
        if !unknown.is_empty() {
            known.extend(self.listed(lease.incarnation, &unknown).await?);
        }
        Ok(known)
    }

    async fn listed(&self, incarnation: Incarnation, sids: &[SessionId]) -> Result<Vec<Known>, Unavailable> {
        let key = self.link.space.sessions(incarnation);
        let names: Vec<String> = sids.iter().map(ToString::to_string).collect();
        let mut arguments = vec![key.as_str()];
        arguments.extend(names.iter().map(String::as_str));
        let Value::Array(values) = self.link.ask("HMGET", &arguments).await? else {
            return Err(Unavailable::Away);
        };
        let listed = sids.iter().zip(&values);
        Ok(listed
            .filter_map(|(sid, value)| Known::read(*sid, &text(value)?))
            .collect())
    }

    /// About [`CHUNK`] sessions from a cursor on, and where to go on.
    pub(super) async fn page(
        &self,
        incarnation: Incarnation,
        cursor: &str,
    ) -> Result<(Vec<Known>, Option<String>), Unavailable> {
        let (key, count) = (self.link.space.sessions(incarnation), CHUNK.to_string());
        let answer = self.link.ask("HSCAN", &[&key, cursor, "COUNT", &count]).await?;
        let (next, pairs) = match &answer {
            Value::Array(parts) => match parts.as_slice() {
                [next, pairs] => text(next).zip(texts(pairs)).ok_or(Unavailable::Away)?,
                _ => return Err(Unavailable::Away),
            },
            _ => return Err(Unavailable::Away),
        };
        let known = pairs.chunks_exact(2);
        let known = known.filter_map(|pair| Known::read(pair[0].parse().ok()?, &pair[1]));
        Ok((known.collect(), (next != "0").then_some(next)))
    }

    /// Takes them out, as the script sees fit.
    pub(super) async fn forget(&self, lease: &Lease, script: &Script, known: &[Known]) -> Result<(), ReportError> {
        let keys = self.keys(lease.incarnation, known);
        self.change(lease, script, &keys, named(known).collect()).await?;
        Ok(())
    }

    /// Takes a dead incarnation's sessions out, a chunk at a time.
    pub(super) async fn clear(&self, incarnation: Incarnation, known_dead: bool) -> Result<(), Unavailable> {
        for _ in 0..=SESSIONS_PER_WORKER_MAX / CHUNK {
            let (page, _) = self.page(incarnation, "0").await?;
            let mut arguments = vec![incarnation.to_string(), u8::from(known_dead).to_string()];
            arguments.extend(named(&page));
            let keys = self.keys(incarnation, &page);
            let reply = self.link.run(&self.link.scripts.bury, &keys, &arguments).await?;
            if reply.texts().next().is_none_or(|more| more == "0") {
                break;
            }
        }
        Ok(())
    }

    /// Takes out reservations that are over. Any gateway may, and twice does no harm.
    pub(super) async fn lapse(&self, over: &[String]) -> Result<(), Unavailable> {
        if over.is_empty() {
            return Ok(());
        }
        let (mut keys, mut arguments) = (vec![self.link.space.reserved()], Vec::new());
        for member in over {
            // `INCARNATION SID STREAM`, none of which has a space.
            let words: Vec<&str> = member.split(' ').collect();
            if let [incarnation, _, stream] = words[..] {
                keys.extend([self.link.space.sessions(incarnation), self.link.space.stream(stream)]);
                arguments.extend(words.into_iter().map(str::to_owned));
            }
        }
        self.link.run(&self.link.scripts.lapse, &keys, &arguments).await?;
        Ok(())
    }

    /// A change a worker reports: counted here and there. None while it can be told to nobody.
    pub(super) async fn change(
        &self,
        lease: &Lease,
        script: &Script,
        keys: &[String],
        arguments: Vec<String>,
    ) -> Result<Option<Reply>, ReportError> {
        let standing = lock(&self.reporters).standing(lease).ok_or(ReportError::Expired)?;
        let Standing::Leased { changes } = standing else {
            return Ok(None);
        };
        let mut all = vec![
            lease.incarnation.to_string(),
            lease.serial.to_string(),
            changes.to_string(),
        ];
        all.extend(arguments);
        match self.link.run(script, keys, &all).await {
            Ok(reply) if reply.word == "ok" => {
                lock(&self.reporters).set_standing(lease, Standing::Leased { changes: changes + 1 });
                Ok(Some(reply))
            }
            Ok(reply) if reply.word == "many" => Err(ReportError::TooManySessions),
            Ok(_) | Err(Unavailable::Newer(_)) => Err(self.expired(lease)),
            Err(Unavailable::Away) => {
                // It may have been made or not.
                self.set_adrift(lease);
                Ok(None)
            }
        }
    }

    /// What was asked for a report; None where Redis did not answer, so that the worker tells all again when it is back.
    pub(super) fn told<T>(&self, lease: &Lease, answer: Result<T, Unavailable>) -> Option<T> {
        if answer.is_err() {
            self.set_adrift(lease);
        }
        answer.ok()
    }

    fn set_adrift(&self, lease: &Lease) {
        let mut reporters = lock(&self.reporters);
        let (_, adrift) = reporters.adrift();
        reporters.set_standing(lease, adrift);
    }

    fn keys(&self, incarnation: Incarnation, known: &[Known]) -> Vec<String> {
        let streams = known.iter().map(|known| self.link.space.stream(&known.stream));
        std::iter::once(self.link.space.sessions(incarnation))
            .chain(streams)
            .collect()
    }
}

/// `sid, stream` of each.
fn named(known: &[Known]) -> impl Iterator<Item = String> {
    known
        .iter()
        .flat_map(|known| [known.sid.to_string(), known.stream.to_string()])
}
