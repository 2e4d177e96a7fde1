//! Ground truth: what each campaign is, who did it, to whom, and what of it was logged.
//! Records and times are counted as records are yielded, so that the table agrees with the bytes.

use super::campaign::CampaignKind;
use super::record::{Body, Record};
use std::collections::BTreeSet;
use threat::entity::Entity;
use threat::{Text, Timestamp};

/// Targets kept of one campaign; a scan of a whole subnet has one per address.
pub const TARGETS: usize = 1_024;

/// The ground truth of one campaign.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// A name unique in the scenario, such as `beacon-2`: the kind and its place.
    pub id: Text,
    /// What it does.
    pub kind: CampaignKind,
    /// Who does it: hosts, and accounts where accounts act.
    pub actors: Vec<Entity>,
    /// Whom it reached or tried: addresses, names; at most [`TARGETS`].
    pub targets: BTreeSet<Text>,
    /// Time of the first record.
    pub first: Option<Timestamp>,
    /// Time of the last record.
    pub last: Option<Timestamp>,
    /// Records so far.
    pub records: u64,
}

impl Label {
    pub(super) fn new(place: usize, kind: CampaignKind) -> Self {
        Self {
            id: format!("{}-{place}", kind.name()).into(),
            kind,
            actors: Vec::new(),
            targets: BTreeSet::new(),
            first: None,
            last: None,
            records: 0,
        }
    }

    /// The ATT&CK technique.
    pub const fn technique(&self) -> &'static str {
        self.kind.technique()
    }

    pub(super) fn count(&mut self, record: &Record) {
        self.first.get_or_insert(record.time);
        self.last = Some(record.time);
        self.records += 1;
        let target: Text = match &record.body {
            // Look-ups tell of a tunnel's domain; else the resolver is only asked.
            Body::Dns(d) if matches!(self.kind, CampaignKind::DnsTunnel(_)) => {
                registered(&d.query).into()
            }
            Body::Conn(c) if c.service != Some("dns") => c.id.resp.to_string().into(),
            Body::Ssl(s) => s.server_name.clone().unwrap_or_default(),
            Body::Auth(a) => a.host.clone(),
            _ => return,
        };
        if !target.is_empty() && self.targets.len() < TARGETS {
            self.targets.insert(target);
        }
    }
}

/// The last two labels of a name, three under a second-level reserved name.
fn registered(name: &str) -> &str {
    let parts = if name.ends_with(".example") { 2 } else { 3 };
    let at = name.rmatch_indices('.').nth(parts - 1).map_or(0, |(at, _)| at + 1);
    &name[at..]
}

#[cfg(test)]
mod tests {
    use super::registered;

    #[test]
    fn the_registered_domain_is_found() {
        assert_eq!(registered("a.b.c.quickparts.example"), "quickparts.example");
        assert_eq!(registered("x.t.riverpay.example.net"), "riverpay.example.net");
        assert_eq!(registered("riverpay.example.net"), "riverpay.example.net");
    }
}
