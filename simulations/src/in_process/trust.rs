//! Certificates: of the nodes and clients of the cluster, and of another one.

use super::host::CLUSTER;
use crate::plan::Plan;
use cluster::fabric::{Credentials, Identity, authority};
use std::time::SystemTime;

/// The name of another one, of the same people.
pub const OTHER: &str = "elsewhere";

/// What hosts need to trust each other.
pub struct Trust {
    pub authority: authority::Made,
    /// That of another cluster, which is believed, too: its nodes are no members all the same.
    pub other: authority::Made,
    /// When both were founded, by the host's clock: certificates are looked at by it.
    pub founded: SystemTime,
    /// Certificates of both.
    pub believed: String,
    pub credentials: Vec<Credentials>,
    pub operator: Credentials,
}

impl Trust {
    /// An authority, and certificates of all nodes and of the clients.
    pub fn new(plan: &Plan) -> Result<Self, cluster::fabric::Error> {
        let now = SystemTime::now();
        let authority = authority::found(CLUSTER, now)?;
        let other = authority::found(OTHER, now)?;
        let believed = [&*authority.certificate, &*other.certificate].concat();
        let operator = issue((&authority, &believed), &Identity::operator(CLUSTER, "clients")?)?;
        let (founded, credentials) = (now, Vec::new());
        let mut trust = Self { authority, other, founded, believed, credentials, operator };
        let all = (0..plan.nodes.len()).map(|at| trust.node(plan, at));
        trust.credentials = all.collect::<Result<_, _>>()?;
        Ok(trust)
    }

    /// Another certificate of a node, with another key.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn node(&self, plan: &Plan, at: usize) -> Result<Credentials, cluster::fabric::Error> {
        let node = &plan.nodes[at];
        let identity = Identity::node(CLUSTER, &plan.regions[node.region], &node.name)?;
        issue((&self.authority, &self.believed), &identity)
    }
}

/// A certificate of an authority, for somebody who believes these.
fn issue(
    (authority, believed): (&authority::Made, &str),
    identity: &Identity,
) -> Result<Credentials, cluster::fabric::Error> {
    let (now, life) = (SystemTime::now(), authority::CERTIFICATE_LIFE);
    let made = authority::issue(&authority.key, identity, now, life)?;
    Credentials::of_pem(believed, &made.certificate, &made.key)
}
