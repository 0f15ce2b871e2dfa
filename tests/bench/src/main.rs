//! What a received RTP packet costs, beside two yardsticks measured in the same run: receiving and decrypting alone, and the
//! stock `webrtc` peer connection. Also what a session costs to set up and to keep.
//!
//! Servers are processes of their own, pinned to one core; the encoders run in this one, on another. CPU time is the kernel's count
//! of nanoseconds run, of all threads of the server. Runs are interleaved, and medians are reported, because machines are shared.

mod floor;
mod generator;
mod handshake;
mod report;
mod run;
mod server;
mod stock;
mod worker;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(about = "Measures what ingest costs", version)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    plan: run::Plan,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One server, until its standard input ends. Started by the benchmark itself
    #[command(hide = true)]
    Serve { kind: server::Kind, cipher: server::Cipher },
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    match args.command {
        Some(Command::Serve {
            kind: server::Kind::Floor,
            cipher,
        }) => floor::serve(cipher),
        Some(Command::Serve {
            kind: server::Kind::Worker,
            ..
        }) => worker::serve(),
        Some(Command::Serve {
            kind: server::Kind::Stock,
            cipher,
        }) => stock::serve(cipher),
        None => run::run(&args.plan),
    }
}
