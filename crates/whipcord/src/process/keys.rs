//! Key sets from files, replaced when the files change or when a key's time to mint has come.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use tokio_util::sync::CancellationToken;
use whipcord_identity::{
    IceKeys, SessionKeys,
    key::{FileError, KeyFile},
};
use zeroize::Zeroizing;

use super::reload::{self, Reread};

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read the keys in {}: {error}; whipcord keygen makes them", file.display())]
    Read { file: PathBuf, error: io::Error },
    #[error("{}: {error}", file.display())]
    Parse { file: PathBuf, error: FileError },
}

pub(crate) fn session(file: &Path, shutdown: CancellationToken) -> Result<SessionKeys, Error> {
    let keys = read(file)?.1.session_keys(now());
    let current = keys.clone();
    follow("the session keys", file, shutdown, move |file| {
        current.replace(&file.session_keys(now()));
    })?;
    Ok(keys)
}

pub(crate) fn ice(file: &Path, shutdown: CancellationToken) -> Result<IceKeys, Error> {
    let keys = read(file)?.1.ice_keys(now());
    let current = keys.clone();
    follow("the ICE keys", file, shutdown, move |file| {
        current.replace(&file.ice_keys(now()));
    })?;
    Ok(keys)
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn follow(
    what: &'static str,
    file: &Path,
    shutdown: CancellationToken,
    replace: impl Fn(&KeyFile) + Send + 'static,
) -> Result<(), Error> {
    let (mut before, _) = read(file)?;
    let file = file.to_owned();
    reload::follow(what, shutdown, move || {
        let (text, keys) = read(&file)?;
        // Also when the file is the same: time goes on.
        replace(&keys);
        let reread = if text == before { Reread::Same } else { Reread::Changed };
        before = text;
        Ok::<_, Error>(reread)
    });
    Ok(())
}

fn read(file: &Path) -> Result<(Zeroizing<String>, KeyFile), Error> {
    let text = fs::read_to_string(file).map_err(|error| Error::Read {
        file: file.to_owned(),
        error,
    })?;
    let text = Zeroizing::new(text);
    let keys = KeyFile::parse(&text).map_err(|error| Error::Parse {
        file: file.to_owned(),
        error,
    })?;
    Ok((text, keys))
}
