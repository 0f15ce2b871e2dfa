//! `whipcord keygen`: the secrets of a cluster, one per purpose, each in a file that only its owner reads; and what replaces them.

mod certificates;

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use whipcord_identity::{
    ClusterId, IceKeys, KeyId, SessionKeys,
    key::{FileError, KeyFile, Purpose},
};
use zeroize::Zeroizing;

use super::Failure;
use crate::process::{clock::moment, keys::now, random};

/// Writes into DIR:
///
/// session.keys (gateways), ice.keys (workers), token.secret (gateways: signs tokens), and for gRPC between them ca.pem (all), gateway.pem and
/// gateway.key, worker.pem and worker.key, controller.pem and controller.key (whipcord controller); ca.key signs further certificates and belongs on none of the machines.
#[derive(Debug, clap::Args)]
pub(crate) struct Config {
    /// Folder for the files; those that are there are never overwritten
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The cluster they are for
    #[arg(long, env = "WHIPCORD_CLUSTER_ID", value_name = "NAME", default_value = "whipcord")]
    cluster_id: ClusterId,
    /// Add a key to session.keys and ice.keys instead, which mints in ten minutes: until then bring the files to all processes
    #[arg(long, conflicts_with = "renew")]
    rotate: bool,
    /// Replace gateway.pem, worker.pem and controller.pem, and their keys, by others that hold for a year from now, signed with ca.key; what
    /// an older version did not make is added
    #[arg(long)]
    renew: bool,
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot write {}: {error}", file.display())]
    Write { file: PathBuf, error: io::Error },
    #[error(
        "{} is there already: choose another folder, or add keys to those in it with --rotate, or renew its certificates with --renew",
        .0.display()
    )]
    Exists(PathBuf),
    #[error("cannot read {}: {error}; without --rotate and --renew it is made", file.display())]
    Read { file: PathBuf, error: io::Error },
    #[error("{}: {error}", file.display())]
    Parse { file: PathBuf, error: FileError },
    #[error("{} has a key that mints from {until} on; rotate again after that", file.display())]
    Early { file: PathBuf, until: String },
    #[error(transparent)]
    Certificate(#[from] certificates::Error),
}

/// Longer than a changed secret takes to reach every machine.
const ROTATION_NOTICE: u64 = 600;

const SESSION_KEYS: &str = "session.keys";
const ICE_KEYS: &str = "ice.keys";

/// A secret file's name and text.
type File = (&'static str, Zeroizing<String>);

pub(crate) fn run(config: &Config) -> Result<(), Failure> {
    let folder = &config.folder;
    let said = if config.rotate {
        rotate(folder, now())?
    } else if config.renew {
        renew(folder, &config.cluster_id, now())?
    } else {
        make(folder, &config.cluster_id, now())?;
        return Ok(());
    };
    writeln!(io::stdout(), "{said}").map_err(Failure::Stdout)
}

pub(crate) fn make(folder: &Path, cluster: &ClusterId, now: u64) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(writing(folder))?;
    let mut files = vec![
        ("token.secret", Zeroizing::new(URL_SAFE_NO_PAD.encode(random::<32>()))),
        (SESSION_KEYS, KeyFile::<SessionKeys>::generate(random()).text()),
        (ICE_KEYS, KeyFile::<IceKeys>::generate(random()).text()),
    ];
    files.extend(certificates::make(cluster, now)?);
    if let Some((name, _)) = files.iter().find(|(name, _)| folder.join(name).exists()) {
        return Err(Error::Exists(folder.join(name)));
    }
    files
        .iter()
        .try_for_each(|(name, text)| create(&folder.join(name), text))
}

/// Both, or none of them: they are read, and may refuse, before the first is written.
fn rotate(folder: &Path, now: u64) -> Result<String, Error> {
    let from = now + ROTATION_NOTICE;
    let (session, session_id) = rotated::<SessionKeys>(&folder.join(SESSION_KEYS), now, from)?;
    let (ice, ice_id) = rotated::<IceKeys>(&folder.join(ICE_KEYS), now, from)?;
    replace(folder, &[(SESSION_KEYS, session), (ICE_KEYS, ice)])?;
    let which = if session_id == ice_id {
        format!("{SESSION_KEYS}, {ICE_KEYS}: key {session_id} mints")
    } else {
        format!("{SESSION_KEYS}: key {session_id}, {ICE_KEYS}: key {ice_id}; they mint")
    };
    Ok(format!(
        "{which} from {}; bring the files to all processes before",
        moment(from, now)
    ))
}

fn rotated<P: Purpose>(file: &Path, now: u64, from: u64) -> Result<(Zeroizing<String>, KeyId), Error> {
    let keys = KeyFile::<P>::parse(&read(file)?).map_err(|error| Error::Parse {
        file: file.to_owned(),
        error,
    })?;
    let keys = keys.rotate(random(), now, from).map_err(|early| Error::Early {
        file: file.to_owned(),
        until: moment(early.until, now),
    })?;
    Ok((keys.text(), keys.newest()))
}

fn renew(folder: &Path, cluster: &ClusterId, now: u64) -> Result<String, Error> {
    let present = certificates::FILES.map(|name| Ok((name, read(&folder.join(name))?)));
    let mut present: Vec<File> = present.into_iter().collect::<Result<_, Error>>()?;
    // Keys made before there was a controller have none.
    if folder.join(certificates::CONTROLLER).exists() {
        present.push((certificates::CONTROLLER, read(&folder.join(certificates::CONTROLLER))?));
    }
    let renewed = certificates::renew(&present, cluster, now)?;
    replace(folder, &renewed.files)?;
    Ok(format!(
        "gateway.pem, worker.pem, controller.pem: hold until {}; bring them and their keys to all processes before {}",
        renewed.until, renewed.before
    ))
}

fn read(file: &Path) -> Result<Zeroizing<String>, Error> {
    let text = fs::read_to_string(file).map_err(|error| Error::Read {
        file: file.to_owned(),
        error,
    })?;
    Ok(Zeroizing::new(text))
}

/// The new files are whole before the first takes an old one's name.
fn replace(folder: &Path, files: &[File]) -> Result<(), Error> {
    let new = |name: &str| folder.join(format!("{name}.new"));
    for (name, text) in files {
        // Of a run that was ended in the midst.
        let _ = fs::remove_file(new(name));
        create(&new(name), text)?;
    }
    for (name, _) in files {
        let file = folder.join(name);
        fs::rename(new(name), &file).map_err(writing(&file))?;
    }
    Ok(())
}

fn writing(file: &Path) -> impl FnOnce(io::Error) -> Error {
    let file = file.to_owned();
    |error| Error::Write { file, error }
}

fn create(file: &Path, text: &str) -> Result<(), Error> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| Error::Write {
        file: file.to_owned(),
        error,
    })
}
