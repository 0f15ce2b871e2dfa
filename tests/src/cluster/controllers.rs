//! The cluster's controllers, where it is on Kubernetes.

use std::{net::IpAddr, path::Path, process::Command};

use super::{ADMIN, Cluster, GRPC, place, running};
use crate::{http, whipcord::binary};

/// Its line, of which tests need nothing.
#[derive(Debug, serde::Deserialize)]
struct Ready {}

impl Cluster {
    /// Starts the nth controller, which tells the gateways named.
    pub fn start_controller(&mut self, n: usize, gateways: &[usize], kubeconfig: &Path, arguments: &[&str]) {
        let mut command = Command::new(binary());
        let file = |name: &str| self.folder.path().join(name);
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("KUBECONFIG", kubeconfig)
            .args(["controller", "--json", "--controller-id", &format!("controller-{n}")])
            .args(["--admin", &format!("{}:{ADMIN}", self.controller_address(n))])
            .arg("--internal-cert")
            .arg(file("controller.pem"))
            .arg("--internal-key")
            .arg(file("controller.key"))
            .arg("--internal-ca")
            .arg(file("ca.pem"))
            .args(arguments);
        for gateway in gateways {
            command.args(["--gateway", &format!("{}:{GRPC}", self.gateway_address(*gateway))]);
        }
        place::<Ready>(&mut self.controllers, n, &mut command);
    }

    fn controller_address(&self, n: usize) -> IpAddr {
        self.address(151 + n as u8)
    }

    /// What its probe says: `leading`, `standby`; `None` when it is not ready, or not there.
    pub fn standing(&self, n: usize) -> Option<String> {
        let url = format!("http://{}:{ADMIN}/readyz", self.controller_address(n));
        let answer = http::attempt("GET", &url, &[], "").ok()?;
        (answer.status == 200).then(|| answer.body.trim().to_owned())
    }

    pub fn kill_controller(&mut self, n: usize) {
        running(&mut self.controllers, n).kill();
    }

    pub fn terminate_controller(&mut self, n: usize) -> std::process::ExitStatus {
        running(&mut self.controllers, n).terminate()
    }

    pub fn controller_log(&mut self, n: usize) -> String {
        running(&mut self.controllers, n).log()
    }
}
