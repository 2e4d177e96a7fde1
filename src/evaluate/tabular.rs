//! `watchfire evaluate tabular`: learn from one table, judge another, compare with its labels.

mod files;
mod told;

use anyhow::{Context, Result, bail};
use detection::calibration::Budget;
use files::{Events, Table};
use indicatif::{ProgressBar, ProgressStyle};
use learning::evaluation::{Judge, Judged, Layout, Sheet, flows, table};
use learning::{CLASS_MIN_ROWS, Labelled, Settings};
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use threat::{DetectorKind, EventClass};

/// What the help ends with.
const AFTER: &str = "\
Both files are tables with a header (comma, semicolon or tab). Columns of numbers and of text are
told apart by the training file. `row` and the label are never features; `ts` gives the time, and
`id.orig_h`, `src_ip` or `user` the entity. A table with Zeek's conn columns is read as a flow log,
with windows and history as in `detect`.

The detectors learn from the training rows labelled benign alone. The output has a line for each
test row: row,label,score,verdict and each detector's calibrated tail; a higher score is more
anomalous, and the verdict keeps to the budget on benign rows held out of the training file.

Examples:
  watchfire evaluate tabular --train train.csv --test test.csv --label label --benign benign \\
      --scores scores.csv
  watchfire evaluate tabular --train a.csv --test b.csv --label class --benign normal \\
      --ignore difficulty --budget 0.1% --scores scores.csv --report report.html";

#[derive(clap::Args)]
#[command(after_help = AFTER)]
pub struct Args {
    /// Table to learn from
    #[arg(long, value_name = "CSV")]
    train: PathBuf,
    /// Table to judge
    #[arg(long, value_name = "CSV")]
    test: PathBuf,
    /// Column of the labels, in both tables
    #[arg(long, value_name = "COLUMN")]
    label: String,
    /// The label of benign rows; every other label is an attack's
    #[arg(long, value_name = "VALUE")]
    benign: String,
    /// Where scores and verdicts go; `-` is standard output
    #[arg(long, value_name = "CSV")]
    scores: PathBuf,
    /// False verdicts that are accepted
    #[arg(long, default_value = "1%", value_name = "RATE")]
    budget: Budget,
    /// Same tables and seed, same scores
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A column that is no feature, such as another form of the label (repeatable)
    #[arg(long, value_name = "COLUMN")]
    ignore: Vec<String>,
}

pub fn run(arguments: &Args) -> Result<ExitCode> {
    let bar = progress();
    bar.set_message(format!("reading {}", arguments.train.display()));
    let train = files::read(&arguments.train)?;
    let flows = files::is_flows(train.sheet.names());
    let learnt = learn(arguments, &train, flows, &bar)?;
    bar.set_message(format!("reading {}", arguments.test.display()));
    let test = files::read(&arguments.test)?;
    let attack = attacks(&test.sheet, arguments, &arguments.test)?;
    if test.sheet.is_empty() {
        bail!("{}: no rows to judge", arguments.test.display());
    }
    let judged = judge(arguments, learnt, &test, &bar)?;
    bar.finish_and_clear();
    write_scores(arguments, &test.sheet, &judged)?;
    let text = told::summary(&judged, &attack, &arguments.budget, arguments.seed)?;
    if arguments.scores.as_os_str() == "-" {
        eprint!("{text}");
    } else {
        print!("{text}");
    }
    Ok(ExitCode::SUCCESS)
}

/// What was learnt, and how a table becomes rows.
struct Learnt {
    bundle: Arc<detection::bundle::Bundle>,
    /// `None` for flows.
    layout: Option<Layout>,
}

fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(120));
    bar
}

/// Which rows are attacks.
fn attacks(sheet: &Sheet, arguments: &Args, path: &Path) -> Result<Vec<bool>> {
    let column = sheet.column(&arguments.label).with_context(|| path.display().to_string())?;
    Ok((0..sheet.len()).map(|r| sheet.cell(r, column) != arguments.benign).collect())
}

fn learn(arguments: &Args, train: &Table, flows: bool, bar: &ProgressBar) -> Result<Learnt> {
    let named = || arguments.train.display().to_string();
    let attack = attacks(&train.sheet, arguments, &arguments.train)?;
    if attack.iter().all(|a| *a) {
        bail!("{}: no row has {:?} in {:?}", named(), arguments.benign, arguments.label);
    }
    let layout = (!flows)
        .then(|| Layout::of(&train.sheet, &arguments.label, &arguments.ignore))
        .transpose()
        .with_context(named)?;
    let (class, block) = match &layout {
        Some(layout) => {
            let (block, odd) = layout.block(&train.sheet).with_context(named)?;
            tell_odd(&arguments.train, &odd);
            (EventClass::Generic, block)
        }
        None => {
            let batches = files::events(train, &arguments.train)?;
            let block = flows::block(&batches.batches).with_context(|| format!("{}: no flow", named()))?;
            (EventClass::Flow, block)
        }
    };
    bar.set_message(format!("learning from {} rows", block.len()));
    let settings = Settings {
        seed: arguments.seed,
        version: 1,
        origin: named(),
        class_rows: CLASS_MIN_ROWS,
    };
    let rows = Labelled { block, labels: labels(&train.sheet, arguments)? };
    let bundle = learning::train_labelled(class, &rows, &settings).with_context(named)?;
    Ok(Learnt { bundle: Arc::new(bundle), layout })
}

/// The number of each row's label, 0 for benign rows.
fn labels(sheet: &Sheet, arguments: &Args) -> Result<Vec<u16>> {
    let column = sheet.column(&arguments.label)?;
    let mut known: BTreeMap<&str, u16> = BTreeMap::from([(arguments.benign.as_str(), 0)]);
    let number = |row| {
        let next = u16::try_from(known.len()).unwrap_or(u16::MAX);
        *known.entry(sheet.cell(row, column)).or_insert(next)
    };
    Ok((0..sheet.len()).map(number).collect())
}

fn tell_odd(path: &Path, lines: &[u64]) {
    if let Some(first) = lines.first() {
        eprintln!(
            "watchfire: {}: text where a number was expected on {} lines (first: line {first}); \
             it counts as absent",
            path.display(),
            lines.len()
        );
    }
}

fn judge(
    arguments: &Args,
    learnt: Learnt,
    test: &Table,
    bar: &ProgressBar,
) -> Result<Vec<Judged>> {
    let named = || arguments.test.display().to_string();
    let mut judge = Judge::new(learnt.bundle, arguments.budget);
    let rows = test.sheet.len();
    let seen = |n: usize| bar.set_message(format!("judged {n} of {rows} rows"));
    let judged = match &learnt.layout {
        Some(layout) => {
            let (block, odd) = layout.block(&test.sheet).with_context(named)?;
            tell_odd(&arguments.test, &odd);
            judge.table(EventClass::Generic, &block, seen)
        }
        None => {
            let Events { batches } = files::events(test, &arguments.test)?;
            flows::judge(&mut judge, &batches, seen)
        }
    };
    Ok(judged)
}

fn write_scores(arguments: &Args, sheet: &Sheet, judged: &[Judged]) -> Result<()> {
    let path = &arguments.scores;
    let write = || -> Result<()> {
        let out: Box<dyn std::io::Write> = match path.as_os_str() == "-" {
            true => Box::new(std::io::stdout().lock()),
            false => Box::new(std::fs::File::create(path)?),
        };
        let mut out = std::io::BufWriter::new(out);
        let row_column = sheet.column(table::ROW).ok();
        let label = sheet.column(&arguments.label)?;
        let kinds: Vec<DetectorKind> = DetectorKind::ALL
            .into_iter()
            .filter(|k| judged.iter().any(|j| j.tails.iter().any(|t| t.0 == *k)))
            .collect();
        write!(out, "row,label,score,verdict")?;
        kinds.iter().try_for_each(|k| write!(out, ",{}", k.name()))?;
        writeln!(out)?;
        for (row, j) in judged.iter().enumerate() {
            let id = row_column.map_or_else(|| row.to_string(), |c| sheet.cell(row, c).to_owned());
            let label = files::quoted(sheet.cell(row, label));
            write!(out, "{},{label},{},{}", files::quoted(&id), j.score, u8::from(j.threat))?;
            for kind in &kinds {
                match j.tails.iter().find(|t| t.0 == *kind) {
                    Some((_, tail)) => write!(out, ",{tail}")?,
                    None => write!(out, ",")?,
                }
            }
            writeln!(out)?;
        }
        Ok(out.flush()?)
    };
    write().with_context(|| path.display().to_string())
}
