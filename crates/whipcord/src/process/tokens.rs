//! The keys of tokens, from files, replaced when the files change.

use tokio_util::sync::CancellationToken;
use whipcord_gateway::{
    Authority,
    auth::{Config, ConfigError},
};

use super::reload::{self, Reread};

/// Those that the files hold, and what they hold later. Files that hold no keys, or those of which one does not, change nothing.
pub(crate) fn open(config: &Config, shutdown: CancellationToken) -> Result<Authority, ConfigError> {
    let mut before = config.read()?;
    let authority = Authority::from_files(&before)?;
    let (current, config) = (authority.clone(), config.clone());
    reload::follow("the keys of tokens", shutdown, move || {
        let files = config.read()?;
        if files == before {
            return Ok::<_, ConfigError>(Reread::Same);
        }
        current.replace(&Authority::from_files(&files)?);
        before = files;
        Ok(Reread::Changed)
    });
    Ok(authority)
}
