//! What a received RTP packet costs, beside two yardsticks measured in the same run: receiving and decrypting alone, and the
//! stock `webrtc` peer connection; what a session costs to set up and to keep; and what a cluster of a thousand workers costs that
//! carry no media.
//!
//! Servers are processes of their own, pinned to one core; the encoders run in this one, on another. CPU time is the kernel's count
//! of nanoseconds run, of all threads of the server. Runs are interleaved, and medians are reported, because machines are shared.

mod cluster;
mod floor;
mod generator;
mod handshake;
mod looks;
mod observed;
mod packets;
mod process;
mod report;
mod server;
mod sessions;
mod stock;
mod worker;

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(about = "Measures what ingest costs: all of it, or one part", version)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What a received packet costs
    Packets(packets::Plan),
    /// What a session costs to set up and to keep
    Sessions(sessions::Plan),
    /// What a large cluster costs its Redis, its gateways and the network between
    Cluster(cluster::Plan),
    /// One server, until its standard input ends. Started by the benchmark itself
    #[command(hide = true)]
    Serve {
        kind: server::Kind,
        cipher: server::Cipher,
        #[arg(long)]
        collector: Option<SocketAddr>,
    },
    /// An HTTP server that says 201. Started by the benchmark itself
    #[command(hide = true)]
    ServeHttp,
}

/// What is run where nothing is named, each in a process of its own: the first ones pin theirs to a core.
const PARTS: [&str; 3] = ["packets", "sessions", "cluster"];

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    match args.command {
        Some(Command::Packets(plan)) => packets::run(&plan),
        Some(Command::Sessions(plan)) => sessions::run(&plan),
        Some(Command::Cluster(plan)) => cluster::run(&plan),
        Some(Command::Serve {
            kind: server::Kind::Floor,
            cipher,
            ..
        }) => floor::serve(cipher),
        Some(Command::Serve {
            kind: server::Kind::Worker | server::Kind::Observed,
            collector,
            ..
        }) => worker::serve(collector),
        Some(Command::Serve {
            kind: server::Kind::Stock,
            cipher,
            ..
        }) => stock::serve(cipher),
        Some(Command::ServeHttp) => cluster::serve_http(),
        None => PARTS.iter().try_for_each(|part| run_part(part)),
    }
}

fn run_part(part: &str) -> anyhow::Result<()> {
    let status = std::process::Command::new(std::env::current_exe()?).arg(part).status();
    ensure!(status.context("this program again")?.success(), "{part} failed");
    Ok(())
}
