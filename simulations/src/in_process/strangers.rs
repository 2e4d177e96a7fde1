//! Those who are not of the cluster and want in: at the doors of nodes, with what they have got
//! instead of a certificate of it.

use super::InProcess;
use super::host::Common;
use super::seen::seen;
use super::stream::From;
use super::trust::OTHER;
use crate::journal::What;
use crate::plan::Micros;
use cluster::control::{Ask, ask};
use cluster::fabric::{Credentials, Error, Fabric, Identity, authority};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Time between two attempts.
pub const EVERY: Micros = 500 * crate::plan::MILLI;

/// How long one waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long before now a certificate was made that has expired.
const LONG_AGO: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Purposes of drawn numbers.
const STRANGERS: u64 = 120;

/// Ways to knock.
const WAYS: [&str; 4] =
    ["no-certificate", "another-authority", "another-cluster", "expired-certificate"];

/// All of them, each with what it shows.
pub struct Strangers {
    all: Vec<(&'static str, Arc<Fabric>)>,
    attempts: u64,
}

impl Strangers {
    /// Strangers to the cluster of this name and authority, who know both.
    ///
    /// # Errors
    /// When a certificate cannot be made.
    pub fn new(common: &Common, cluster: &str) -> Result<Self, Error> {
        let now = common.trust.founded;
        let own = &common.trust.authority;
        let of = |authority: &authority::Made, name: &Identity, since: SystemTime| {
            let made = authority::issue(&authority.key, name, since, authority::CERTIFICATE_LIFE)?;
            // Whom the stranger believes does not matter: it takes any node for what it says.
            Credentials::of_pem(&common.trust.believed, &made.certificate, &made.key)
        };
        let operator = Identity::operator(cluster, "stranger")?;
        let foreign = Identity::operator(OTHER, "stranger")?;
        let all = WAYS.into_iter().map(|way| {
            let shows = match way {
                "no-certificate" => {
                    of(own, &operator, now)?.without_certificate(&own.certificate)?
                }
                "another-authority" => of(&authority::found(cluster, now)?, &operator, now)?,
                "another-cluster" => {
                    of(&common.trust.other, &foreign, now)?.knocking_at(cluster)?
                }
                _ => of(own, &operator, now - LONG_AGO - authority::CERTIFICATE_LIFE)?,
            };
            let (net, addresses) = (Arc::clone(&common.net), Arc::clone(&common.addresses));
            let host = common.plan.nodes.len();
            let from = Arc::new(From { net, host, addresses });
            Ok((way, Arc::new(Fabric::new(shows, from, None, common.plan.seed))))
        });
        Ok(Self { all: all.collect::<Result<_, Error>>()?, attempts: 0 })
    }
}

impl InProcess {
    /// One of them knocks at one of the nodes.
    pub(super) fn knock(&mut self, nodes: &[usize]) {
        let Some(strangers) = &mut self.strangers else { return };
        let drawn = self.common.plan.draw(STRANGERS, 0, strangers.attempts);
        strangers.attempts += 1;
        let (way, fabric) = &strangers.all[drawn as usize % WAYS.len()];
        let (way, fabric) = (*way, Arc::clone(fabric));
        let Some(&node) = nodes.get((drawn >> 32) as usize % nodes.len().max(1)) else { return };
        let address = self.common.plan.nodes[node].name.clone();
        let all = Arc::clone(&self.common.seen);
        self.clients.runtime.spawn(async move {
            let told = ask(&fabric, &address, &Ask::Status { digest: false }, PATIENCE).await;
            seen(&all).note(node, What::Knocked { way, entered: told.is_ok() });
        });
    }
}
