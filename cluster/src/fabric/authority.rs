//! A cluster's own certificate authority: it makes the certificates of nodes and operators.

use super::error::Error;
use super::identity::Identity;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use std::time::{Duration, SystemTime};

/// How long an authority is believed: it is the anchor, and is replaced by rotation.
pub const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How long a certificate is believed if nothing else is asked.
pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);

/// A certificate is believed from so long before it was made: clocks differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(3600);

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Made {
    /// The certificate.
    pub certificate: String,
    /// Its private key, PKCS#8.
    pub key: String,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Made")
    }
}

fn bad(e: &rcgen::Error) -> Error {
    Error::Certificate(e.to_string())
}

/// For people; what counts is the name of [`Identity`].
fn subject(cluster: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "watchfire");
    name.push(DnType::CommonName, cluster);
    name
}

/// What an authority's certificate says; the same each time, so that its key alone is needed to
/// issue. The key's hash tells one authority of a cluster from the next.
fn authority_params(cluster: &str, now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(cluster);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - CLOCKS_DIFFER).into();
    params.not_after = (now + AUTHORITY_LIFE).into();
    params
}

/// Makes an authority for a cluster.
///
/// # Errors
/// [`Error::Name`] when the cluster's name cannot be in a certificate, [`Error::Certificate`].
pub fn found(cluster: &str, now: SystemTime) -> Result<Made, Error> {
    Identity::operator(cluster, "any")?;
    let key = KeyPair::generate().map_err(|e| bad(&e))?;
    let certificate = authority_params(cluster, now).self_signed(&key).map_err(|e| bad(&e))?;
    Ok(Made { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// Makes a certificate for `identity`, believed for `life` from now, by the authority's key.
///
/// # Errors
/// [`Error::Key`] when the key is none, [`Error::Certificate`].
pub fn issue(
    authority_key: &str,
    identity: &Identity,
    now: SystemTime,
    life: Duration,
) -> Result<Made, Error> {
    let authority = KeyPair::from_pem(authority_key).map_err(|e| Error::Key(e.to_string()))?;
    let issuer = Issuer::new(authority_params(&identity.cluster, now), authority);
    let mut params = CertificateParams::new(vec![Identity::server_name(&identity.cluster)])
        .map_err(|e| bad(&e))?;
    let name = identity.to_string().try_into().map_err(|e| bad(&e))?;
    params.subject_alt_names.push(SanType::URI(name));
    params.distinguished_name = subject(&identity.cluster);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = (now - CLOCKS_DIFFER).into();
    params.not_after = (now + life).into();
    let key = KeyPair::generate().map_err(|e| bad(&e))?;
    let certificate = params.signed_by(&key, &issuer).map_err(|e| bad(&e))?;
    Ok(Made { certificate: certificate.pem(), key: key.serialize_pem() })
}
