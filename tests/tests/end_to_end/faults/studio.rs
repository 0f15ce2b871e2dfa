//! The publisher beside a fault: real media with numbered pictures, of which none may be missing.

use std::{process::Child, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use whipcord_tests::{cluster::Cluster, eventually, pattern, recording::Recording};

use crate::cluster::{finish, live_with};

/// A recording is whole soon after its session's end; a loaded machine gets this long.
const FINISHED: Duration = Duration::from_secs(20);

/// Packets after all that happened: a second of them.
const GOES_ON: u64 = 200;

/// From one picture to the next. Less is no gap: none is missing ([`Studio::finish`] sees to that), and a round of the file is as long as its
/// sound, which ends up to 20 ms after the picture.
pub(super) const PICTURE: Duration = Duration::from_millis(33);

/// It publishes the pattern, over and over, until it is told to stop.
pub(super) struct Studio {
    child: Child,
    gateway: usize,
    stream: String,
}

impl Studio {
    /// Once its media arrives.
    pub(super) fn live(cluster: &Cluster, gateway: usize, stream: &str) -> Self {
        let child = live_with(cluster, gateway, stream, &["--loop"]);
        Self {
            child,
            gateway,
            stream: stream.to_owned(),
        }
    }

    /// Ends it, once media has gone on after all that happened: each picture that it sent is in its one recording, in its order. The longest gap in there, and how many pictures.
    #[track_caller]
    pub(super) fn finish(self, cluster: &Cluster) -> (Duration, usize) {
        let received = || {
            let mut sessions = cluster.sessions(self.gateway).into_values();
            let studio = sessions.find(|session| session.stream == self.stream);
            studio.expect("its session lives").packets_received
        };
        let before = received();
        eventually("media goes on", FINISHED, || {
            (received() > before + GOES_ON).then_some(())
        });
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let (code, summary, stderr) = finish(self.child);
        assert_eq!(code, Some(0), "{stderr}");
        let sent = summary["frames_sent"].as_u64().unwrap() as usize;
        let recording = eventually("the recording is whole", FINISHED, || {
            let files = cluster.recordings(&self.stream);
            assert!(files.len() <= 1, "one session from beginning to end: {files:?}");
            Some(Recording::read_silent(files.first()?)).filter(|recording| recording.pictures.len() >= sent)
        });
        for (expected, picture) in pattern::numbers().zip(&recording.pictures) {
            assert_eq!(picture.number, Some(expected), "at {} s", picture.at);
        }
        assert_eq!((recording.complaints.as_str(), recording.pictures.len()), ("", sent));
        let gap = recording.longest_gap() - 1.0 / pattern::RATE;
        (Duration::from_secs_f64(gap.max(0.0)), sent)
    }
}
