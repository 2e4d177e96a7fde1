//! `watchfire label`: an analyst's word on a finding, and what it changes.

use crate::explain::{find, open};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use detection::calibration::Budget;
use node::host::clock::{Clock as _, SystemClock};
use node::labels::{Change, changes};
use node::report::words::{number, time, visible};
use std::path::PathBuf;
use std::process::ExitCode;
use store::Store;
use threat::{Disposition, Label, ThreatId};

/// What the help ends with.
const AFTER: &str = "\
A false positive is kept as benign training data: the Bayes density absorbs its events, and the
threshold of their class rises a little with each, so that what scored just above it is no longer
told. A true positive is kept, too: no false one that scores as high moves a threshold. Every later
run with this state judges by all labels. What is far above the threshold, or told by rules alone,
is told again.

Examples:
  watchfire label 3f2a9c fp     it was none
  watchfire label 3f2a9c tp     it was one
  watchfire label 3f2a9c none   take the label back
  watchfire label --list        all labels";

/// What is said of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Word {
    /// A true positive
    Tp,
    /// A false positive
    Fp,
    /// Nothing any more
    None,
}

#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// The finding: its id, at least six digits that it begins with, or its JSON line
    #[arg(value_name = "FINDING", required_unless_present = "list")]
    finding: Option<String>,
    /// Whether it was right
    #[arg(value_name = "LABEL", required_unless_present = "list")]
    word: Option<Word>,
    /// List all labels
    #[arg(long, conflicts_with_all = ["finding", "word"])]
    list: bool,
    /// The budget for which changes are told
    #[arg(long, default_value = "10/million", value_name = "RATE")]
    budget: Budget,
    /// Folder of state that `detect` wrote [default: $XDG_STATE_HOME/watchfire
    /// or ~/.local/state/watchfire]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let store = open(arguments.state.clone()).context(
        "labels are given while no `detect` uses the state; it takes them up as it starts",
    )?;
    match (&arguments.finding, arguments.word) {
        (Some(finding), Some(Word::None)) => take_back(&store, finding)?,
        (Some(finding), Some(word)) => give(&store, finding, word, &arguments.budget)?,
        _ => list(&store)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn words(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::TruePositive => "true positive",
        Disposition::FalsePositive => "false positive",
    }
}

fn list(store: &Store) -> Result<()> {
    let mut labels = store.view()?.labels()?;
    labels.sort_by_key(|l| (l.given, l.finding));
    if labels.is_empty() {
        println!("no labels yet: `watchfire label FINDING tp|fp` gives one");
    }
    for l in labels {
        let what = l.examples.first().map_or("", |e| &e.summary);
        println!(
            "{}  {}  {:14}  {}: {}",
            l.finding,
            time(l.given),
            words(l.disposition),
            l.class.title(),
            visible(what)
        );
    }
    Ok(())
}

fn take_back(store: &Store, finding: &str) -> Result<()> {
    let id = find(&store.view()?, finding)?.id;
    if !store.remove_label(id)? {
        bail!("finding {id} has no label");
    }
    println!("the label of {id} is taken back; the next run with this state judges without it");
    Ok(())
}

fn give(store: &Store, finding: &str, word: Word, budget: &Budget) -> Result<()> {
    let view = store.view()?;
    let threat = find(&view, finding)?;
    let disposition = match word {
        Word::Tp => Disposition::TruePositive,
        _ => Disposition::FalsePositive,
    };
    let label = Label {
        finding: threat.id,
        class: threat.class,
        disposition,
        given: SystemClock::start().wall(),
        examples: view.examples(threat.id)?,
    };
    store.put_label(&label)?;
    let all = store.view()?.labels()?;
    println!(
        "{}: {} by {} is a {}",
        short(threat.id),
        threat.class.title(),
        visible(&threat.entity.to_string()),
        words(disposition)
    );
    let changes = changes(store, &label, &all, budget)?;
    changes.iter().for_each(tell);
    if changes.is_empty() {
        println!("  no models judged it: the label is kept for those that will");
    }
    let of = |d| all.iter().filter(|l| l.disposition == d).count() as u64;
    println!(
        "labels: {} true, {} false positives; every run with this state judges by them from now on",
        number(of(Disposition::TruePositive)),
        number(of(Disposition::FalsePositive))
    );
    Ok(())
}

/// As many digits as the summary shows.
fn short(id: ThreatId) -> String {
    id.to_string().chars().take(8).collect()
}

fn tell(change: &Change) {
    println!("  {}", visible(&change.summary));
    let judged = |j: Option<(f32, bool)>| match j {
        Some((score, true)) => format!("a threat ({score:.2})"),
        Some((score, false)) => format!("benign ({score:.2})"),
        None => "for the rules to decide".to_owned(),
    };
    println!(
        "    the voters, of this event alone: {}, with labels {}",
        judged(change.judged[0]),
        judged(change.judged[1])
    );
    if let [Some(before), Some(after)] = change.bayes {
        println!("    Bayes: {before:.3} nats, with labels {after:.3}");
    }
    let [before, after] = change.threshold;
    println!(
        "    two voters of {} events have to reach {before:.2}, with labels {after:.2}",
        change.class.name()
    );
}
