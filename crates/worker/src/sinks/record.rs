//! Recordings: a file per session, growing and playable at any moment.
//!
//! A few writer threads share all recordings. A thread per session would be 1000 threads for 1000 encoders, each awake for
//! microseconds; a task on the runtime would hold a runtime's thread while a disk stalls. A writer looks at its recordings
//! every 20 ms by itself: nobody waits for a file, and so the shard wakes nobody.
//!
//! Bytes go to the kernel fragment by fragment and are not forced to the medium: they survive the end of this process, not
//! that of the machine. Not here: how media becomes bytes (the media crate), what is published where (sessions).

mod file;
mod job;
mod layers;
mod progress;
mod read;
mod sink;

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use opentelemetry::Context;
use tracing::{error, warn};
use whipcord_identity::{SessionId, StreamName};
use whipcord_media::{Container, Recording, TrackSpec, Unsupported};
use whipcord_whip::Section;

use crate::{
    codec,
    tap::{RING_BYTES, Tap, tap},
    voice::Voice,
};
use job::{Going, Job};
pub(crate) use progress::{Disk, Progress};
pub(crate) use read::Recorded;
use sink::{Sink, Source};

/// How often a writer looks at its recordings. 20 ms of 100 Mbit/s are a quarter of a tap's ring.
const TICK: Duration = Duration::from_millis(20);

/// Writers at most: they wait for one disk, and muxing is some 2 % of a core for 100 encoders.
const WRITERS_MAX: usize = 4;

/// Recordings on their way to a writer, which takes them every 20 ms: more than are created in that time.
const STARTING_MAX: usize = 1024;

/// The way to the writers, and the folder they write to.
#[derive(Debug)]
pub(crate) struct Recorder {
    folder: PathBuf,
    writers: Vec<SyncSender<Order>>,
    next: AtomicUsize,
    totals: Arc<Totals>,
}

/// Of all recordings since the start.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Written to files.
    pub(crate) bytes: AtomicU64,
    /// Times that a disk began to refuse a recording, and recordings that a defect ended.
    pub(crate) errors: AtomicU64,
}

/// What a writer is told.
#[derive(Debug)]
enum Order {
    Record(Box<Job>),
    /// Take no more; end with the last recording.
    Finish,
}

/// The writers' threads.
#[derive(Debug)]
pub(crate) struct Writers(Vec<JoinHandle<()>>);

/// A recording that began: where its media goes in, and how far it is.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) tap: Tap,
    pub(crate) progress: Arc<Progress>,
}

/// Why a session is not recorded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    #[error("the writers do not take more recordings")]
    Busy,
}

impl Recorder {
    /// Makes the folder and starts the writers.
    pub(crate) fn start(folder: PathBuf, voice: &Voice) -> io::Result<(Self, Writers)> {
        std::fs::create_dir_all(&folder)?;
        let writers = std::thread::available_parallelism().map_or(1, |n| n.get().min(WRITERS_MAX));
        let started = (0..writers)
            .map(|number| start_writer(number, voice.clone()))
            .collect::<io::Result<Vec<_>>>()?;
        let (writers, threads) = started.into_iter().unzip();
        Ok((
            Self {
                folder,
                writers,
                next: AtomicUsize::new(0),
                totals: Arc::default(),
            },
            Writers(threads),
        ))
    }

    /// Begins a recording; it ends when the tap is dropped. `started` is when the session's arrival times begin.
    pub(crate) fn record(
        &self,
        stream: &StreamName,
        sid: SessionId,
        sections: &[Section],
        started: Instant,
        trace: Context,
    ) -> Result<Started, Error> {
        let (job, started) = self.job(stream, sid, sections, started, trace)?;
        let writer = &self.writers[self.next.fetch_add(1, Ordering::Relaxed) % self.writers.len()];
        writer.try_send(Order::Record(Box::new(job))).map_err(|_| Error::Busy)?;
        Ok(started)
    }

    fn job(
        &self,
        stream: &StreamName,
        sid: SessionId,
        sections: &[Section],
        started: Instant,
        trace: Context,
    ) -> Result<(Job, Started), Error> {
        let tracks = sections.iter().map(spec).collect::<Vec<_>>();
        let recording = Recording::new(&tracks)?;
        let layers = sections.iter().map(|section| section.rids.len().max(1)).sum();
        let progress = Arc::new(Progress::new(below(stream, sid, recording.container()), layers));
        let file = file::File::new(self.folder.join(progress.path()));
        let sources = sections.iter().zip(&tracks);
        let sources = sources
            .map(|(section, spec)| Source::new(section, spec.codec))
            .collect();
        let (tap, feed) = tap(RING_BYTES);
        let sink = Sink::new(recording, sources, Arc::clone(&progress));
        let job = Job::new(feed, sink, file, started, trace, Arc::clone(&self.totals));
        Ok((job, Started { tap, progress }))
    }

    pub(crate) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Takes no more recordings, and lets the writers end with those they have.
    pub(crate) fn finish(&self) {
        for writer in &self.writers {
            // One that is gone has nothing to finish.
            let _ = writer.send(Order::Finish);
        }
    }
}

impl Writers {
    /// After [`Recorder::finish`]: waits until every recording has ended, as each does when its tap is dropped. Blocks.
    pub(crate) fn join(self, deadline: Instant) {
        for thread in self.0 {
            while !thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(TICK / 4);
            }
            if !thread.is_finished() {
                error!("a recording could not be finished: its disk does not answer");
            } else if thread.join().is_err() {
                error!("a writer of recordings ended by a defect; please report it");
            }
        }
    }
}

/// A recording's path below the recordings folder. Every segment of a stream's name is a plain file name, and so is a session's id:
/// that is the types' promise.
fn below(stream: &StreamName, sid: SessionId, container: Container) -> String {
    format!("{stream}/{sid}.{}", container.extension())
}

fn start_writer(number: usize, voice: Voice) -> io::Result<(SyncSender<Order>, JoinHandle<()>)> {
    let (orders, receiver) = sync_channel(STARTING_MAX);
    let thread = std::thread::Builder::new()
        .name(format!("record-{number}"))
        .spawn(move || run(&receiver, &voice))?;
    Ok((orders, thread))
}

fn run(orders: &Receiver<Order>, voice: &Voice) {
    let mut live: Vec<Job> = Vec::new();
    let mut next = Instant::now();
    loop {
        let wait = next.saturating_duration_since(Instant::now());
        let order = if live.is_empty() {
            orders.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            orders.recv_timeout(wait)
        };
        match order {
            Ok(Order::Record(job)) => live.push(*job),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Order::Finish) | Err(RecvTimeoutError::Disconnected) => return finish(live, voice),
        }
        let now = Instant::now();
        if now >= next {
            if voice.may_speak() {
                live.retain_mut(|job| step(job, now));
            }
            // From after the work: a slow disk does not make this loop spin.
            next = Instant::now() + TICK;
        }
    }
}

fn finish(mut live: Vec<Job>, voice: &Voice) {
    while !live.is_empty() {
        if !voice.may_speak() {
            warn!(
                recordings = live.len(),
                "recordings end without their last fragment: whose their streams are is not known"
            );
            return;
        }
        live.retain_mut(|job| step(job, Instant::now()));
        std::thread::sleep(TICK / 4);
    }
}

/// Whether it goes on. A defect in the making of a file ends that file, no other.
fn step(job: &mut Job, now: Instant) -> bool {
    let going = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.step(now)));
    match going {
        Ok(Going::On) => return true,
        Ok(Going::Done) => job.tell_end(false),
        Err(_) => {
            error!(
                recording = job.path(),
                "a recording ended by a defect; please report it"
            );
            job.tell_end(true);
        }
    }
    false
}

fn spec(section: &Section) -> TrackSpec {
    TrackSpec {
        codec: codec::in_media(section.codec),
        clock_rate: section.clock_rate,
        channels: section.channels,
    }
}

#[cfg(test)]
mod tests;
