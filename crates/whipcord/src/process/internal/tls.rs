//! The certificates of gateways and workers for each other, and TLS 1.3 with them in both directions.

use std::{fs, io, path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    server::WebPkiClientVerifier,
};

use super::Role;

/// Where they are.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) authority: PathBuf,
}

/// What the files hold, as read at one moment.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Contents([Vec<u8>; 3]);

/// TLS in both directions under one certificate.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
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
    #[error("the internal certificate, its key and its authority do not fit together: {0}")]
    Unfit(String),
    #[error("the cluster id {0:?} cannot be part of a certificate's name: use letters, digits and hyphens")]
    Cluster(String),
}

/// The name in a role's certificate.
pub(super) fn name(role: Role, cluster: &str) -> Result<ServerName<'static>, Error> {
    let role = match role {
        Role::Gateway => "gateway",
        Role::Worker => "worker",
    };
    ServerName::try_from(format!("{role}.{cluster}.whipcord.internal")).map_err(|_| Error::Cluster(cluster.to_owned()))
}

impl Files {
    pub(super) fn read(&self) -> Result<Contents, Error> {
        let read = |file: &PathBuf| {
            fs::read(file).map_err(|error| Error::Read {
                file: file.clone(),
                error,
            })
        };
        Ok(Contents([
            read(&self.certificate)?,
            read(&self.key)?,
            read(&self.authority)?,
        ]))
    }

    pub(super) fn tls(&self, contents: &Contents) -> Result<Tls, Error> {
        let Contents([certificate, key, authority]) = contents;
        let chain = certificates(&self.certificate, certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| Error::Pem {
            file: self.key.clone(),
            error,
        })?;
        let mut roots = RootCertStore::empty();
        for root in certificates(&self.authority, authority)? {
            roots.add(root).map_err(unfit)?;
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .build()
            .map_err(unfit)?;
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(unfit)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(unfit)?;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(unfit)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(unfit)?;
        let alpn = vec![b"h2".to_vec()];
        server.alpn_protocols.clone_from(&alpn);
        client.alpn_protocols = alpn;
        Ok(Tls {
            server: Arc::new(server),
            client: Arc::new(client),
        })
    }
}

fn certificates(file: &std::path::Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = read.map_err(|error| Error::Pem {
        file: file.to_owned(),
        error,
    })?;
    if certificates.is_empty() {
        return Err(Error::Empty(file.to_owned()));
    }
    Ok(certificates)
}

fn unfit(error: impl std::fmt::Display) -> Error {
    Error::Unfit(error.to_string())
}
