//! The plan of a run: every combination, interleaved, and what was measured.

use std::{collections::BTreeMap, time::Duration};

use anyhow::ensure;
use clap::ValueEnum;

use crate::{
    generator::{Encoder, Offload, blast},
    handshake::Dtls,
    report,
    server::{Cipher, Kind, Server},
};

/// Settles a server before its CPU time is read.
const PAUSE: Duration = Duration::from_millis(300);

#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    /// Encoders that publish at once
    #[arg(long, default_value_t = 50)]
    sessions: u32,
    /// Packets per second in all
    #[arg(long, default_value_t = 100_000)]
    rate: u32,
    /// Seconds of media per measurement
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Measurements of each kind; the median counts
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Sessions for the cost of setting up and keeping one
    #[arg(long, default_value_t = 200)]
    idle_sessions: u32,
}

/// One way of measuring packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Case {
    pub(crate) kind: Kind,
    pub(crate) cipher: Cipher,
    pub(crate) offload: Offload,
}

/// One measurement of packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PacketCost {
    pub(crate) nanos: f64,
    /// Share of the packets sent that never came out.
    pub(crate) lost: f64,
}

/// One measurement of sessions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionCost {
    pub(crate) cpu: Duration,
    pub(crate) memory: f64,
    pub(crate) answered: Duration,
    pub(crate) connected: Duration,
}

pub(crate) fn run(plan: &Plan) -> anyhow::Result<()> {
    pin_to_second_core();
    let mut packets: BTreeMap<Case, Vec<PacketCost>> = BTreeMap::new();
    let mut sessions: BTreeMap<Kind, Vec<SessionCost>> = BTreeMap::new();
    let cases: Vec<Case> = cases().collect();
    for n in 1..=plan.runs {
        for case in &cases {
            report::progress(&format!("run {n} of {}: {}", plan.runs, report::name(case)));
            packets.entry(*case).or_default().push(packet_cost(plan, *case)?);
        }
        for kind in [Kind::Worker, Kind::Stock] {
            report::progress(&format!("run {n} of {}: {} sessions", plan.runs, plan.idle_sessions));
            sessions.entry(kind).or_default().push(session_cost(plan, kind)?);
        }
    }
    report::print(plan.sessions, plan.rate, &packets, &sessions)
}

fn cases() -> impl Iterator<Item = Case> {
    [Cipher::Gcm, Cipher::Cm].into_iter().flat_map(|cipher| {
        [Offload::Bursts, Offload::Single].into_iter().flat_map(move |offload| {
            Kind::value_variants().iter().map(move |kind| Case {
                kind: *kind,
                cipher,
                offload,
            })
        })
    })
}

fn packet_cost(plan: &Plan, case: Case) -> anyhow::Result<PacketCost> {
    let server = Server::start(case.kind, case.cipher)?;
    let mut encoders = connect(&server, case.kind, case.cipher, plan.sessions)?;
    // One burst each, so that every stream is known before the clock runs.
    let warm_up: u64 = encoders
        .iter_mut()
        .map(|encoder| encoder.send_burst(case.offload, 8) as u64)
        .sum();
    std::thread::sleep(PAUSE);
    let before = server.cpu()?;
    let sent = blast(
        &mut encoders,
        case.offload,
        plan.rate,
        Duration::from_secs_f64(plan.seconds),
    );
    std::thread::sleep(PAUSE);
    let cpu = server.cpu()? - before;
    let received = server.finish()?.saturating_sub(warm_up);
    ensure!(received > 0, "{}: nothing was received", report::name(&case));
    let lost = 1.0 - received as f64 / sent as f64;
    Ok(PacketCost {
        nanos: cpu.as_nanos() as f64 / received as f64,
        lost,
    })
}

fn session_cost(plan: &Plan, kind: Kind) -> anyhow::Result<SessionCost> {
    let server = Server::start(kind, Cipher::Gcm)?;
    // The first sessions fill pools and caches.
    let warm_up = connect(&server, kind, Cipher::Gcm, 10)?;
    let (cpu, memory) = (server.cpu()?, server.memory()?);
    let encoders = connect_from(&server, kind, Cipher::Gcm, 10, plan.idle_sessions)?;
    std::thread::sleep(PAUSE);
    let n_encoders = encoders.len() as u32;
    let cost = SessionCost {
        cpu: (server.cpu()? - cpu) / n_encoders,
        memory: server.memory()?.saturating_sub(memory) as f64 / f64::from(n_encoders),
        answered: report::median_time(encoders.iter().map(|encoder| encoder.answered)),
        connected: report::median_time(encoders.iter().map(|encoder| encoder.connected)),
    };
    drop(warm_up);
    Ok(cost)
}

fn connect(server: &Server, kind: Kind, cipher: Cipher, n_encoders: u32) -> anyhow::Result<Vec<Encoder>> {
    connect_from(server, kind, cipher, 0, n_encoders)
}

fn connect_from(
    server: &Server,
    kind: Kind,
    cipher: Cipher,
    first: u32,
    n_encoders: u32,
) -> anyhow::Result<Vec<Encoder>> {
    let dtls = Dtls::new(cipher)?;
    let range = first..first + n_encoders;
    match kind {
        Kind::Floor => range.map(|n| Encoder::keyed(server.address, cipher, n)).collect(),
        Kind::Worker | Kind::Stock => range.map(|n| Encoder::connect(server.address, &dtls, n)).collect(),
    }
}

/// The servers have the first. Best effort: on one core everything shares it, and the ratios still hold.
fn pin_to_second_core() {
    let pid = std::process::id().to_string();
    let _ = std::process::Command::new("taskset").args(["-cp", "1", &pid]).output();
}
