//! What follows from a notice of the shard: its log line, spans, counts, the session's story, and its end in the list.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};
use whipcord_identity::SessionId;
use whipcord_peer::{Event, stats};
use whipcord_udp::Counters;

use crate::{
    control::Control,
    metrics::Metrics,
    notice::{self, Notice},
    setup::{Passed, Setup},
    sinks::record::Progress,
    snapshot::{Info, Snapshot},
    tally::{Counts, Tally},
    trace::session as trace,
};

/// The task that reads notices.
#[derive(Debug)]
pub(crate) struct Chronicle {
    control: Arc<Control>,
    /// Of sessions that were heard of and have not ended.
    setups: HashMap<SessionId, Setup>,
    tally: Tally,
    /// As they were last counted.
    strays: stats::Dropped,
    socket: Counters,
    metrics: Metrics,
}

/// How often what flows is counted: in time for whoever asks every 10 s or more.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Sessions that the shard is asked for at once: 0.1 ms of its time.
const LOOK_AT: usize = 100;

/// A shard answers within a turn. One that is ending waits until notices are read, and does not.
const LOOK_MAX: Duration = Duration::from_secs(1);

impl Chronicle {
    pub(crate) fn new(control: Arc<Control>) -> Self {
        Self {
            control,
            setups: HashMap::new(),
            tally: Tally::default(),
            strays: stats::Dropped::default(),
            socket: Counters::default(),
            metrics: Metrics::new(),
        }
    }

    /// Ends when the shard does.
    pub(crate) async fn run(mut self, mut notices: mpsc::Receiver<Notice>) {
        let mut looks = interval(LOOK_EVERY);
        // After a wait that was too long there is nothing to catch up with.
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                notice = notices.recv() => match notice {
                    Some(notice) => self.read(notice),
                    None => return,
                },
                _ = looks.tick() => self.look().await,
            }
        }
    }

    /// Counts what flowed since the last look. No notice is read meanwhile: those of an end come after what was seen before it.
    async fn look(&mut self) {
        let sids: Vec<_> = self.control.sessions.all().into_iter().map(|(sid, _)| sid).collect();
        for sids in sids.chunks(LOOK_AT) {
            // A shard that has no time is not asked for more.
            let Ok(Ok(snapshots)) = timeout(LOOK_MAX, self.control.shard.snapshots(sids.to_vec())).await else {
                return;
            };
            for (sid, snapshot) in snapshots {
                self.metrics.sampled(&snapshot);
                let recording = self.control.sessions.info(sid).and_then(|info| info.recording.clone());
                let disk = recording.as_deref().map(Progress::disk);
                self.control.stories.with(sid, |story| story.look(&snapshot, disk));
                self.metrics.grown(&self.tally.look(sid, Counts::of(&snapshot)));
            }
        }
    }

    fn read(&mut self, notice: Notice) {
        notice::log(&notice);
        match notice {
            Notice::Event { info, event, age } => {
                let passed = self.setups.entry(info.sid).or_default().on_event(&event, age);
                self.tell(&info, &passed);
                self.control.stories.with(info.sid, |story| story.on_event(&event, age));
                // The directory is told of it.
                if let Event::StunSeen { .. } = event {
                    self.control.sessions.changed();
                }
            }
            Notice::Keyframe { info, age } => {
                let passed = self.setups.entry(info.sid).or_default().on_keyframe(age);
                self.tell(&info, passed.as_slice());
                self.control.stories.with(info.sid, |story| story.on_keyframe(age));
            }
            Notice::Ended { info, last } => self.end(&info, &last),
            // One of them may have been a StunSeen.
            Notice::Lost { .. } => self.control.sessions.changed(),
            Notice::Dropped { strays, socket } => {
                self.metrics.dropped(&strays.since(&self.strays));
                self.metrics.socket_dropped(&socket.since(&self.socket));
                (self.strays, self.socket) = (strays, socket);
            }
            Notice::Fault { .. } => {}
        }
    }

    fn end(&mut self, info: &Info, last: &Snapshot) {
        let setup = self.setups.remove(&info.sid).unwrap_or_default();
        if let Some(reason) = last.journal.state.end() {
            self.tell(info, &setup.on_end(reason, last.age));
            trace::ended(info, last, reason);
            self.metrics.ended(reason, last.age);
        }
        self.metrics.grown(&self.tally.end(info.sid, Counts::of(last)));
        self.control.stories.end(info, last);
        self.control.sessions.end(info.sid, last.to_message(info));
    }

    fn tell(&self, info: &Info, passed: &[Passed]) {
        for passed in passed {
            trace::passed(info, passed);
            self.metrics.passed(passed);
        }
    }
}
