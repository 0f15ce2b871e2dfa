//! The tables, and what was aimed at.

use std::{io::Write, time::Duration};

use super::{Large, Plan, PostCost, Throughput, encoder::Connections};

/// A POST in the largest cluster may cost so many times what it does in the smallest.
const FLAT: f64 = 1.3;
const IDLE_COMMANDS_MAX: f64 = 500.0;
const IDLE_BYTES_MAX: f64 = 1e6;
/// A report interval: within it Redis has all again.
const INTERVAL: Duration = Duration::from_secs(5);

pub(super) fn print(plan: &Plan, costs: &[PostCost], large: &Large) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    posts(&mut out, plan, costs)?;
    idle(&mut out, large)?;
    throughput(&mut out, large)?;
    Ok(())
}

fn posts(out: &mut impl Write, plan: &Plan, costs: &[PostCost]) -> anyhow::Result<()> {
    writeln!(
        out,
        "What a POST costs, from the encoder's connection to its worker's report, beyond what the idle cluster costs; medians of {} \
         times {} POSTs\n",
        plan.runs, plan.posts
    )?;
    writeln!(
        out,
        "| workers | Redis commands | Redis, in scripts, µs | Redis, all CPU, µs | gateway CPU, µs |\n|---|---|---|---|---|"
    )?;
    for cost in costs {
        writeln!(
            out,
            "| {} | {:.1} | {:.0} | {:.0} | {:.0} |",
            cost.workers, cost.commands, cost.script, cost.redis, cost.gateway
        )?;
    }
    if let [least, .., most] = costs {
        let times = [
            most.commands / least.commands,
            most.script / least.script,
            most.redis / least.redis,
            most.gateway / least.gateway,
        ];
        let met = times.map(|times| format!("{times:.2} × ({})", verdict(times <= FLAT)));
        writeln!(out, "| the last to the first; aim ≤ {FLAT} × | {} |", met.join(" | "))?;
    }
    Ok(())
}

fn idle(out: &mut impl Write, large: &Large) -> anyhow::Result<()> {
    let idle = large.idle.per_second();
    writeln!(
        out,
        "\n{} workers with {} sessions, one gateway, TLS with certificates between them\n",
        large.workers, large.sessions
    )?;
    writeln!(out, "| | seen | aim |\n|---|---|---|")?;
    let rows = [
        (
            "idle: Redis commands per second",
            format!("{:.0}", idle.commands),
            Some((idle.commands <= IDLE_COMMANDS_MAX, "≤ 500".to_owned())),
        ),
        (
            "idle: bytes of reports per second, as TCP carries them",
            format!("{:.0} KB", idle.sent / 1e3),
            Some((idle.sent <= IDLE_BYTES_MAX, "≤ 1 MB".to_owned())),
        ),
        (
            "idle: bytes of acknowledgements per second",
            format!("{:.0} KB", idle.received / 1e3),
            None,
        ),
        ("idle: CPU of Redis", percent(idle.redis), None),
        ("idle: CPU of the gateway", percent(idle.gateway), None),
        ("memory of the gateway", mebibytes(large.gateway_memory), None),
        ("memory of Redis", mebibytes(large.redis_memory), None),
        (
            "from no process at all until Redis knows all sessions",
            seconds(large.started),
            None,
        ),
        (
            "from FLUSHALL until Redis knows all sessions again",
            seconds(large.rebuilt),
            Some((large.rebuilt <= INTERVAL, format!("≤ {}", seconds(INTERVAL)))),
        ),
        (
            "report streams that broke, FLUSHALL's included",
            large.mishaps.broken.to_string(),
            None,
        ),
        (
            "sessions that were ended",
            large.mishaps.ended.to_string(),
            Some((large.mishaps.ended == 0, "0".to_owned())),
        ),
    ];
    for (what, seen, aim) in rows {
        let aim = aim.map_or_else(String::new, |(met, aim)| format!("{aim} ({})", verdict(met)));
        writeln!(out, "| {what} | {seen} | {aim} |")?;
    }
    Ok(())
}

fn throughput(out: &mut impl Write, large: &Large) -> anyhow::Result<()> {
    writeln!(out, "\nPOSTs that one core of the gateway's answers, in that cluster\n")?;
    writeln!(
        out,
        "| connections | POSTs/s per core | bare hyper | × its CPU | answered after | bare hyper |\n|---|---|---|---|---|---|"
    )?;
    for (connections, gateway, least) in &large.throughput {
        let connections = match connections {
            Connections::Own => "one for each POST",
            Connections::Kept => "kept",
        };
        let after = |of: &Throughput| format!("{:.2} ms", of.answered.as_secs_f64() * 1e3);
        writeln!(
            out,
            "| {connections} | {:.0} | {:.0} | {:.1} | {} | {} |",
            gateway.per_core,
            least.per_core,
            least.per_core / gateway.per_core,
            after(gateway),
            after(least),
        )?;
    }
    Ok(())
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

/// Of a core, by its microseconds in one second.
fn percent(micros: f64) -> String {
    format!("{:.1} % of a core", micros / 1e4)
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
