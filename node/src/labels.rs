//! What a label changes, for whoever gives it to see at once.

use crate::recorder::find_bundle;
use actors::ports::Error as KeeperError;
use detection::bundle::Bundle;
use detection::calibration::Budget;
use detection::detector::RowScore;
use detection::dossier::answer;
use detection::ensemble::thresholds;
use detection::explain::rescore;
use detection::labels::{is_taught, teach};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use store::Store;
use threat::{DetectorKind, EventClass, Label};

/// One of a finding's verdicts, by the models without the labels and with all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What it is about, in a line.
    pub summary: String,
    /// The class of the event.
    pub class: EventClass,
    /// The ensemble's score and whether it is a threat, without and with.
    pub judged: [Option<(f32, bool)>; 2],
    /// The Bayes density's score, without and with.
    pub bayes: [Option<f32>; 2],
    /// The raw tail that two voters have to reach, without and with.
    pub threshold: [f32; 2],
}

/// How the bundles that judged a label's examples judge them without labels and with `all` of
/// them. Examples that no models judged, or whose models are no longer kept, are left out.
///
/// # Errors
/// When the store fails, or a bundle cannot be taught.
pub fn changes(
    store: &Store,
    label: &Label,
    all: &[Label],
    budget: &Budget,
) -> Result<Vec<Change>, Error> {
    let mut bundles: BTreeMap<u64, Option<[Bundle; 2]>> = BTreeMap::new();
    let mut changes = Vec::new();
    for example in &label.examples {
        let id = example.verdict.bundle;
        if let Entry::Vacant(entry) = bundles.entry(id) {
            entry.insert(pair(store, id, all)?);
        }
        let Some(Some(pair)) = bundles.get(&id) else { continue };
        let [Some(without), Some(with)] = pair.each_ref().map(|b| b.classes.get(&example.class))
        else {
            continue;
        };
        let judged = |bundle| -> Result<_, Error> {
            let answer = answer(bundle, example.class, &example.replay, budget)?;
            Ok(answer.map(|a| (a.score, a.threat)))
        };
        let bayes = |bundle| -> Result<_, Error> {
            let (scores, _) = rescore(bundle, example.class, &example.replay)?;
            let score = scores.iter().find(|s| s.0 == DetectorKind::Bayes);
            Ok(score.and_then(|(_, s)| if let RowScore::Score(s) = s { Some(*s) } else { None }))
        };
        changes.push(Change {
            summary: example.summary.clone(),
            class: example.class,
            judged: [judged(&pair[0])?, judged(&pair[1])?],
            bayes: [bayes(&pair[0])?, bayes(&pair[1])?],
            threshold: [thresholds(without, budget).0, thresholds(with, budget).0],
        });
    }
    Ok(changes)
}

/// A bundle as it was trained, and as the labels make it.
fn pair(store: &Store, id: u64, labels: &[Label]) -> Result<Option<[Bundle; 2]>, Error> {
    let Some(mut bundle) = find_bundle(store, id)? else { return Ok(None) };
    if is_taught(&bundle) {
        let Some(trained) = trained(store, &bundle)? else { return Ok(None) };
        bundle = trained;
    }
    let taught = teach(&bundle, labels)?.unwrap_or_else(|| bundle.clone());
    Ok(Some([bundle, taught]))
}

/// The bundle that was kept just before labels made `taught` of it.
fn trained(store: &Store, taught: &Bundle) -> Result<Option<Bundle>, Error> {
    let view = store.view()?;
    for entry in view.bundles()?.iter().rev() {
        let Some(bytes) = view.blob(entry.hash)? else { continue };
        let Ok(bundle) = Bundle::decode(&bytes) else { continue };
        let same = (bundle.version, bundle.seed, &bundle.created_from)
            == (taught.version, taught.seed, &taught.created_from)
            && bundle.classes.iter().all(|(class, models)| {
                taught.classes.get(class).is_some_and(|t| t.encoder == models.encoder)
            });
        if same && !is_taught(&bundle) {
            return Ok(Some(bundle));
        }
    }
    Ok(None)
}

/// Why it cannot be told what a label changes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A stored bundle failed its checks.
    #[error(transparent)]
    Bundle(#[from] KeeperError),
    /// A bundle could not be taught.
    #[error(transparent)]
    Teach(#[from] detection::labels::Error),
    /// A row does not fit its bundle.
    #[error(transparent)]
    Row(#[from] detection::explain::Error),
}
