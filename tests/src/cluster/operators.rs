//! What operators see of it, by a gateway's address for them.

use std::{collections::BTreeMap, net::SocketAddr, process::Command};

use serde::Deserialize;

use super::{ADMIN, Cluster};
use crate::{http, whipcord::binary};

impl Cluster {
    /// Where a Prometheus of this cluster's own listens.
    pub fn prometheus_address(&self) -> SocketAddr {
        (self.address(250), ADMIN).into()
    }

    /// What Prometheus would be told by the nth gateway.
    pub fn gateway_metrics(&self, n: usize) -> String {
        let url = format!("http://{}:{ADMIN}/metrics", self.gateway_address(n));
        http::request("GET", &url, &[], "").body
    }

    /// What Prometheus would be told by the nth worker.
    pub fn worker_metrics(&self, n: usize) -> String {
        let url = format!("http://{}:{ADMIN}/metrics", self.worker_address(n));
        http::request("GET", &url, &[], "").body
    }

    /// How the nth gateway sees the nth worker: `alive`, `suspect`, `draining` or `unaddressed`; `None` when it does not list it.
    pub fn health(&self, gateway: usize, worker: usize) -> Option<String> {
        #[derive(Deserialize)]
        struct Workers {
            workers: Vec<Worker>,
        }
        #[derive(Deserialize)]
        struct Worker {
            worker: String,
            health: String,
        }
        let url = format!("http://{}:{ADMIN}/api/workers", self.gateway_address(gateway));
        let authorization = format!("Bearer {}", self.token);
        let response = http::request("GET", &url, &[("Authorization", &authorization)], "");
        let listed: Workers = serde_json::from_str(&response.body)
            .unwrap_or_else(|error| panic!("/api/workers: {error}: {}", response.body));
        let name = format!("worker-{worker}");
        let of_name = |listed: Worker| (listed.worker == name).then_some(listed.health);
        listed.workers.into_iter().rev().find_map(of_name)
    }

    /// What `whipcord explain` prints of a session or a stream, asked of the nth gateway; `None` where it fails.
    pub fn explain(&self, n: usize, subject: &str, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new(binary());
        command.args(["explain", subject]).args(arguments);
        command.args(["--admin", &self.gateway_admin(n), "--token", &self.token]);
        let output = command.output().expect("it can be started");
        let text = String::from_utf8(output.stdout).expect("it is text");
        output.status.success().then_some(text)
    }

    /// How many sessions each worker says it has, asked by the operators' API of the nth gateway.
    pub fn sessions_by_worker(&self, n: usize) -> BTreeMap<String, usize> {
        #[derive(Deserialize)]
        struct Listed {
            sessions: Vec<Session>,
        }
        #[derive(Deserialize)]
        struct Session {
            worker: String,
        }
        let url = format!("http://{}:{ADMIN}/api/sessions", self.gateway_address(n));
        let authorization = format!("Bearer {}", self.token);
        let response = http::request("GET", &url, &[("Authorization", &authorization)], "");
        let listed: Listed = serde_json::from_str(&response.body)
            .unwrap_or_else(|error| panic!("/api/sessions: {error}: {}", response.body));
        let mut counts = BTreeMap::new();
        for Session { worker } in listed.sessions {
            *counts.entry(worker).or_default() += 1;
        }
        counts
    }
}
