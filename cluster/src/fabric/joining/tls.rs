//! TLS of an invitation: the server shows a certificate of the authority, with the authority's own
//! behind it; the client believes the one whose hash it was given. It shows none itself.

use super::super::authority::Made;
use super::super::error::Error as LinkError;
use super::Error;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig,
    SignatureScheme, SupportedCipherSuite,
};
use std::sync::Arc;
use std::time::SystemTime;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What both sides say that they speak.
const ALPN: &[u8] = b"watchfire-join/1";

/// The name in the certificate of who invites. No node has a certificate with it, so that none can
/// take an invitation in the authority's place; and it is no node's, so that nodes do not take it.
pub(super) const NAME: &str = "joining.watchfire.internal";

/// SHA-256, as `openssl x509 -fingerprint -sha256` has it of a certificate.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let SupportedCipherSuite::Tls13(suite) =
        rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let mut hash = [0; 32];
    hash.copy_from_slice(suite.common.hash_provider.hash(bytes).as_ref());
    hash
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The side of the authority, and the hash by which the other side knows it.
pub(super) fn acceptor(
    authorities: &str,
    made: &Made,
    now: SystemTime,
) -> Result<(TlsAcceptor, [u8; 32]), Error> {
    let bad = |e: rustls::pki_types::pem::Error| LinkError::Certificate(e.to_string());
    let root = CertificateDer::from_pem_slice(authorities.as_bytes()).map_err(bad)?;
    let own = CertificateDer::from_pem_slice(made.certificate.as_bytes()).map_err(bad)?;
    let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes())
        .map_err(|e| LinkError::Key(e.to_string()))?;
    let pin = sha256(&root);
    let name = ServerName::try_from(NAME).map_err(|e| LinkError::Certificate(e.to_string()))?;
    let verifier = Pinned { pin, provider: provider() };
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = UnixTime::since_unix_epoch(now);
    // What the other side would refuse is told here.
    verifier.verify_server_cert(&own, std::slice::from_ref(&root), &name, &[], now).map_err(
        |e| LinkError::Certificate(format!("the authority's key and certificate differ: {e}")),
    )?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![own, root], key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok((TlsAcceptor::from(Arc::new(config)), pin))
}

/// The side of the new node.
pub(super) struct Client {
    pub connector: TlsConnector,
    pub name: ServerName<'static>,
}

/// A client that believes the authority of this hash.
pub(super) fn client(pin: [u8; 32]) -> Result<Client, Error> {
    let verifier = Arc::new(Pinned { pin, provider: provider() });
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    let name = ServerName::try_from(NAME).map_err(|e| LinkError::Certificate(e.to_string()))?;
    Ok(Client { connector: TlsConnector::from(Arc::new(config)), name })
}

/// Finds the authority by its hash among what the server shows, and has webpki do the rest.
#[derive(Debug)]
struct Pinned {
    pin: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.provider.signature_verification_algorithms
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let pinned = intermediates.iter().find(|shown| sha256(shown) == self.pin);
        let pinned = pinned
            .ok_or(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))?
            .clone()
            .into_owned();
        let mut roots = RootCertStore::empty();
        roots.add(pinned)?;
        let provider = Arc::clone(&self.provider);
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|e| rustls::Error::General(e.to_string()))?
            .verify_server_cert(end_entity, &[], server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, self.algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, self.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}
