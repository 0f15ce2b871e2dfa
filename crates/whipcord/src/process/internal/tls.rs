//! The certificates of gateways, workers and controllers for each other, and TLS 1.3 with them in both directions.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use webpki::{EndEntityCert, KeyUsage};
use whipcord_identity::ClusterId;

use super::Role;
use crate::process::{
    clock::{self, day},
    tls::{self, certificates, private_key, provider, read, unfit},
};

/// Where they are.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) authority: PathBuf,
    /// Whom the certificate must name.
    pub(super) name: ServerName<'static>,
}

/// TLS in both directions under one certificate.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
    /// When the certificate ends.
    pub(super) until: UnixTime,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Files(#[from] tls::Error),
    #[error(
        "{} is the certificate of {found}, and this is {expected}: check --internal-cert and --cluster-id",
        file.display()
    )]
    Name {
        file: PathBuf,
        found: String,
        expected: String,
    },
    #[error("{} ended on {}: whipcord keygen --renew makes another", file.display(), day(*until))]
    Ended { file: PathBuf, until: u64 },
    #[error("{} is no certificate that others here would take: {error}; check --internal-ca", file.display())]
    Foreign { file: PathBuf, error: webpki::Error },
}

/// The name in a role's certificate.
pub(super) fn name(role: Role, cluster: &ClusterId) -> ServerName<'static> {
    let role = match role {
        Role::Gateway => "gateway",
        Role::Worker => "worker",
        Role::Controller => "controller",
    };
    ServerName::try_from(format!("{role}.{cluster}.whipcord.internal")).expect("a cluster's name is a DNS label")
}

impl Files {
    /// What they hold, and TLS with it.
    pub(super) fn load(&self) -> Result<([Vec<u8>; 3], Tls), Error> {
        let contents = [read(&self.certificate)?, read(&self.key)?, read(&self.authority)?];
        let tls = self.tls(&contents)?;
        Ok((contents, tls))
    }

    fn tls(&self, [certificate, key, authority]: &[Vec<u8>; 3]) -> Result<Tls, Error> {
        let chain = certificates(&self.certificate, certificate)?;
        let key = private_key(&self.key, key)?;
        let mut roots = RootCertStore::empty();
        for root in certificates(&self.authority, authority)? {
            roots.add(root).map_err(unfit(&self.authority))?;
        }
        let until = self.check(&chain, &roots, UnixTime::now())?;
        let roots = Arc::new(roots);
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider())
            .build()
            .map_err(unfit(&self.authority))?;
        let mut server = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(unfit(&self.certificate))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(unfit(&self.certificate))?;
        let mut client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(unfit(&self.certificate))?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(unfit(&self.certificate))?;
        let alpn = vec![b"h2".to_vec()];
        server.alpn_protocols.clone_from(&alpn);
        // A session resumed is one whose certificates nobody looked at again: they may have expired, or be of another authority by now.
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        client.resumption = Resumption::disabled();
        client.alpn_protocols = alpn;
        Ok(Tls {
            server: Arc::new(server),
            client: Arc::new(client),
            until,
        })
    }

    /// Whether others will take the certificate for this role's, as far as can be told here; and until when.
    fn check(&self, chain: &[CertificateDer<'_>], roots: &RootCertStore, now: UnixTime) -> Result<UnixTime, Error> {
        let file = || self.certificate.clone();
        let foreign = |error| Error::Foreign { file: file(), error };
        let (first, others) = chain.split_first().ok_or_else(|| tls::Error::Empty(file()))?;
        let certificate = EndEntityCert::try_from(first).map_err(foreign)?;
        if certificate.verify_is_valid_for_subject_name(&self.name).is_err() {
            let names: Vec<&str> = certificate.valid_dns_names().collect();
            return Err(Error::Name {
                file: file(),
                found: if names.is_empty() {
                    "nobody".to_owned()
                } else {
                    names.join(", ")
                },
                expected: self.name.to_str().into_owned(),
            });
        }
        let verify = |usage, time| {
            let algorithms = webpki::ALL_VERIFICATION_ALGS;
            let path = certificate.verify_for_usage(algorithms, &roots.roots, others, time, usage, None, None);
            path.map(drop)
        };
        // Each is a client of the other's.
        for usage in [KeyUsage::client_auth(), KeyUsage::server_auth()] {
            verify(usage, now).map_err(|error| match error {
                webpki::Error::CertExpired { not_after, .. } => Error::Ended {
                    file: file(),
                    until: not_after.as_secs(),
                },
                error => foreign(error),
            })?;
        }
        let end_of_time = UnixTime::since_unix_epoch(Duration::from_secs(clock::END));
        // webpki tells the end of a certificate to those alone who ask after it.
        Ok(match verify(KeyUsage::client_auth(), end_of_time) {
            Err(webpki::Error::CertExpired { not_after, .. }) => not_after,
            _ => end_of_time,
        })
    }
}
