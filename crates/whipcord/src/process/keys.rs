//! Key sets from files, replaced when the files change or when a key's time to mint has come.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use tokio_util::sync::CancellationToken;
use whipcord_identity::key::{FileError, KeyFile, Purpose};
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

/// Those of a file of their purpose, and of what it holds later.
pub(crate) fn open<P: Purpose + Sync>(file: &Path, shutdown: CancellationToken) -> Result<P, Error> {
    let (mut before, read_first) = read::<P>(file)?;
    let keys = read_first.keys(now());
    let (current, file) = (keys.clone(), file.to_owned());
    reload::follow(P::NAME, shutdown, move || {
        let (text, read_again) = read::<P>(&file)?;
        // Also when the file is the same: time goes on.
        current.replace(&read_again.keys(now()));
        let reread = if text == before { Reread::Same } else { Reread::Changed };
        before = text;
        Ok::<_, Error>(reread)
    });
    Ok(keys)
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn read<P: Purpose>(file: &Path) -> Result<(Zeroizing<String>, KeyFile<P>), Error> {
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
