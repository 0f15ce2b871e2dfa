//! What the sessions of a port have to say, until the shell polls it.

use std::collections::VecDeque;

use crate::{Event, Path, SessionKey};

/// Datagrams waiting to be sent. The shell empties the queue after every batch of at most some hundred datagrams, each of
/// which causes one or two replies; the oldest goes first when a shell does not keep up, as in any network.
const TRANSMITS_MAX: usize = 4096;
/// Buffers kept for reuse: one batch's worth of replies.
const SPARE_MAX: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Outputs {
    transmits: VecDeque<(Path, Vec<u8>)>,
    spare: Vec<Vec<u8>>,
    pub(crate) events: VecDeque<(SessionKey, Event)>,
    /// Sessions that got their keys while media was held for them.
    pub(crate) held: VecDeque<SessionKey>,
    /// For the routes.
    pub(crate) ssrcs: Vec<(SessionKey, SsrcChange)>,
    pub(crate) ufrags_gone: Vec<String>,
}

/// An SSRC became a session's, or is no longer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SsrcChange {
    New(u32),
    Gone(u32),
}

impl Outputs {
    pub(crate) fn of(&mut self, key: SessionKey) -> Output<'_> {
        Output { all: self, key }
    }

    pub(crate) fn pop_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Path> {
        let (path, datagram) = self.transmits.pop_front()?;
        let used = std::mem::replace(buffer, datagram);
        if self.spare.len() < SPARE_MAX {
            self.spare.push(used);
        }
        Some(path)
    }
}

/// One session's way out.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    all: &'a mut Outputs,
    key: SessionKey,
}

impl Output<'_> {
    pub(crate) fn event(&mut self, event: Event) {
        self.all.events.push_back((self.key, event));
    }

    /// Sends what `write` puts into the empty buffer it is given; nothing if it puts nothing.
    pub(crate) fn transmit(&mut self, path: Path, write: impl FnOnce(&mut Vec<u8>)) {
        let mut datagram = self.all.spare.pop().unwrap_or_default();
        datagram.clear();
        write(&mut datagram);
        if datagram.is_empty() {
            self.all.spare.push(datagram);
            return;
        }
        if self.all.transmits.len() >= TRANSMITS_MAX {
            self.all.transmits.pop_front();
        }
        self.all.transmits.push_back((path, datagram));
    }

    pub(crate) fn ssrc_new(&mut self, ssrc: u32) {
        self.all.ssrcs.push((self.key, SsrcChange::New(ssrc)));
    }

    pub(crate) fn ssrc_gone(&mut self, ssrc: u32) {
        self.all.ssrcs.push((self.key, SsrcChange::Gone(ssrc)));
    }

    pub(crate) fn ufrag_gone(&mut self, ufrag: String) {
        self.all.ufrags_gone.push(ufrag);
    }

    /// Media was held and can be opened now.
    pub(crate) fn held(&mut self) {
        self.all.held.push_back(self.key);
    }
}
