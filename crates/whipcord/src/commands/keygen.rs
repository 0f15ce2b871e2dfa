//! `whipcord keygen`: the secrets of a cluster, one per purpose, each in a file that only its owner reads.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use whipcord_identity::key::{FileError, KeyFile};
use zeroize::Zeroizing;

use crate::process::{keys, random};

/// Writes into DIR:
///
/// session.keys (gateways), ice.keys (workers), token.secret (gateways: signs tokens), and for gRPC between them ca.pem (both), gateway.pem and
/// gateway.key, worker.pem and worker.key; ca.key signs further certificates and belongs on none of the machines.
#[derive(Debug, clap::Args)]
pub(crate) struct Config {
    /// Folder for the files; those that are there are never overwritten
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The cluster they are for
    #[arg(long, env = "WHIPCORD_CLUSTER_ID", value_name = "NAME", default_value = "whipcord")]
    cluster_id: String,
    /// Add a key to session.keys and ice.keys instead, which mints in ten minutes: until then bring the files to all processes
    #[arg(long)]
    rotate: bool,
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot write {}: {error}", file.display())]
    Write { file: PathBuf, error: io::Error },
    #[error("{} is there already: choose another folder, or add a key to it with --rotate", .0.display())]
    Exists(PathBuf),
    #[error("cannot read {}: {error}; without --rotate it is made", file.display())]
    Read { file: PathBuf, error: io::Error },
    #[error("{}: {error}", file.display())]
    Parse { file: PathBuf, error: FileError },
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// Longer than a changed secret takes to reach every machine.
const ROTATION_NOTICE: u64 = 600;

const KEY_FILES: [&str; 2] = ["session.keys", "ice.keys"];

pub(crate) fn run(config: &Config) -> Result<(), Error> {
    if config.rotate {
        return KEY_FILES.iter().try_for_each(|name| rotate(&config.folder.join(name)));
    }
    let folder = &config.folder;
    fs::create_dir_all(folder).map_err(|error| Error::Write {
        file: folder.clone(),
        error,
    })?;
    let mut files = vec![("token.secret", Zeroizing::new(URL_SAFE_NO_PAD.encode(random::<32>())))];
    files.extend(KEY_FILES.map(|name| (name, KeyFile::generate(random()).text())));
    files.extend(certificates(&config.cluster_id)?);
    if let Some((name, _)) = files.iter().find(|(name, _)| folder.join(name).exists()) {
        return Err(Error::Exists(folder.join(name)));
    }
    files
        .iter()
        .try_for_each(|(name, text)| create(&folder.join(name), text))
}

/// Of an authority made for this, and of each role. They hold for as long as rcgen's default: operators who want less have an
/// authority of their own.
fn certificates(cluster: &str) -> Result<Vec<(&'static str, Zeroizing<String>)>, Error> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate()?;
    let certificate = authority.self_signed(&key)?;
    let mut files = vec![
        ("ca.pem", Zeroizing::new(certificate.pem())),
        ("ca.key", Zeroizing::new(key.serialize_pem())),
    ];
    let issuer = Issuer::from_params(&authority, key);
    for (role, certificate, key) in [
        ("gateway", "gateway.pem", "gateway.key"),
        ("worker", "worker.pem", "worker.key"),
    ] {
        let mut params = CertificateParams::new(vec![format!("{role}.{cluster}.whipcord.internal")])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let pair = KeyPair::generate()?;
        files.push((certificate, Zeroizing::new(params.signed_by(&pair, &issuer)?.pem())));
        files.push((key, Zeroizing::new(pair.serialize_pem())));
    }
    Ok(files)
}

/// The new file is whole before it takes the old one's name.
fn rotate(file: &Path) -> Result<(), Error> {
    let text = fs::read_to_string(file).map_err(|error| Error::Read {
        file: file.to_owned(),
        error,
    })?;
    let text = Zeroizing::new(text);
    let keys = KeyFile::parse(&text).map_err(|error| Error::Parse {
        file: file.to_owned(),
        error,
    })?;
    let rotated = keys.rotate(random(), keys::now() + ROTATION_NOTICE);
    let new = file.with_extension("new");
    create(&new, &rotated.text())?;
    fs::rename(&new, file).map_err(|error| Error::Write {
        file: file.to_owned(),
        error,
    })
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
