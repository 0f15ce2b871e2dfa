//! What a packet costs: every way to receive one, interleaved, and what was measured.

use std::{collections::BTreeMap, time::Duration};

use anyhow::ensure;
use clap::ValueEnum;

use crate::{
    generator::{Offload, blast, connect},
    looks, process, report,
    server::{Cipher, Kind, PAUSE, Server},
};

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

pub(crate) fn run(plan: &Plan) -> anyhow::Result<()> {
    process::pin_to_second_core();
    let mut packets: BTreeMap<Case, Vec<PacketCost>> = BTreeMap::new();
    let cases: Vec<Case> = cases().collect();
    for n in 1..=plan.runs {
        for case in &cases {
            report::progress(&format!("run {n} of {}: {}", plan.runs, report::name(case)));
            packets.entry(*case).or_default().push(packet_cost(plan, *case)?);
        }
    }
    report::packets(plan.sessions, plan.rate, &packets)?;
    report::looks(&looks::costs()?)
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
    let mut encoders = connect(&server, case.kind, case.cipher, 0..plan.sessions)?;
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
