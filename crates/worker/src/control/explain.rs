//! What a session has been through, while it lives and for an hour after.

use whipcord_identity::{SessionId, StreamName};
use whipcord_proto::worker::ExplainSessionResponse;

use super::{Control, Error};
use crate::{sessions::LookUpError, shard::Busy};

impl Control {
    /// Of a stream the session that lives, else the one that ended last.
    pub(crate) fn session_of(&self, stream: &StreamName) -> Option<SessionId> {
        let living = self.sessions.newest_of(stream);
        living.or_else(|| self.stories.last_of(stream))
    }

    pub(crate) async fn explain(&self, sid: SessionId) -> Result<ExplainSessionResponse, Error> {
        let mut changes = self.sessions.changes();
        loop {
            if let Some(last) = self.stories.ended(sid) {
                return Ok(last);
            }
            let info = self.sessions.info(sid).ok_or(LookUpError::NotFound)?;
            if let Some((_, snapshot)) = self.shard.snapshots(vec![sid]).await?.pop() {
                return Ok(self.stories.explain(&info, &snapshot));
            }
            // The shard has ended it, and that is on its way here.
            changes.changed().await.map_err(|_| Busy)?;
        }
    }
}
