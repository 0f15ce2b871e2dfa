//! `whipcord drain`: takes workers out of service.

use std::io::Write as _;

use serde_json::{Value, json};

use super::{
    Failure,
    api::{self, Api, printable},
};

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Config {
    #[command(flatten)]
    api: api::Config,
    /// Worker that is to take no more sessions
    #[arg(value_name = "WORKER", required_unless_present = "all")]
    worker: Option<String>,
    /// Every worker of the cluster
    #[arg(long, conflicts_with = "worker")]
    all: bool,
    /// Seconds for which live sessions may go on
    #[arg(long, value_name = "SECONDS", default_value = "600")]
    deadline: u32,
    /// End live sessions at once
    #[arg(long, conflicts_with = "deadline")]
    now: bool,
}

/// Why it ends otherwise than asked, after every worker was asked and a line said what came of it.
#[derive(Debug, thiserror::Error)]
#[error("{failed} of {asked} workers may not drain")]
pub(crate) struct Error {
    failed: usize,
    asked: usize,
}

pub(crate) async fn run(config: &Config) -> Result<(), Failure> {
    let api = Api::new(&config.api)?;
    let deadline = if config.now { 0 } else { config.deadline };
    let workers = workers(config, &api).await?;
    let (mut failed, asked) = (0, workers.len());
    for worker in workers {
        let body = json!({"deadline_seconds": deadline});
        let drained = match api.post(&["workers", &worker, "drain"], &body).await {
            // Its own sentence says more than a count.
            Err(error) if !config.all => return Err(error.into()),
            drained => drained,
        };
        let (is_whole, line) = line(&drained, deadline);
        failed += usize::from(!is_whole);
        writeln!(std::io::stdout(), "{}", printable(&format!("{worker} {line}"))).map_err(Failure::Stdout)?;
    }
    if failed > 0 {
        return Err(Error { failed, asked }.into());
    }
    Ok(())
}

/// What came of one worker's drain, and whether all of it drains.
fn line(drained: &Result<Value, api::Error>, deadline: u32) -> (bool, String) {
    let drained = match drained {
        Ok(drained) => drained,
        Err(error) => return (false, format!("may not drain: {error}")),
    };
    let sessions = &drained["sessions"];
    let drains = format!("drains: {sessions} sessions, at most {deadline} s");
    match drained["unanswered"].as_array().map_or(0, Vec::len) {
        0 => (true, drains),
        silent => (false, format!("{drains}; {silent} more of its starts did not answer")),
    }
}

async fn workers(config: &Config, api: &Api) -> Result<Vec<String>, api::Error> {
    if let Some(worker) = &config.worker {
        return Ok(vec![worker.clone()]);
    }
    let listed = api.get(&["workers"], &[]).await?;
    let workers = listed["workers"].as_array().into_iter().flatten();
    let mut names: Vec<String> = workers
        .filter_map(|worker| worker["worker"].as_str().map(str::to_owned))
        .collect();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_drains_only_if_all_of_it_does() {
        let whole = json!({"sessions": 3, "unanswered": []});
        assert_eq!(
            line(&Ok(whole), 60),
            (true, "drains: 3 sessions, at most 60 s".to_owned())
        );
        let part = json!({"sessions": 3, "unanswered": ["0000000000000009"]});
        assert!(!line(&Ok(part), 60).0);
        let refused = line(&Err(api::Error::Refused("it is away".to_owned())), 60);
        assert_eq!(
            refused,
            (false, "may not drain: the gateway refused: it is away".to_owned())
        );
    }
}
