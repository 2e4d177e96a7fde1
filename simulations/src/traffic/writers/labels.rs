//! The table of labels as CSV: one row per campaign, lists joined by spaces.

use super::line::iso;
use crate::traffic::label::Label;
use std::io::{self, Write};
use threat::Timestamp;

/// Writes `campaign,kind,technique,actors,targets,first,last,records`. Times are UTC; both are
/// empty for a campaign of which nothing was logged.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, labels: &[Label]) -> io::Result<()> {
    writeln!(out, "campaign,kind,technique,actors,targets,first,last,records")?;
    for label in labels {
        let actors: Vec<String> = label.actors.iter().map(ToString::to_string).collect();
        let targets: Vec<&str> = label.targets.iter().map(|t| t.as_str()).collect();
        writeln!(
            out,
            "{},{},{},{},{},{},{},{}",
            label.id,
            label.kind.name(),
            label.technique(),
            actors.join(" "),
            targets.join(" "),
            time(label.first),
            time(label.last),
            label.records,
        )?;
    }
    Ok(())
}

fn time(t: Option<Timestamp>) -> String {
    let Some(t) = t else { return String::new() };
    let mut line = Vec::with_capacity(32);
    iso(&mut line, t);
    line.push(b'Z');
    String::from_utf8_lossy(&line).into_owned()
}
