//! Refused requests, as Redis keeps them: see the module of that name above.

use super::{Redis, script::Space};
use crate::{REFUSALS_KEPT, REFUSALS_MAX, RefusedRequest, Told, values::Unavailable};
use std::time::Duration;
use whipcord_identity::StreamName;

fn keys(space: &Space) -> [String; 2] {
    [space.refused(true), space.refused(false)]
}

fn limits() -> [String; 2] {
    [REFUSALS_KEPT.as_millis().to_string(), REFUSALS_MAX.to_string()]
}

impl Redis {
    pub(crate) async fn refused(&self, refusals: &[(RefusedRequest, Duration)]) -> Result<(), Unavailable> {
        let mut arguments = Vec::from(limits());
        for (RefusedRequest { stream, what, proven }, age) in refusals {
            let (proven, age) = (u8::from(*proven), age.as_millis());
            arguments.extend([proven.to_string(), age.to_string(), format!("{what} {stream}")]);
        }
        let keys = keys(&self.link.space);
        self.link.run(&self.link.scripts.refuse, &keys, &arguments).await?;
        Ok(())
    }

    pub(crate) async fn refusals(&self, stream: &StreamName) -> Result<Told, Unavailable> {
        let mut arguments = Vec::from(limits());
        arguments.push(stream.to_string());
        let keys = keys(&self.link.space);
        let reply = self.link.run(&self.link.scripts.refusals, &keys, &arguments).await?;
        let words: Vec<String> = reply.texts().collect();
        let read = |words: &[String]| {
            let refusal = RefusedRequest {
                stream: stream.clone(),
                what: words[1].clone(),
                proven: words[0] == "1",
            };
            Some((refusal, Duration::from_millis(words[2].parse().ok()?)))
        };
        Ok(Told {
            refusals: words.chunks_exact(3).filter_map(read).collect(),
            is_complete: reply.word == "ok",
        })
    }
}
