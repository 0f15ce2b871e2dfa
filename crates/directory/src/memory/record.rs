//! What is known of one worker.

use std::{collections::HashMap, time::Instant};

use whipcord_identity::{SessionId, StreamName};

use crate::{Health, Hello, Load, Worker, agreement::Agreement};

#[derive(Debug)]
pub(super) struct Record {
    pub(super) hello: Hello,
    pub(super) serial: u64,
    pub(super) health: Health,
    pub(super) renewed: Instant,
    pub(super) load: Load,
    pub(super) agreement: Agreement,
    pub(super) sessions: HashMap<SessionId, StreamName>,
}

impl From<&Record> for Worker {
    fn from(record: &Record) -> Self {
        Self {
            hello: record.hello.clone(),
            health: record.health,
            sessions: record.sessions.len(),
            load: record.load,
        }
    }
}
