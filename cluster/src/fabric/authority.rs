//! A cluster's own certificate authority: it makes the certificates of nodes and operators.

use super::error::Error;
use super::identity::Identity;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
    SignatureAlgorithm,
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
    let key = KeyPair::generate().map_err(|e| bad(&e))?;
    let certificate = certify(authority_key, identity, &key, (now, life))?;
    Ok(Made { certificate, key: key.serialize_pem() })
}

/// A key that was made here, and what others may know of it.
pub struct Pair {
    /// The private key, PKCS#8 as PEM.
    pub key: String,
    /// The public key: a point of P-256, not compressed.
    pub public_key: Vec<u8>,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pair")
    }
}

/// Makes a key for somebody whose certificate is made elsewhere.
///
/// # Errors
/// [`Error::Certificate`] when the host gives no randomness.
pub fn pair() -> Result<Pair, Error> {
    let key = KeyPair::generate().map_err(|e| bad(&e))?;
    Ok(Pair { key: key.serialize_pem(), public_key: key.public_key_raw().to_vec() })
}

/// Bytes of a point of P-256, not compressed (SEC 1, section 2.3.3), and the first of them.
const POINT: (usize, u8) = (65, 4);

/// Refuses what cannot be a public key. A point that is not on the curve gets a certificate that is
/// of no use.
pub(super) fn check_public_key(bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() == POINT.0 && bytes.first() == Some(&POINT.1) {
        Ok(())
    } else {
        Err(Error::Key("not a point of P-256".into()))
    }
}

/// The public key of somebody else.
struct Public<'a>(&'a [u8]);

impl PublicKeyData for Public<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// A certificate for the public key of somebody else, PEM; else as [`issue`].
pub(super) fn sign(
    authority_key: &str,
    identity: &Identity,
    public_key: &[u8],
    valid: (SystemTime, Duration),
) -> Result<String, Error> {
    check_public_key(public_key)?;
    certify(authority_key, identity, &Public(public_key), valid)
}

/// A certificate of who invites nodes, under this DNS name and no other.
pub(super) fn issue_inviter(
    authority_key: &str,
    cluster: &str,
    name: &str,
    valid: (SystemTime, Duration),
) -> Result<Made, Error> {
    let key = KeyPair::generate().map_err(|e| bad(&e))?;
    let mut params = params(cluster, name, valid)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate =
        params.signed_by(&key, &issuer(authority_key, cluster, valid.0)?).map_err(|e| bad(&e))?;
    Ok(Made { certificate: certificate.pem(), key: key.serialize_pem() })
}

fn certify(
    authority_key: &str,
    identity: &Identity,
    public_key: &impl PublicKeyData,
    valid: (SystemTime, Duration),
) -> Result<String, Error> {
    let cluster = &identity.cluster;
    let mut params = params(cluster, &Identity::server_name(cluster), valid)?;
    let name = identity.to_string().try_into().map_err(|e| bad(&e))?;
    params.subject_alt_names.push(SanType::URI(name));
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let issuer = issuer(authority_key, cluster, valid.0)?;
    Ok(params.signed_by(public_key, &issuer).map_err(|e| bad(&e))?.pem())
}

fn issuer(
    authority_key: &str,
    cluster: &str,
    now: SystemTime,
) -> Result<Issuer<'static, KeyPair>, Error> {
    let authority = KeyPair::from_pem(authority_key).map_err(|e| Error::Key(e.to_string()))?;
    Ok(Issuer::new(authority_params(cluster, now), authority))
}

/// What certificates of an authority have in common.
fn params(
    cluster: &str,
    dns_name: &str,
    (now, life): (SystemTime, Duration),
) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(vec![dns_name.to_owned()]).map_err(|e| bad(&e))?;
    params.distinguished_name = subject(cluster);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params.not_before = (now - CLOCKS_DIFFER).into();
    params.not_after = (now + life).into();
    Ok(params)
}
