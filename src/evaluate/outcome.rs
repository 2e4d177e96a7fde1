//! What an evaluation writes and prints: a line a row for scorers of others, a summary for people.

use anyhow::{Context, Result};
use learning::evaluation::metrics::{Confusion, Summary, interval};
use learning::evaluation::units::Judged;
use std::fmt::Write as _;
use std::path::Path;

/// Judged rows with their names and labels.
pub struct Outcome<'a> {
    /// Name of each row.
    pub rows: Vec<String>,
    /// Whether each row is labelled bad.
    pub positive: Vec<bool>,
    /// The label of bad rows.
    pub label: &'a str,
    /// The detector that judged.
    pub detector: &'a str,
    /// What the system said.
    pub judged: Judged,
}

impl Outcome<'_> {
    /// Writes `row,label,score,verdict` and the detector's calibrated tail.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = format!("row,label,score,verdict,{}\n", self.detector);
        for (i, row) in self.rows.iter().enumerate() {
            let label = if self.positive[i] { self.label } else { "benign" };
            let verdict = u8::from(self.judged.verdicts[i]);
            let (score, tail) = (self.judged.scores[i], self.judged.tails[i]);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{row},{label},{score},{verdict},{tail}");
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        std::fs::write(path, text).with_context(|| path.display().to_string())
    }

    /// Prints ranking measures and what the system's own threshold does, with 95% intervals.
    ///
    /// # Errors
    /// When all rows are of one kind.
    pub fn print(&self, seed: u64) -> Result<()> {
        let (scores, positive) = (self.judged.scores.as_slice(), self.positive.as_slice());
        let bad = positive.iter().filter(|p| **p).count();
        println!("{} rows, {bad} of them {}", positive.len(), self.label);
        let at = Summary::of(scores, positive)?;
        let (low, high) = interval(scores, positive, seed)?;
        let measure = |name: &str, of: fn(&Summary) -> f64| {
            println!("{name:<22} {:.4}  [{:.4}, {:.4}]", of(&at), of(&low), of(&high));
        };
        measure("ROC-AUC", |s| s.auc);
        measure("average precision", |s| s.precision);
        measure("TPR at FPR <= 1%", |s| s.hits_at_one_percent);
        println!("own threshold, from {} held-out units of training:", self.judged.held_out);
        for (name, wanted) in [("FPR", false), ("TPR", true)] {
            let of: Vec<bool> = positive
                .iter()
                .zip(&self.judged.verdicts)
                .filter(|(p, _)| **p == wanted)
                .map(|(_, v)| *v)
                .collect();
            let hits = of.iter().filter(|v| **v).count();
            let (low, high) = Confusion::wilson(hits, of.len());
            let share = hits as f64 / of.len().max(1) as f64;
            println!("  {name:<20} {share:.4}  [{low:.4}, {high:.4}]  {hits} of {}", of.len());
        }
        Ok(())
    }
}
