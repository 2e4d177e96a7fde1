//! TLS 1.3 with certificates on both sides, and nothing that is kept between connections: a resumed
//! session would outlive the certificate that it began with.

use super::error::Error;
use super::identity::Identity;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::sync::Arc;
use threat::mutants::{Mutant, is_live};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What both sides say that they speak.
const ALPN: &[u8] = b"watchfire/1";

/// What this side shows, and whom it believes.
#[derive(Clone)]
pub struct Credentials {
    identity: Identity,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    server_name: ServerName<'static>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Credentials").field(&self.identity).finish()
    }
}

impl Credentials {
    /// Reads PEM texts: the authorities to believe (several while one takes over from another),
    /// this side's certificate, and its key.
    ///
    /// # Errors
    /// [`Error::Certificate`], [`Error::Key`], [`Error::Name`], [`Error::Tls`].
    pub fn of_pem(authorities: &str, certificate: &str, key: &str) -> Result<Self, Error> {
        let read = |text: &str| -> Result<Vec<CertificateDer<'static>>, Error> {
            CertificateDer::pem_slice_iter(text.as_bytes())
                .collect::<Result<_, _>>()
                .map_err(|e| Error::Certificate(e.to_string()))
        };
        let mut roots = RootCertStore::empty();
        for authority in read(authorities)? {
            roots.add(authority)?;
        }
        let chain = read(certificate)?;
        let own = chain.first().ok_or_else(|| Error::Certificate("the file has none".into()))?;
        let identity = Identity::of(own)?;
        let key =
            PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|e| Error::Key(e.to_string()))?;
        Self::new(identity, Arc::new(roots), chain, key)
    }

    fn new(
        identity: Identity,
        roots: Arc<RootCertStore>,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = &[&rustls::version::TLS13];
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
        let verifier = if is_live(Mutant::NoCertificateAccepted) {
            verifier.allow_unauthenticated()
        } else {
            verifier
        };
        let verifier = verifier.build().map_err(|e| Error::Certificate(e.to_string()))?;
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())?;
        server.alpn_protocols = vec![ALPN.to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.resumption = Resumption::disabled();
        let server_name = ServerName::try_from(Identity::server_name(&identity.cluster))
            .map_err(|e| Error::Certificate(e.to_string()))?;
        Ok(Self {
            identity,
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
            server_name,
        })
    }

    /// The same, but taking the other side for one of `cluster`: what a stranger does who knocks at
    /// the doors of another cluster than its own.
    ///
    /// # Errors
    /// [`Error::Certificate`] when the name is none.
    #[cfg(feature = "sim")]
    pub fn knocking_at(mut self, cluster: &str) -> Result<Self, Error> {
        self.server_name = ServerName::try_from(Identity::server_name(cluster))
            .map_err(|e| Error::Certificate(e.to_string()))?;
        self.identity.cluster = cluster.into();
        Ok(self)
    }

    /// The same without a certificate to show.
    ///
    /// # Errors
    /// [`Error::Certificate`], [`Error::Tls`].
    #[cfg(feature = "sim")]
    pub fn without_certificate(mut self, authorities: &str) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(authorities.as_bytes()) {
            roots.add(authority.map_err(|e| Error::Certificate(e.to_string()))?)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.resumption = Resumption::disabled();
        self.connector = TlsConnector::from(Arc::new(client));
        Ok(self)
    }

    /// Who this side is.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) const fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    pub(super) fn connector(&self) -> (&TlsConnector, ServerName<'static>) {
        (&self.connector, self.server_name.clone())
    }

    /// Who the other side is, once the handshake is over.
    pub(super) fn peer(
        &self,
        certificates: Option<&[CertificateDer<'_>]>,
    ) -> Result<Identity, Error> {
        if certificates.is_none() && is_live(Mutant::NoCertificateAccepted) {
            return Identity::operator(&self.identity.cluster, "anybody");
        }
        let none = || Error::Certificate("the other side has shown none".into());
        let identity = Identity::of(certificates.and_then(<[_]>::first).ok_or_else(none)?)?;
        let other = identity.cluster != self.identity.cluster;
        if other && !is_live(Mutant::OtherClusterAccepted) {
            let expected = self.identity.cluster.clone();
            return Err(Error::OtherCluster { found: identity.to_string(), expected });
        }
        Ok(identity)
    }
}
