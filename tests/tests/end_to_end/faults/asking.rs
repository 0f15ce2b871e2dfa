//! Questions that are asked all the time while something else happens, and what they were answered.

use std::{
    collections::BTreeMap,
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use whipcord_tests::{cluster::Cluster, http};

use super::OFFER;

/// Between two questions of one thread: the machine is for the cluster.
const PAUSE: Duration = Duration::from_millis(5);
/// No test lasts longer; a thread that nobody stops ends by then.
const LONGEST: Duration = Duration::from_secs(300);

/// How often each status was the answer.
pub(super) type Statuses = BTreeMap<u16, usize>;

/// One thread for each question; they end with this.
pub(super) struct Asking {
    stop: Vec<Sender<()>>,
    threads: Vec<JoinHandle<Statuses>>,
}

impl Asking {
    pub(super) fn start(questions: Vec<Box<dyn FnMut() -> u16 + Send>>) -> Self {
        let ask = |mut question: Box<dyn FnMut() -> u16 + Send>| {
            let (stop, stopped) = channel();
            let begun = Instant::now();
            let thread = thread::spawn(move || {
                let mut statuses = Statuses::new();
                while begun.elapsed() < LONGEST && stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                    *statuses.entry(question()).or_default() += 1;
                }
                statuses
            });
            (stop, thread)
        };
        let (stop, threads) = questions.into_iter().map(ask).unzip();
        Self { stop, threads }
    }

    /// GET of each of these paths in turn, by each gateway. `paths` without a hint need the token.
    pub(super) fn for_sessions(cluster: &Cluster, gateways: &[usize], paths: &[String]) -> Self {
        let question = |gateway: &usize| -> Box<dyn FnMut() -> u16 + Send> {
            let (origin, authorization) = (cluster.origin(*gateway), format!("Bearer {}", cluster.token()));
            let (paths, mut turns) = (paths.to_vec(), 0..);
            Box::new(move || {
                let url = format!("{origin}{}", paths[turns.next().unwrap_or(0) % paths.len()]);
                status(http::attempt("GET", &url, &[("Authorization", &authorization)], ""))
            })
        };
        Self::start(gateways.iter().map(question).collect())
    }

    /// A POST for each of these streams in turn, by each gateway: another encoder's.
    pub(super) fn knocking(cluster: &Cluster, gateways: &[usize], streams: &[String]) -> Self {
        let question = |gateway: &usize| -> Box<dyn FnMut() -> u16 + Send> {
            let (origin, authorization) = (cluster.origin(*gateway), format!("Bearer {}", cluster.token()));
            let (streams, mut turns) = (streams.to_vec(), 0..);
            Box::new(move || {
                let url = format!("{origin}/whip/{}", streams[turns.next().unwrap_or(0) % streams.len()]);
                let headers = [
                    ("Authorization", authorization.as_str()),
                    ("Content-Type", "application/sdp"),
                ];
                status(http::attempt("POST", &url, &headers, OFFER))
            })
        };
        Self::start(gateways.iter().map(question).collect())
    }

    /// Stops them. What all were answered.
    pub(super) fn finish(self) -> Statuses {
        drop(self.stop);
        let mut all = Statuses::new();
        for thread in self.threads {
            for (status, times) in thread.join().unwrap() {
                *all.entry(status).or_default() += times;
            }
        }
        all
    }
}

/// 0 where there was no answer.
fn status(answer: std::io::Result<http::Response>) -> u16 {
    answer.map_or(0, |response| response.status)
}
