//! What every role's process needs: log lines, signals, resources, and an address to ask whether it lives.

pub(crate) mod admin;
pub(crate) mod resources;
pub(crate) mod signal;
pub(crate) mod telemetry;
