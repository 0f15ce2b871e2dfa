//! `whipcord drain`: takes workers out of service.

use std::io::Write as _;

use serde_json::json;

use super::{
    Failure,
    api::{self, Api, Error},
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

pub(crate) async fn run(config: &Config) -> Result<(), Failure> {
    let api = Api::new(&config.api)?;
    let deadline = if config.now { 0 } else { config.deadline };
    for worker in workers(config, &api).await? {
        let drained = api
            .post(&["workers", &worker, "drain"], &json!({"deadline_seconds": deadline}))
            .await?;
        let sessions = &drained["sessions"];
        writeln!(
            std::io::stdout(),
            "{worker} drains: {sessions} sessions, at most {deadline} s"
        )
        .map_err(Failure::Stdout)?;
    }
    Ok(())
}

async fn workers(config: &Config, api: &Api) -> Result<Vec<String>, Error> {
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
