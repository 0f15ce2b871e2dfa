//! The tables, and what they are made of.

use std::{collections::BTreeMap, io::Write, time::Duration};

use crate::{
    generator::Offload,
    looks::LookCost,
    packets::{Case, PacketCost},
    server::{Cipher, Kind},
    sessions::SessionCost,
};

pub(crate) fn name(case: &Case) -> String {
    format!(
        "{}, {}, {}",
        kind(case.kind),
        cipher(case.cipher),
        offload(case.offload)
    )
}

pub(crate) fn progress(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

pub(crate) fn packets(n_sessions: u32, rate: u32, packets: &BTreeMap<Case, Vec<PacketCost>>) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(
        out,
        "CPU of the server per received RTP packet, {rate} packets/s over {n_sessions} sessions, medians\n"
    )?;
    writeln!(
        out,
        "| cipher | datagrams | | µs | × floor | range µs | lost |\n|---|---|---|---|---|---|---|"
    )?;
    for (case, costs) in packets {
        let floor = Case {
            kind: Kind::Floor,
            ..*case
        };
        let yardstick = packets
            .get(&floor)
            .map_or(f64::NAN, |costs| median(costs.iter().map(|cost| cost.nanos)));
        let nanos = median(costs.iter().map(|cost| cost.nanos));
        let (least, most) = range(costs.iter().map(|cost| cost.nanos));
        writeln!(
            out,
            "| {} | {} | {} | {:.2} | {:.2} | {:.2}-{:.2} | {:.1} % |",
            cipher(case.cipher),
            offload(case.offload),
            kind(case.kind),
            nanos / 1e3,
            nanos / yardstick,
            least / 1e3,
            most / 1e3,
            100.0 * median(costs.iter().map(|cost| cost.lost)),
        )?;
    }
    writeln!(out, "\nTraces and metrics sent, to not sent (aim: at most 1.03)\n")?;
    writeln!(out, "| cipher | datagrams | CPU per packet |\n|---|---|---|")?;
    for (case, costs) in packets.iter().filter(|(case, _)| case.kind == Kind::Observed) {
        let without = packets.get(&Case {
            kind: Kind::Worker,
            ..*case
        });
        let nanos = |costs: &[PacketCost]| median(costs.iter().map(|cost| cost.nanos));
        let ratio = nanos(costs) / without.map_or(f64::NAN, |costs| nanos(costs));
        writeln!(
            out,
            "| {} | {} | {ratio:.3} × |",
            cipher(case.cipher),
            offload(case.offload)
        )?;
    }
    Ok(())
}

/// A look is at most one of a packet, and at the first of a picture alone.
pub(crate) fn looks(costs: &[LookCost]) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(
        out,
        "\nA look for a keyframe, beside opening the packet (AES-GCM; aim: at most 1 %)\n"
    )?;
    writeln!(out, "| codec | look, ns | opening, ns | |\n|---|---|---|---|")?;
    for LookCost {
        codec,
        nanos,
        open_nanos,
    } in costs
    {
        let share = 100.0 * nanos / open_nanos;
        writeln!(out, "| {codec} | {nanos:.1} | {open_nanos:.0} | {share:.2} % |")?;
    }
    Ok(())
}

pub(crate) fn sessions(sessions: &BTreeMap<Kind, Vec<SessionCost>>) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "A session: set up one after another on loopback, then idle\n")?;
    writeln!(
        out,
        "| | CPU to set up, µs | memory, KiB | POST to answer, ms | POST to keys, ms |\n|---|---|---|---|---|"
    )?;
    for (of, costs) in sessions {
        writeln!(
            out,
            "| {} | {:.0} | {:.0} | {:.2} | {:.2} |",
            kind(*of),
            median(costs.iter().map(|cost| cost.cpu.as_secs_f64() * 1e6)),
            median(costs.iter().map(|cost| cost.memory / 1024.0)),
            median(costs.iter().map(|cost| cost.answered.as_secs_f64() * 1e3)),
            median(costs.iter().map(|cost| cost.connected.as_secs_f64() * 1e3)),
        )?;
    }
    let cpu = |kind| {
        let costs = sessions.get(&kind);
        costs.map_or(f64::NAN, |costs| {
            median(costs.iter().map(|cost| cost.cpu.as_secs_f64()))
        })
    };
    let ratio = cpu(Kind::Observed) / cpu(Kind::Worker);
    writeln!(
        out,
        "\nTraces and metrics sent, to not sent: CPU to set up {ratio:.3} × (aim: at most 1.10)"
    )?;
    Ok(())
}

pub(crate) fn median_time(values: impl Iterator<Item = Duration>) -> Duration {
    Duration::from_secs_f64(median(values.map(|value| value.as_secs_f64())))
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, 0.0), |(least, most), value| {
        (least.min(value), most.max(value))
    })
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Floor => "floor: receive and decrypt",
        Kind::Worker => "whipcord",
        Kind::Observed => "whipcord, traces and metrics sent",
        Kind::Stock => "stock webrtc",
    }
}

fn cipher(cipher: Cipher) -> &'static str {
    match cipher {
        Cipher::Cm => "AES-CM + HMAC-SHA1",
        Cipher::Gcm => "AES-GCM",
    }
}

fn offload(offload: Offload) -> &'static str {
    match offload {
        Offload::Bursts => "GRO bursts",
        Offload::Single => "single",
    }
}
