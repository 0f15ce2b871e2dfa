//! Whole processes over loopback, with the software of this workspace alone; real encoders are in `interop`.

#![allow(clippy::unwrap_used, reason = "all of this is tests")]

mod bad_network;
mod bench_reads;
mod cluster;
mod data_channel;
mod doctor;
mod explain;
mod faults;

mod log;
mod metrics;
mod no_collector;
mod process;
mod publish;
mod readiness;
mod recordings;
mod secrets;
mod sources;
mod traces;
mod watched;
