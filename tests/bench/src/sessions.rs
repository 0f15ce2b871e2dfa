//! What a session costs to set up and to keep.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    generator::connect,
    process, report,
    server::{Cipher, Kind, PAUSE, Server},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    /// Sessions that are set up one after another
    #[arg(long, default_value_t = 200)]
    sessions: u32,
    /// Measurements of each kind; the median counts
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionCost {
    pub(crate) cpu: Duration,
    pub(crate) memory: f64,
    pub(crate) answered: Duration,
    pub(crate) connected: Duration,
}

/// The first sessions fill pools and caches.
const WARM_UP: u32 = 10;

pub(crate) fn run(plan: &Plan) -> anyhow::Result<()> {
    process::pin_to_second_core();
    let mut sessions: BTreeMap<Kind, Vec<SessionCost>> = BTreeMap::new();
    for n in 1..=plan.runs {
        for kind in [Kind::Worker, Kind::Observed, Kind::Stock] {
            report::progress(&format!("run {n} of {}: {} sessions", plan.runs, plan.sessions));
            sessions.entry(kind).or_default().push(session_cost(plan, kind)?);
        }
    }
    report::sessions(&sessions)
}

fn session_cost(plan: &Plan, kind: Kind) -> anyhow::Result<SessionCost> {
    let server = Server::start(kind, Cipher::Gcm)?;
    let warm_up = connect(&server, kind, Cipher::Gcm, 0..WARM_UP)?;
    let (cpu, memory) = (server.cpu()?, server.memory()?);
    let encoders = connect(&server, kind, Cipher::Gcm, WARM_UP..WARM_UP + plan.sessions)?;
    std::thread::sleep(PAUSE);
    let n_encoders = encoders.len() as u32;
    let cost = SessionCost {
        cpu: (server.cpu()? - cpu) / n_encoders,
        memory: server.memory()?.saturating_sub(memory) as f64 / f64::from(n_encoders),
        answered: report::median_time(encoders.iter().map(|encoder| encoder.answered)),
        connected: report::median_time(encoders.iter().map(|encoder| encoder.connected)),
    };
    drop(warm_up);
    Ok(cost)
}
