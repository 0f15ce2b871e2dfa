//! The certificates of gateways and workers for each other, and TLS 1.3 with them in both directions.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    pki_types::ServerName,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};

use super::Role;
use crate::process::tls::{Error, certificates, private_key, provider, read, unfit};

/// Where they are.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) authority: PathBuf,
}

/// TLS in both directions under one certificate.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
}

/// The name in a role's certificate. `None` if the cluster's id cannot be part of one.
pub(super) fn name(role: Role, cluster: &str) -> Option<ServerName<'static>> {
    let role = match role {
        Role::Gateway => "gateway",
        Role::Worker => "worker",
    };
    ServerName::try_from(format!("{role}.{cluster}.whipcord.internal")).ok()
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
        })
    }
}
