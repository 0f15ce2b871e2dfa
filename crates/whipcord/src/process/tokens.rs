//! The keys of tokens, from files, replaced when the files change.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use whipcord_gateway::{
    Authority,
    auth::{Config, ConfigError, Keys},
};

use super::reload;

/// Those that the files hold, and what they hold later. Files that hold no keys, or those of which one does not, change nothing.
pub(crate) fn open(config: &Config, shutdown: CancellationToken) -> Result<Authority, ConfigError> {
    let config = config.clone();
    let keys = reload::load("the keys of tokens", shutdown, move || {
        let files = config.read()?;
        let keys = Keys::from_files(&files)?;
        Ok::<_, ConfigError>((files, Arc::new(keys)))
    })?;
    Ok(Authority::following(keys))
}
