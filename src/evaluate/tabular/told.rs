//! What was measured, for a terminal.

use anyhow::Result;
use detection::calibration::Budget;
use learning::evaluation::Judged;
use learning::evaluation::metrics::{Confusion, Summary, interval};
use std::fmt::Write as _;
use threat::DetectorKind;

/// One scorer's answers: a name, scores and verdicts.
struct Ranking {
    name: &'static str,
    scores: Vec<f32>,
    verdicts: Vec<bool>,
}

fn rankings(judged: &[Judged], budget: &Budget) -> Vec<Ranking> {
    let threshold = budget.threshold_tail(None);
    let mut all = vec![Ranking {
        name: "ensemble",
        scores: judged.iter().map(|j| j.score).collect(),
        verdicts: judged.iter().map(|j| j.threat).collect(),
    }];
    for kind in DetectorKind::ALL {
        let tails: Vec<Option<f32>> = judged
            .iter()
            .map(|j| j.tails.iter().find(|t| t.0 == kind).map(|t| t.1))
            .collect();
        if tails.iter().any(Option::is_some) {
            let scores: Vec<f32> = tails.iter().map(|t| t.unwrap_or(0.0)).collect();
            let verdicts = scores.iter().map(|s| *s >= threshold).collect();
            all.push(Ranking { name: kind.name(), scores, verdicts });
        }
    }
    all
}

/// A table of the measures of the ensemble and of each detector.
pub fn summary(judged: &[Judged], attack: &[bool], budget: &Budget, seed: u64) -> Result<String> {
    let attacks = attack.iter().filter(|a| **a).count();
    let mut out = String::new();
    let benign = attack.len() - attacks;
    writeln!(out, "{} rows: {benign} benign, {attacks} attacks", attack.len())?;
    let both = attacks > 0 && benign > 0;
    writeln!(
        out,
        "{:<11} {:>7} {:>15} {:>7} {:>9}   at a budget of {budget}: {:>7} {:>15} {:>7}",
        "", "AUC", "95% interval", "PR-AUC", "TPR@1%FPR", "FPR", "95% interval", "TPR"
    )?;
    for r in rankings(judged, budget) {
        let c = Confusion::of(r.verdicts.iter().copied(), attack);
        let (low, high) = Confusion::wilson(c.false_alarms, c.benign);
        let pad = " ".repeat(19 + budget.to_string().len());
        let measured = if both {
            let s = Summary::of(&r.scores, attack)?;
            let (from, to) = interval(&r.scores, attack, seed)?;
            format!(
                "{:>7.4} {:>15} {:>7.4} {:>9.4}",
                s.auc,
                format!("{:.4}-{:.4}", from.auc, to.auc),
                s.precision,
                s.hits_at_one_percent
            )
        } else {
            format!("{:>7} {:>15} {:>7} {:>9}", "-", "-", "-", "-")
        };
        writeln!(
            out,
            "{:<11} {measured} {pad} {:>7.4} {:>15} {:>7.4}",
            r.name,
            c.false_rate(),
            format!("{low:.4}-{high:.4}"),
            c.hit_rate()
        )?;
    }
    Ok(out)
}
