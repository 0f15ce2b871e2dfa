//! The binary: the process shell around the roles. It binds listeners, installs telemetry and signals, and hands them over; it
//! must not know HTTP requests, packets or files.

mod announcement;
mod args;
mod commands;
mod controller;
mod failure;
mod gateway;
mod process;
mod standalone;
mod worker;

use std::{io::Write, process::ExitCode};

use clap::Parser;

use crate::args::Args;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    match commands::run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where stderr is gone, the exit code is all that is left to say.
            let _ = writeln!(std::io::stderr(), "error: {failure}");
            failure.exit_code()
        }
    }
}
