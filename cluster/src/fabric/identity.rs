//! Who a certificate is of: a name of the form
//! `spiffe://CLUSTER/node/REGION/NAME` or `spiffe://CLUSTER/operator/NAME`, after
//! [SPIFFE](https://spiffe.io/docs/latest/spiffe-specs/spiffe-id/).

use super::error::Error;
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::str::FromStr;

/// Bytes of each part of a name: they are labels of DNS names.
const PART_BYTES: usize = 63;

/// Who it is, in which cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The cluster. Others get nothing decoded.
    pub cluster: String,
    /// Who.
    pub who: Who,
}

/// A process or a person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// A node.
    Node {
        /// Its region.
        region: String,
        /// Its name, unique in the cluster.
        name: String,
    },
    /// A person or a program that asks nodes; only on [`Lane::Control`](super::Lane::Control).
    Operator {
        /// Its name.
        name: String,
    },
}

impl Identity {
    /// A node's identity.
    ///
    /// # Errors
    /// [`Error::Name`] for parts that are no lower-case labels.
    pub fn node(cluster: &str, region: &str, name: &str) -> Result<Self, Error> {
        format!("spiffe://{cluster}/node/{region}/{name}").parse()
    }

    /// An operator's identity.
    ///
    /// # Errors
    /// As [`Self::node`].
    pub fn operator(cluster: &str, name: &str) -> Result<Self, Error> {
        format!("spiffe://{cluster}/operator/{name}").parse()
    }

    /// The identity in a certificate, which has exactly one.
    ///
    /// # Errors
    /// [`Error::Certificate`], [`Error::Name`].
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, Error> {
        let parsed = webpki::EndEntityCert::try_from(certificate)
            .map_err(|e| Error::Certificate(e.to_string()))?;
        let mut names = parsed.valid_uri_names();
        match (names.next(), names.next()) {
            (Some(name), None) => name.parse(),
            _ => Err(Error::Certificate("it does not have exactly one name".into())),
        }
    }

    /// The DNS name that all certificates of a cluster have, for which clients ask.
    pub(super) fn server_name(cluster: &str) -> String {
        format!("{cluster}.watchfire.internal")
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/", self.cluster)?;
        match &self.who {
            Who::Node { region, name } => write!(f, "node/{region}/{name}"),
            Who::Operator { name } => write!(f, "operator/{name}"),
        }
    }
}

impl FromStr for Identity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::Name(text.chars().take(4 * PART_BYTES).collect());
        let rest = text.strip_prefix("spiffe://").ok_or_else(bad)?;
        let parts: Vec<&str> = rest.split('/').collect();
        if !parts.iter().all(|p| is_label(p)) {
            return Err(bad());
        }
        let who = match parts[1..] {
            ["node", region, name] => Who::Node { region: region.into(), name: name.into() },
            ["operator", name] => Who::Operator { name: name.into() },
            _ => return Err(bad()),
        };
        Ok(Self { cluster: parts[0].into(), who })
    }
}

/// Whether it can be a part of a name: letters in lower case, digits, hyphens within.
fn is_label(part: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let ends = !part.starts_with('-') && !part.ends_with('-');
    (1..=PART_BYTES).contains(&part.len()) && part.bytes().all(good) && ends
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_comes_back() {
        for name in ["spiffe://acme/node/eu/eu-1", "spiffe://a1/operator/laptop"] {
            assert_eq!(name.parse::<Identity>().unwrap().to_string(), name);
        }
        let long = format!("spiffe://{}/operator/x", "c".repeat(PART_BYTES + 1));
        for bad in [
            "",
            "spiffe://",
            "spiffe://a",
            "spiffe://a/node/eu",
            "spiffe://a/node/eu/n/more",
            "spiffe://a/node/EU/n",
            "spiffe://a/node/-eu/n",
            "spiffe://a//eu/n",
            "https://a/node/e/n",
            "spiffe://a/robot/n",
            "spiffe://a/node/e u/n",
            &long,
        ] {
            assert!(bad.parse::<Identity>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<Identity>();
            let _ = Identity::of(&CertificateDer::from(text.as_bytes()));
        }
    }
}
