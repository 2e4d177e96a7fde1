//! `watchfire explain`: why a finding was told, from what is stored of it.

use crate::{exit, paths};
use anyhow::{Context, Result, bail};
use clap::Args;
use detection::calibration::Budget;
use detection::counterfactual::{Change, Value};
use detection::dossier::{Dossier, Verified, dossier, verify};
use node::findings::{FindingRef, parse_finding_id};
use node::recorder::find_bundle;
use node::report::words::{number, time, value, visible};
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use store::{Store, View};
use threat::{Ballot, Example, Threat};

/// What the help ends with.
const AFTER: &str = "\
Examples:
  watchfire explain 3f2a9c            votes, rules, what set it apart, and what would change it
  watchfire explain --verify 3f2a9c   the same models give the same bits";

#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// The finding: its id, at least six digits that it begins with, or its JSON line
    #[arg(value_name = "FINDING")]
    finding: String,
    /// Score it again with the same models and compare bit by bit; exit code 4 when they differ
    #[arg(long)]
    verify: bool,
    /// The budget that the counterfactual has to get under
    #[arg(long, default_value = "10/million", value_name = "RATE")]
    budget: Budget,
    /// Folder of state that `detect` wrote [default: $XDG_STATE_HOME/watchfire
    /// or ~/.local/state/watchfire]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let store = open(arguments.state.clone())?;
    let view = store.view()?;
    let threat = find(&view, &arguments.finding)?;
    // Whole at the end: a reader that went away must not end a verification in the middle.
    let mut out = String::new();
    heading(&mut out, &threat)?;
    let mut same = true;
    for (n, example) in view.examples(threat.id)?.iter().enumerate() {
        writeln!(
            out,
            "\nExample {} of {}: {}",
            n + 1,
            number(threat.count),
            visible(&example.summary)
        )?;
        same &= one(&mut out, &store, example, arguments)?;
    }
    std::io::stdout().write_all(out.as_bytes())?;
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::from(exit::NOT_VERIFIED) })
}

/// Opens the state that `detect` wrote.
pub fn open(state: Option<PathBuf>) -> Result<Store> {
    let path = paths::state(state);
    if !path.exists() {
        bail!("no state at {}: run `watchfire detect` first, or name its --state", path.display());
    }
    Ok(Store::open(&path)?)
}

/// The finding that a person named.
pub fn find(view: &View, text: &str) -> Result<Threat> {
    let id = match parse_finding_id(text)? {
        FindingRef::Id(id) => id,
        FindingRef::Prefix(prefix) => match view.find_threats(&prefix)?.as_slice() {
            [] => bail!("no finding begins with {prefix}"),
            [id] => *id,
            several => bail!("{} findings begin with {prefix}: give more digits", several.len()),
        },
    };
    view.threat(id)?.with_context(|| format!("no finding {id} in this state"))
}

fn heading(out: &mut String, threat: &Threat) -> fmt::Result {
    let technique = threat.technique.as_deref().unwrap_or("no technique");
    writeln!(
        out,
        "{} by {} ({technique})",
        threat.class.title(),
        visible(&threat.entity.to_string())
    )?;
    writeln!(
        out,
        "  {} severity, {} verdicts, {} to {}",
        threat.severity.name(),
        number(threat.count),
        time(threat.first_seen),
        time(threat.last_seen)
    )?;
    for (rule, count) in threat.rules.top() {
        writeln!(out, "  rule: {} ({})", visible(rule), number(count))?;
    }
    Ok(())
}

/// Tells of one example; false when a verification was asked for and does not hold.
fn one(out: &mut String, store: &Store, example: &Example, arguments: &Arguments) -> Result<bool> {
    writeln!(out, "  read at {} line {}", visible(&example.source), example.position.line)?;
    writeln!(out, "  {}", visible(&example.raw))?;
    let verdict = &example.verdict;
    writeln!(
        out,
        "  decided by {:?}, score {:.2}, bundle {:016x}",
        verdict.source, verdict.score, verdict.bundle
    )?;
    for vote in &verdict.votes {
        let said = match vote.ballot {
            Ballot::Voted { score, tail, threat } => {
                let p = 10f64.powf(-f64::from(tail));
                let side = if threat { "threat" } else { "benign" };
                format!("{side}: score {score:.3}, as rare as {p:.1e} of benign events")
            }
            Ballot::Abstained(why) => format!("abstains: {why:?}"),
            Ballot::Missing(why) => format!("missing: {why:?}"),
        };
        writeln!(out, "    {:10} {said}", vote.detector.name())?;
    }
    for hit in &verdict.rules {
        let fields: Vec<String> =
            hit.fields.iter().map(|(k, v)| format!("{k}={}", visible(v))).collect();
        writeln!(out, "    rule       {} [{}]", hit.title, fields.join(", "))?;
    }
    for c in &example.contributions {
        let seen = c.value.map_or_else(|| visible(&c.observed).to_string(), value);
        let usual = match c.baseline {
            Some([low, middle, high]) => {
                format!("usually {} to {}, mostly {}", value(low), value(high), value(middle))
            }
            None => visible(&c.frequency_words().unwrap_or_default()).to_string(),
        };
        writeln!(out, "    {:>4.0}% {} = {}: {usual}", c.share * 100.0, c.feature, seen)?;
    }
    if verdict.bundle == 0 {
        writeln!(out, "  no models voted: still learning")?;
        return Ok(true);
    }
    let Some(bundle) = find_bundle(store, verdict.bundle)? else {
        writeln!(out, "  bundle {:016x} is no longer kept", verdict.bundle)?;
        return Ok(!arguments.verify);
    };
    if !bundle.classes.contains_key(&example.class) {
        writeln!(out, "  the bundle has no models for {} events", example.class.name())?;
        return Ok(true);
    }
    tell(out, &dossier(&bundle, example.class, &example.replay, &arguments.budget)?)?;
    if !arguments.verify {
        return Ok(true);
    }
    let verified = verify(&bundle, example.class, verdict, &example.replay)?;
    tell_verified(out, &verified)?;
    Ok(verified.holds())
}

fn tell(out: &mut String, dossier: &Dossier) -> fmt::Result {
    for path in &dossier.paths {
        writeln!(out, "  how {} decided:", path.detector.name())?;
        for step in path.steps.iter().take(12) {
            writeln!(out, "    {}", visible(step))?;
        }
    }
    for near in &dossier.nearest {
        let differences: Vec<String> = near
            .differences
            .iter()
            .map(|(name, here, there)| format!("{name} {} (here {})", value(*there), value(*here)))
            .collect();
        writeln!(
            out,
            "  a benign event at distance {:.2}: {}",
            near.distance,
            differences.join(", ")
        )?;
    }
    match &dossier.counterfactual {
        None => writeln!(out, "  no small change was found that makes it benign")?,
        Some(changes) if changes.is_empty() => {
            writeln!(out, "  the voters alone take it for benign")?
        }
        Some(changes) => {
            writeln!(out, "  it would be benign with:")?;
            for c in changes {
                writeln!(out, "    {}", change(c, &dossier.columns))?;
            }
        }
    }
    Ok(())
}

fn change(change: &Change, columns: &[String]) -> String {
    let name = columns.get(change.column).map_or("?", String::as_str);
    match (&change.from, &change.to) {
        (Value::Number(from), Value::Number(to)) => {
            format!("{name} = {} instead of {}", value(*to), value(*from))
        }
        _ => format!("{name} = its most frequent benign value"),
    }
}

fn tell_verified(out: &mut String, verified: &Verified) -> fmt::Result {
    for (detector, stored, now, same) in &verified.scores {
        let now = now.map_or("nothing".to_owned(), |s| s.to_string());
        let word = if *same { "identical" } else { "DIFFERENT" };
        writeln!(out, "  verify {:10} stored {stored}, now {now}: {word}", detector.name())?;
    }
    let word = if verified.inputs { "identical" } else { "DIFFERENT" };
    writeln!(out, "  verify inputs: {word}")?;
    Ok(())
}
