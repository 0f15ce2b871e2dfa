//! How its processes end, or stand still: by themselves, by a signal, at once.

use std::process::ExitStatus;

use rustix::process::Signal;

use super::{Cluster, running};

impl Cluster {
    pub fn kill_gateway(&mut self, n: usize) {
        running(&mut self.gateways, n).kill();
    }

    pub fn kill_worker(&mut self, n: usize) {
        running(&mut self.workers, n).kill();
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate_gateway(&mut self, n: usize) -> ExitStatus {
        running(&mut self.gateways, n).terminate()
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate_worker(&mut self, n: usize) -> ExitStatus {
        running(&mut self.workers, n).terminate()
    }

    /// How the nth worker ended, if it has.
    pub fn worker_ended(&mut self, n: usize) -> Option<ExitStatus> {
        running(&mut self.workers, n).ended()
    }

    pub fn signal_worker(&mut self, n: usize, signal: Signal) {
        running(&mut self.workers, n).signal(signal);
    }

    pub fn signal_gateway(&mut self, n: usize, signal: Signal) {
        running(&mut self.gateways, n).signal(signal);
    }

    /// SIGSTOP, and waits until all of it stands still.
    pub fn stop_worker(&mut self, n: usize) {
        running(&mut self.workers, n).stop();
    }

    /// SIGSTOP, and waits until all of it stands still.
    pub fn stop_gateway(&mut self, n: usize) {
        running(&mut self.gateways, n).stop();
    }
}
