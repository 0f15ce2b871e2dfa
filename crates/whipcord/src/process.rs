//! What every role's process needs: log lines, signals, and an address to ask whether it lives.

pub(crate) mod admin;
pub(crate) mod signal;
pub(crate) mod telemetry;
