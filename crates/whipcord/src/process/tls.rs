//! TLS for encoders; and certificates and keys in PEM files, for it and for the internal one.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::reload;

#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Config {
    /// Certificate chain for HTTPS, PEM (default: plain HTTP)
    #[arg(long, env = "WHIPCORD_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Key of --tls-cert, PEM
    #[arg(long, env = "WHIPCORD_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read {}: {error}", file.display())]
    Read { file: PathBuf, error: io::Error },
    #[error("{} is not in PEM form: {error}", file.display())]
    Pem {
        file: PathBuf,
        error: rustls::pki_types::pem::Error,
    },
    #[error("{} holds no certificate", .0.display())]
    Empty(PathBuf),
    #[error("{} cannot be used: {error}", file.display())]
    Unfit { file: PathBuf, error: String },
}

impl Config {
    pub(crate) fn is_on(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// TLS 1.2 and 1.3, for HTTP/2 and HTTP/1.1. `None` where HTTP is plain.
    pub(crate) fn open(
        &self,
        shutdown: CancellationToken,
    ) -> Result<Option<watch::Receiver<Arc<ServerConfig>>>, Error> {
        let (Some(certificate), Some(key)) = (self.tls_cert.clone(), self.tls_key.clone()) else {
            return Ok(None);
        };
        let load = move || {
            let contents = (read(&certificate)?, read(&key)?);
            let config = ServerConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .map_err(unfit(&certificate))?
                .with_no_client_auth()
                .with_single_cert(
                    certificates(&certificate, &contents.0)?,
                    private_key(&key, &contents.1)?,
                );
            let mut config = config.map_err(unfit(&certificate))?;
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            Ok((contents, Arc::new(config)))
        };
        Ok(Some(reload::load("the TLS certificate", shutdown, load)?))
    }
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

pub(super) fn read(file: &Path) -> Result<Vec<u8>, Error> {
    fs::read(file).map_err(|error| Error::Read {
        file: file.to_owned(),
        error,
    })
}

pub(super) fn certificates(file: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = read.map_err(not_pem(file))?;
    if certificates.is_empty() {
        return Err(Error::Empty(file.to_owned()));
    }
    Ok(certificates)
}

pub(super) fn private_key(file: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_slice(pem).map_err(not_pem(file))
}

pub(super) fn unfit<E: ToString>(file: &Path) -> impl Fn(E) -> Error {
    move |error| Error::Unfit {
        file: file.to_owned(),
        error: error.to_string(),
    }
}

fn not_pem(file: &Path) -> impl Fn(rustls::pki_types::pem::Error) -> Error {
    move |error| Error::Pem {
        file: file.to_owned(),
        error,
    }
}
