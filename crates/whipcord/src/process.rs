//! What every role's process needs: log lines, signals, resources, and an address to ask whether it lives.

pub(crate) mod admin;
pub(crate) mod clock;
pub(crate) mod internal;
pub(crate) mod keys;
pub(crate) mod listen;
mod places;
mod reload;
pub(crate) mod resources;
pub(crate) mod signal;
pub(crate) mod telemetry;
pub(crate) mod tls;
pub(crate) mod tokens;

/// From the system's generator: for keys, and for what must not be guessed.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random numbers never fail once the process runs");
    bytes
}
