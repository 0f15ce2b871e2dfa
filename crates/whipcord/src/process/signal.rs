//! SIGTERM and SIGINT: the first asks for an orderly end, the second forces one.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// As a shell reports a process that SIGINT ended.
const FORCED: i32 = 130;

/// Returns what the first signal cancels.
pub(crate) fn watch() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        let signal = next().await;
        info!(signal, "ending; a second signal ends at once");
        stopping.cancel();
        let signal = next().await;
        warn!(signal, "ending at once");
        std::process::exit(FORCED);
    });
    Ok(stop)
}
