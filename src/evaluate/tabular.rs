//! `watchfire evaluate tabular`: learn from one table, judge another, compare with its labels.

mod files;
mod told;

use anyhow::{Context, Result, bail};
use detection::block::Block;
use detection::bundle::Bundle;
use detection::calibration::Budget;
use detection::detectors::bayes::posterior::Belief;
use files::{Events, Table};
use indicatif::{ProgressBar, ProgressStyle};
use learning::evaluation::{
    Evaluation, Judge, Judged, Layout, Namer, Sheet, flows, reasons, table,
};
use learning::{CLASS_MIN_ROWS, Labelled, Settings};
use node::report::evaluation::{Subject, evaluation};
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

The detectors learn from the training rows labelled benign alone. Where other labels are there, one
more learns from them, too; it joins the answer as far as attacks that were held out of the training
file, by entity, name or row, show that labels hold. Rows that are threats then get the name of the
label that they look like, or `unknown`, and how sure that is. The output has a line for each
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
    /// One HTML page with the measures, the curves and the calibration
    #[arg(long, value_name = "HTML")]
    report: Option<PathBuf>,
    /// Also check the reasons for threat verdicts: that they add up, that making what they name
    /// ordinary lowers the score, and that counterfactuals flip the verdict
    #[arg(long)]
    reasons: bool,
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
    let column = test.sheet.column(&arguments.label);
    let column = column.with_context(|| arguments.test.display().to_string())?;
    if test.sheet.is_empty() {
        bail!("{}: no rows to judge", arguments.test.display());
    }
    let rows = rows(arguments, &learnt, &test)?;
    let judged = judge(arguments, &learnt, &rows, &bar);
    bar.set_message("measuring");
    let names = names(arguments, &learnt, &rows, &judged)?;
    write_scores(arguments, &test.sheet, &judged, names.as_deref())?;
    let labels: Vec<&str> = (0..judged.len()).map(|r| test.sheet.cell(r, column)).collect();
    let measured =
        Evaluation::of(&judged, &labels, &arguments.benign, arguments.budget, arguments.seed)?;
    if let Some(path) = &arguments.report {
        let subject = Subject {
            train: arguments.train.display().to_string(),
            test: arguments.test.display().to_string(),
        };
        std::fs::write(path, evaluation(&measured, &subject))
            .with_context(|| path.display().to_string())?;
    }
    if arguments.reasons {
        tell_reasons(arguments, &learnt, &rows)?;
    }
    bar.finish_and_clear();
    let mut text = told::summary(&measured)?;
    if let Some(names) = &names {
        text += &told::named(names, &labels, &arguments.benign);
    }
    if arguments.scores.as_os_str() == "-" {
        eprint!("{text}");
    } else {
        print!("{text}");
    }
    Ok(ExitCode::SUCCESS)
}

/// What was learnt, and how a table becomes rows.
struct Learnt {
    bundle: Arc<Bundle>,
    /// `None` for flows.
    layout: Option<Layout>,
    class: EventClass,
    /// Where attacks were labelled.
    namer: Option<Namer>,
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

fn learn(arguments: &Args, train: &Table, flows: bool, bar: &ProgressBar) -> Result<Learnt> {
    let named = || arguments.train.display().to_string();
    let labels = labels(&train.sheet, arguments).with_context(named)?;
    if labels.iter().all(|l| *l > 0) {
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
            let block =
                flows::block(&batches.batches).with_context(|| format!("{}: no flow", named()))?;
            (EventClass::Flow, block)
        }
    };
    bar.set_message(format!("learning from {} rows", block.len()));
    let settings =
        Settings { seed: arguments.seed, version: 1, origin: named(), class_rows: CLASS_MIN_ROWS };
    let rows = Labelled { block, labels };
    let bundle = learning::train_labelled(class, &rows, &settings).with_context(named)?;
    let bundle = Arc::new(bundle);
    let namer = namer(arguments, &bundle, class, &rows, &train.sheet)?;
    Ok(Learnt { bundle, layout, class, namer })
}

/// Learns the names of the labelled attacks; `None` without any, or when they are too many.
fn namer(
    arguments: &Args,
    bundle: &Arc<Bundle>,
    class: EventClass,
    rows: &Labelled,
    sheet: &Sheet,
) -> Result<Option<Namer>> {
    let attacks = rows.places(true);
    if attacks.is_empty() {
        return Ok(None);
    }
    let column = sheet.column(&arguments.label)?;
    let labels: Vec<&str> = attacks.iter().map(|&r| sheet.cell(r, column)).collect();
    let judge = Judge::new(Arc::clone(bundle), arguments.budget);
    let learnt = Namer::learn(&judge.encoded(class, rows.block.select(&attacks)), &labels);
    if let Err(error) = &learnt {
        eprintln!("watchfire: attacks are not named: {error}");
    }
    Ok(learnt.ok())
}

/// The names of the rows that are threats, where attacks were labelled.
fn names(
    arguments: &Args,
    learnt: &Learnt,
    rows: &Rows,
    judged: &[Judged],
) -> Result<Option<Vec<Option<Belief>>>> {
    let (Some(namer), Some(block)) = (&learnt.namer, rows.block()) else { return Ok(None) };
    let judge = Judge::new(Arc::clone(&learnt.bundle), arguments.budget);
    let block = judge.encoded(learnt.class, block);
    let name = |row: usize| if judged[row].threat { namer.name(&block, row) } else { Ok(None) };
    Ok(Some((0..judged.len()).map(name).collect::<Result<_, _>>()?))
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

/// The rows to judge, as a block or as events.
enum Rows {
    Table(Box<Block>),
    Flows(Events),
}

impl Rows {
    /// As one block without encoding; `None` without a row.
    fn block(&self) -> Option<Block> {
        match self {
            Self::Table(block) => Some(block.as_ref().clone()),
            Self::Flows(events) => flows::block(&events.batches),
        }
    }
}

fn rows(arguments: &Args, learnt: &Learnt, test: &Table) -> Result<Rows> {
    let Some(layout) = &learnt.layout else {
        return Ok(Rows::Flows(files::events(test, &arguments.test)?));
    };
    let block = layout.block(&test.sheet);
    let (block, odd) = block.with_context(|| arguments.test.display().to_string())?;
    tell_odd(&arguments.test, &odd);
    Ok(Rows::Table(Box::new(block)))
}

fn judge(arguments: &Args, learnt: &Learnt, rows: &Rows, bar: &ProgressBar) -> Vec<Judged> {
    let mut judge = Judge::new(Arc::clone(&learnt.bundle), arguments.budget);
    let seen = |n: usize| bar.set_message(format!("judged {n} rows"));
    match rows {
        Rows::Table(block) => judge.table(learnt.class, block, seen),
        Rows::Flows(events) => flows::judge(&mut judge, &events.batches, seen),
    }
}

fn tell_reasons(arguments: &Args, learnt: &Learnt, rows: &Rows) -> Result<()> {
    let Some(block) = rows.block() else { return Ok(()) };
    let r = reasons(&learnt.bundle, learnt.class, &block, arguments.budget, arguments.seed)?;
    eprint!("{}", told::reasons(&r)?);
    Ok(())
}

fn write_scores(
    arguments: &Args,
    sheet: &Sheet,
    judged: &[Judged],
    names: Option<&[Option<Belief>]>,
) -> Result<()> {
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
        writeln!(out, "{}", if names.is_some() { ",named,sure" } else { "" })?;
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
            match names.map(|n| &n[row]) {
                Some(Some(b)) => write!(out, ",{},{:.4}", files::quoted(&b.class), b.mean)?,
                Some(None) => write!(out, ",,")?,
                None => {}
            }
            writeln!(out)?;
        }
        Ok(out.flush()?)
    };
    write().with_context(|| path.display().to_string())
}
