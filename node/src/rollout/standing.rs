//! What a node knows, holds and uses, for people.

use super::message::{BundleView, PlaybookView, Standing};
use super::{Core, Held, lock};
use regions::control_log::{Bundle, ControlLog, Stage};
use regions::rollout::auto_flag;

/// A stage in words.
const fn word(stage: &Stage) -> &'static str {
    match stage {
        Stage::Registered => "registered",
        Stage::Shadow => "shadow",
        Stage::Canary(_) => "canary",
        Stage::Active => "active",
        Stage::Former => "former",
        Stage::RolledBack => "rolled back",
    }
}

fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|b| format!("{b:02x}")).collect()
}

fn view(log: &ControlLog, version: u64, bundle: &Bundle) -> BundleView {
    let step = |(_, stage, evidence): &(u64, Stage, threat::Text)| {
        (word(stage).to_owned(), evidence.to_string())
    };
    // What nodes said is shown while it decides something; of all bundles it would be too much for
    // one answer.
    let on_trial = matches!(bundle.stage, Stage::Shadow | Stage::Canary(_) | Stage::Active);
    let ready = bundle.ready.iter().map(|(node, evidence)| {
        (*node, if on_trial { evidence.to_string() } else { String::new() })
    });
    BundleView {
        hash: hex(&bundle.hash),
        stage: word(&bundle.stage).into(),
        region: match &bundle.stage {
            Stage::Canary(region) => Some(region.to_string()),
            _ => None,
        },
        auto: log.settings().flags().contains_key(&auto_flag(version)),
        steps: bundle.steps.iter().map(step).collect(),
        ready: ready.collect(),
    }
}

impl Core {
    /// What this node knows, holds and uses; nothing once it has ended.
    pub(super) fn standing(&self) -> Option<Standing> {
        let me = &self.needs.me;
        let mut standing = self.needs.view.read(|log| {
            let bundles = log.bundles();
            let all = bundles.all().iter().map(|(v, b)| (*v, view(log, *v, b))).collect();
            let playbooks = log.playbooks().all().iter().map(|(name, p)| {
                let versions = p.versions.iter().map(|(v, hash)| (*v, hex(hash))).collect();
                (name.to_string(), PlaybookView { versions, active: p.active })
            });
            Standing {
                applied: log.applied(),
                meant: bundles.used_in(&me.region),
                active: bundles.active(),
                epoch: bundles.epoch(),
                bundles: all,
                playbooks: playbooks.collect(),
                ..Standing::default()
            }
        })?;
        standing.node = me.id;
        (standing.name, standing.region) = (me.name.clone(), me.region.clone());
        standing.uses = lock(&self.using).as_ref().map(|(version, _)| *version);
        let current = self.needs.host.current();
        standing.bundle = current.map(|b| format!("{:016x}", b.id())).unwrap_or_default();
        let word = |held: &Held| match held {
            Held::Ready(_) => "ready".to_owned(),
            Held::Stored => "stored".to_owned(),
            Held::Missing(reason) => format!("missing: {reason}"),
            Held::Refused(reason) => format!("refused: {reason}"),
        };
        standing.held = lock(&self.held).iter().map(|(v, held)| (*v, word(held))).collect();
        standing.reports = self.shadowing.reports();
        Some(standing)
    }
}
