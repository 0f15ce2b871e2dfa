//! The directory, in memory and in a real Redis or Valkey: one set of rules for all, and what only Redis can do to it.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bed;
mod server;
#[macro_use]
mod stores;

mod cluster;
mod cost;
mod loss;
mod outage;
mod races;
mod refusals;
mod rules;
mod sentinel;
mod snapshots;
mod takeover;
mod tls;
