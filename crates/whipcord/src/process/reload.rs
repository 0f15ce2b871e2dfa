//! Files that are read again while the process runs: keys and certificates are rotated without a restart.

use std::{fmt::Display, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// An orchestrator takes a minute to bring a changed secret into a file system.
const EVERY: Duration = Duration::from_secs(10);

/// What reading them again came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reread {
    Changed,
    Same,
}

/// Loads now, and again whenever what is read changes.
pub(crate) fn load<C, T, E>(
    what: &'static str,
    shutdown: CancellationToken,
    load: impl Fn() -> Result<(C, T), E> + Send + 'static,
) -> Result<watch::Receiver<T>, E>
where
    E: Display + Send + 'static,
    C: PartialEq + Send + 'static,
    T: Send + Sync + 'static,
{
    let (mut current, first) = load()?;
    let (sender, receiver) = watch::channel(first);
    follow(what, shutdown, move || {
        let (contents, made) = load()?;
        if contents == current {
            return Ok::<_, E>(Reread::Same);
        }
        sender.send_replace(made);
        current = contents;
        Ok(Reread::Changed)
    });
    Ok(receiver)
}

/// Reads `what` again and again until `shutdown`. What cannot be read leaves what was read before, and is said once.
pub(crate) fn follow<E: Display + Send + 'static>(
    what: &'static str,
    shutdown: CancellationToken,
    mut read: impl FnMut() -> Result<Reread, E> + Send + 'static,
) {
    tokio::spawn(async move {
        let mut complained = false;
        while shutdown.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            // Files may lie on a network.
            let reading = tokio::task::spawn_blocking(move || (read(), read));
            let Ok((outcome, again)) = reading.await else { return };
            read = again;
            match &outcome {
                Ok(Reread::Changed) => info!(what, "read again"),
                Err(error) if !complained => {
                    warn!(what, %error, "cannot be read again; going on with what was read before");
                }
                Ok(Reread::Same) | Err(_) => {}
            }
            complained = outcome.is_err();
        }
    });
}
