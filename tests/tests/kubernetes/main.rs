//! `whipcord controller` against a real API server with RBAC and its controllers, real gateways, workers and Redis; pods and nodes are set
//! Running and Ready by hand. `tests/k8s/controller` starts what it needs.

#![allow(clippy::unwrap_used, reason = "all of this is tests")]
#![allow(clippy::print_stdout, reason = "what was measured is shown")]

mod duties;
mod leading;
mod rights;
