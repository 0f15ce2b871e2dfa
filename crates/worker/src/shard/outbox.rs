//! Notices on their way from the shard to the task that logs them: never waiting, never losing an end.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::mpsc::{self, error::TrySendError};

use crate::{
    notice::Notice,
    snapshot::{Info, Snapshot},
};

/// Notices on their way. A session has some ten in its life, so this is 100 encoders connecting at once.
pub(crate) const NOTICES_MAX: usize = 1024;

/// The shard's end of the channel.
pub(super) struct Outbox {
    notices: mpsc::Sender<Notice>,
    /// Ends that found the channel full. Not more than there were sessions: an end takes one away, and no session is
    /// admitted in its place before its end has been read.
    ends: VecDeque<Notice>,
    /// Other notices that did.
    lost: u64,
}

impl Outbox {
    pub(super) fn new(notices: mpsc::Sender<Notice>) -> Self {
        Self {
            notices,
            ends: VecDeque::new(),
            lost: 0,
        }
    }

    pub(super) fn event(&mut self, notice: Notice) {
        self.flush();
        if self.is_backlogged() || self.notices.try_send(notice).is_err() {
            self.lost += 1;
        }
    }

    pub(super) fn end(&mut self, (info, last): (Arc<Info>, Snapshot)) {
        self.ends.push_back(Notice::Ended {
            info,
            last: Box::new(last),
        });
        self.flush();
    }

    pub(super) fn is_backlogged(&self) -> bool {
        !self.ends.is_empty()
    }

    pub(super) fn flush(&mut self) {
        while let Some(end) = self.ends.pop_front() {
            if let Err(TrySendError::Full(end)) = self.notices.try_send(end) {
                self.ends.push_front(end);
                return;
            }
        }
        if self.lost > 0 && self.notices.try_send(Notice::Lost { notices: self.lost }).is_ok() {
            self.lost = 0;
        }
    }

    /// Waits for the reader; at the end of the shard's thread.
    pub(super) fn flush_blocking(&mut self) {
        for end in self.ends.drain(..) {
            if self.notices.blocking_send(end).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault() -> Notice {
        Notice::Fault { message: String::new() }
    }

    #[test]
    fn what_finds_the_channel_full_is_counted_and_said() {
        let (sender, mut receiver) = mpsc::channel(2);
        let mut outbox = Outbox::new(sender);
        (0..5).for_each(|_| outbox.event(fault()));
        assert!(matches!(receiver.try_recv(), Ok(Notice::Fault { .. })));
        assert!(matches!(receiver.try_recv(), Ok(Notice::Fault { .. })));
        assert!(receiver.try_recv().is_err());
        outbox.flush();
        assert!(matches!(receiver.try_recv(), Ok(Notice::Lost { notices: 3 })));
    }
}
