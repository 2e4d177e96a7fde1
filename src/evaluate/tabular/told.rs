//! What was measured, for a terminal.

use detection::detectors::bayes::posterior::{Belief, UNKNOWN};
use detection::ensemble::REPEAT_LIMIT;
use learning::evaluation::metrics::Confusion;
use learning::evaluation::{Evaluation, Reasons};
use std::fmt::Write as _;

/// Labels that are listed: the most frequent.
const LABELS: usize = 12;

/// A table of the measures of the ensemble and of each detector.
pub fn summary(e: &Evaluation) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let (benign, attacks) = e.rows;
    writeln!(out, "{} rows: {benign} benign, {attacks} attacks", benign + attacks)?;
    writeln!(
        out,
        "{:<10} {:>6} {:>15} {:>7} {:>10} | at {}: {:>7} {:>15} {:>7}",
        "", "AUC", "95% interval", "PR-AUC", "TPR@1%FPR", e.budget, "FPR", "95% interval", "TPR"
    )?;
    let pad = " ".repeat(e.budget.to_string().len() + 4);
    for s in &e.scorers {
        let (low, high) = Confusion::wilson(s.own.false_alarms, s.own.benign);
        let ranking = match &s.ranking {
            Some([at, low, high]) => format!(
                "{:>6.4} {:>15} {:>7.4} {:>10.4}",
                at.auc,
                format!("{:.4}-{:.4}", low.auc, high.auc),
                at.precision,
                at.hits_at_one_percent
            ),
            None => format!("{:>6} {:>15} {:>7} {:>10}", "-", "-", "-", "-"),
        };
        writeln!(
            out,
            "{:<10} {ranking} | {pad} {:>7.4} {:>15} {:>7.4}",
            s.name,
            s.own.false_rate(),
            format!("{low:.4}-{high:.4}"),
            s.own.hit_rate()
        )?;
    }
    if e.found.len() > 1 {
        let told = e.found.iter().take(LABELS).map(|(label, hits, rows)| {
            format!("{} {hits}/{rows}", node::report::words::visible(label))
        });
        let more = e.found.len().saturating_sub(LABELS);
        let more = if more > 0 { format!(", and {more} more labels") } else { String::new() };
        writeln!(out, "found: {}{more}", told.collect::<Vec<_>>().join(", "))?;
    }
    if e.repeats != (0, 0) {
        writeln!(
            out,
            "repeats: {} benign rows and {} attacks make no verdict of their own, since their \
             source did the same {REPEAT_LIMIT} times before",
            e.repeats.0, e.repeats.1
        )?;
    }
    Ok(out)
}

/// What was measured of the reasons for threat verdicts.
pub fn reasons(r: &Reasons) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(out, "reasons of {} threat verdicts:", r.rows)?;
    writeln!(out, "  no feature explains {:.2}% of the scores", 100.0 * r.unattributed)?;
    writeln!(
        out,
        "  score falls by {:.2} without the three features named, {:.2} without random ones",
        r.named, r.random
    )?;
    let (stated, flipped) = (r.stated, r.flipped);
    writeln!(out, "  counterfactuals: {stated} stated, {flipped} of them flip the verdict")?;
    Ok(out)
}

/// How many of the attacks that were found got their own label as name.
pub fn named(names: &[Option<Belief>], labels: &[&str], benign: &str) -> String {
    let found: Vec<(&str, &str)> = names
        .iter()
        .zip(labels)
        .filter(|(_, label)| **label != benign)
        .filter_map(|(name, label)| Some((name.as_ref()?.class.as_str(), *label)))
        .collect();
    let right = found.iter().filter(|(name, label)| name == label).count();
    let unknown = found.iter().filter(|(name, _)| *name == UNKNOWN).count();
    format!(
        "named: {right} of {} attacks found got their label as name, {unknown} are {UNKNOWN}\n",
        found.len()
    )
}
