//! `watchfire forecast`: what comes next in tables of series or for a cluster, and how good such
//! forecasts were.

mod shown;
mod threats;

use ::forecast::backtest::{Line, Origins};
use ::forecast::series::{Duplicates, Gaps, Negatives, NotANumber};
use ::forecast::windows::score::Scores;
use ::forecast::windows::{Rule, Threshold};
use ::forecast::{Grid, Settings, Treatment};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use node::forecasting::table::{self, Window};
use node::forecasting::{Backtested, Request, header, make, percent, rows};
use node::report::forecasts::{SHOWN, page, short};
use node::report::words::visible;
use std::fs::File;
use std::io::{BufReader, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the help ends with.
const AFTER: &str = "\
The table has a header and the columns series, t and value, and origin if there are several points
from which each series is forecast. t is a UTC time or a number of steps. What comes after the last
row of each series (and origin) is forecast. At least two days must be there; two weeks make a
forecast that was validated in full.

By default rows are counts of events: steps without a row are 0, rows of one step are added,
negative values and rows without a value are refused, with their line.

The output has a line for each step: series,origin,t,mean,lo80,hi80,lo95,hi95. A step is critical
when the upper bound of its 80% interval passes --above, or --times the median of that hour of the
last four weeks; critical steps that are near one another are told as one window, with the chance
that any of its steps passes. A backtest tells how right such windows were, too, beside what the
same hours of the week before would have said.

With --threats there is no table: the nodes of a cluster count what they judge by hour, and forecast
events, attacks (events that are threats) and new threats for all regions and each, by class and by
source, for three days. Any node answers with what it knows; --state asks what `watchfire detect`
kept instead.

Examples:
  watchfire forecast --threats                           what comes, and what it will ask of you
  watchfire forecast --threats --region eu --class brute_force
  watchfire forecast --input hourly.csv --horizon 72
  watchfire forecast --input hourly.csv --horizon 48 --output next.csv --report next.html
  watchfire forecast --backtest hourly.csv --horizon 72 --origins 20";

#[derive(clap::Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// Table to forecast: series,[origin],t,value; `-` is standard input
    #[arg(long, value_name = "CSV", required_unless_present_any = ["backtest", "threats"])]
    input: Option<PathBuf>,
    /// Measure forecasts from past origins of this table instead, beside simple ones
    #[arg(long, value_name = "CSV", conflicts_with_all = ["input", "output", "report"])]
    backtest: Option<PathBuf>,
    /// Origins of the backtest, a day apart, the latest a horizon before the end
    #[arg(long, default_value_t = 8, value_name = "N", requires = "backtest")]
    origins: usize,
    #[command(flatten)]
    seen: threats::Seen,
    /// Steps to forecast
    #[arg(long, default_value_t = 72, value_name = "N")]
    horizon: usize,
    /// Levels of the intervals, in percent
    #[arg(long, default_value = "80,95", value_delimiter = ',', value_name = "PERCENT")]
    levels: Vec<f64>,
    /// Length of a step: 15m, 1h, 1d
    #[arg(long, default_value = "1h", value_name = "TIME")]
    step: String,
    /// Where the forecasts go; `-` is standard output
    #[arg(long, value_name = "CSV")]
    output: Option<PathBuf>,
    /// One HTML page with history, forecasts, bands and what was forecast before
    #[arg(long, value_name = "HTML")]
    report: Option<PathBuf>,
    /// A step with more than this is critical
    #[arg(long, value_name = "VALUE", conflicts_with = "times")]
    above: Option<f64>,
    /// A step with more than so many times the usual of its hour is critical
    #[arg(long, default_value_t = 3.0, value_name = "FACTOR")]
    times: f64,
    /// What a step without a row means
    #[arg(long, value_enum, default_value_t = GapsAre::Zero)]
    gaps: GapsAre,
    /// What several rows of one step mean
    #[arg(long, value_enum, default_value_t = DuplicatesAre::Sum)]
    duplicates: DuplicatesAre,
    /// What a negative value means
    #[arg(long, value_enum, default_value_t = NegativesAre::Refused)]
    negatives: NegativesAre,
    /// What a row without a value, or with NaN, means
    #[arg(long, value_enum, default_value_t = MissingAre::Refused)]
    missing: MissingAre,
}

#[derive(Clone, Copy, ValueEnum)]
enum GapsAre {
    /// Nothing happened
    Zero,
    /// Nobody looked
    Unknown,
}

#[derive(Clone, Copy, ValueEnum)]
enum DuplicatesAre {
    /// Parts of one number
    Sum,
    /// Readings, of which the mean counts
    Mean,
    /// Readings, of which the largest counts
    Largest,
    /// A mistake
    Refused,
}

#[derive(Clone, Copy, ValueEnum)]
enum NegativesAre {
    /// A mistake
    Refused,
    /// Noise around nothing
    Zero,
    /// Values like others
    Kept,
}

#[derive(Clone, Copy, ValueEnum)]
enum MissingAre {
    /// A mistake
    Refused,
    /// As a step without a row
    Gaps,
}

impl Arguments {
    fn request(&self) -> Result<Request> {
        let levels = self.levels.iter().map(|level| level / 100.0).collect();
        let threshold = self.above.map_or(Threshold::TimesUsual(self.times), Threshold::Value);
        if !(self.times.is_finite() && self.times > 0.0) {
            bail!("--times {}: it must be above 0", self.times);
        }
        Ok(Request {
            grid: Grid::of_step(step(&self.step)?)
                .with_context(|| format!("--step {}", self.step))?,
            treatment: Treatment {
                gaps: match self.gaps {
                    GapsAre::Zero => Gaps::Zero,
                    GapsAre::Unknown => Gaps::Unknown,
                },
                duplicates: match self.duplicates {
                    DuplicatesAre::Sum => Duplicates::Sum,
                    DuplicatesAre::Mean => Duplicates::Mean,
                    DuplicatesAre::Largest => Duplicates::Largest,
                    DuplicatesAre::Refused => Duplicates::Refuse,
                },
                negatives: match self.negatives {
                    NegativesAre::Refused => Negatives::Refuse,
                    NegativesAre::Zero => Negatives::Zero,
                    NegativesAre::Kept => Negatives::Keep,
                },
                not_a_number: match self.missing {
                    MissingAre::Refused => NotANumber::Refuse,
                    MissingAre::Gaps => NotANumber::Missing,
                },
            },
            settings: Settings { horizon: self.horizon, levels },
            rule: Rule { threshold, ..Rule::default() },
            past: self.report.is_some(),
        })
    }
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let request = arguments.request()?;
    if arguments.seen.threats {
        return threats::run(arguments, &request.rule);
    }
    let bar = progress();
    if let Some(path) = &arguments.backtest {
        let windows = read(path, request.grid, &bar)?;
        return measure(arguments, &request, &windows, &bar);
    }
    let Some(input) = &arguments.input else { bail!("--input is missing") };
    let windows = read(input, request.grid, &bar)?;
    let all = windows.len();
    let mut output = arguments.output.as_deref().map(create).transpose()?;
    let shows = arguments.output.is_none();
    if let Some(output) = &mut output {
        output.write_all(header(&request.settings.levels).as_bytes())?;
    }
    bar.set_length(all as u64);
    bar.set_message("forecasting");
    let mut kept = Vec::new();
    let (mut critical, mut weak) = (0, 0);
    for window in windows {
        let made = make(window, &request).with_context(|| input.display().to_string())?;
        bar.inc(1);
        critical += made.critical.len();
        weak += usize::from(made.forecast.weak);
        if let Some(output) = &mut output {
            output.write_all(rows(&made, request.grid).as_bytes())?;
        }
        if kept.len() < SHOWN {
            kept.push(made);
        }
    }
    bar.finish_and_clear();
    if let Some(mut output) = output {
        output.flush()?;
    }
    if let Some(path) = &arguments.report {
        let text = page(&kept, all, &input.display().to_string(), &[]);
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    if shows {
        shown::show(&kept, all)?;
    } else {
        eprintln!("{all} series forecast, {critical} critical windows, {weak} weak");
    }
    Ok(ExitCode::SUCCESS)
}

/// A length of time such as 15m, in seconds.
fn step(text: &str) -> Result<u32> {
    let wrong = || format!("--step {text}: a number and s, m, h or d, such as 15m");
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => bail!(wrong()),
    };
    let number: u32 = number.parse().with_context(wrong)?;
    number.checked_mul(unit).with_context(wrong)
}

fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {msg} {pos}/{len} {elapsed}");
    ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn read(path: &Path, grid: Grid, bar: &ProgressBar) -> Result<Vec<Window>> {
    bar.set_message("rows read");
    let told = |rows: usize| bar.set_position(rows as u64);
    let read = if path == Path::new("-") {
        table::read(std::io::stdin().lock(), grid, told)
    } else {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        table::read(BufReader::new(file), grid, told)
    };
    bar.set_position(0);
    read.with_context(|| path.display().to_string())
}

fn create(path: &Path) -> Result<Box<dyn Write>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufWriter::new(std::io::stdout())));
    }
    let file = File::create(path).with_context(|| path.display().to_string())?;
    Ok(Box::new(BufWriter::new(file)))
}

/// Forecasts from past origins, and what they were worth.
fn measure(
    arguments: &Arguments,
    request: &Request,
    windows: &[Window],
    bar: &ProgressBar,
) -> Result<ExitCode> {
    bar.set_length(windows.len() as u64);
    bar.set_message("backtesting");
    let day = request.grid.seasons().short;
    let origins = Origins { count: arguments.origins, every: day };
    // After each day, and at the end.
    let mut horizons: Vec<usize> =
        (1..).map(|d| d * day).take_while(|steps| *steps < arguments.horizon).collect();
    horizons.push(arguments.horizon);
    let mut all = Backtested::default();
    for window in windows {
        all.add(window, request, origins, &horizons)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} forecasts of {} series, a day apart", all.windows, all.series)?;
    if !all.short.is_empty() {
        let names = all.short.iter().take(5).map(|n| visible(n)).collect::<Vec<_>>().join(", ");
        writeln!(out, "too short: {} ({names})", all.short.len())?;
    }
    if all.series == 0 {
        bail!("no series is long enough: {} steps and two days are needed", arguments.horizon);
    }
    write!(out, "{:>8} {:<16} {:>10} {:>7} {:>7}", "steps", "method", "MAE", "MASE", "sMAPE")?;
    for level in &request.settings.levels {
        write!(out, " {:>7} {:>7}", format!("in {}%", percent(*level)), "MSIS")?;
    }
    writeln!(out)?;
    let lines = all.lines();
    for at in 0..horizons.len() {
        for line in &lines {
            told(&mut out, line, at)?;
        }
    }
    critical(&mut out, &all.critical(), request.grid)?;
    Ok(ExitCode::SUCCESS)
}

/// How right critical windows were.
fn critical(out: &mut impl Write, scores: &Scores, grid: Grid) -> Result<()> {
    writeln!(
        out,
        "\n{:<12} {:>11} {:>11} {:>6} {:>8} {:>16}",
        "critical", "right/said", "found/all", "F1", "lead", "steps P / R / F1"
    )?;
    let share = |value: Option<f64>| value.map_or("-".into(), |v| format!("{v:.2}"));
    for (name, tally) in [("forecast", &scores.forecast), ("last season", &scores.last_season)] {
        let hours = f64::from(grid.step_secs()) / 3_600.0;
        let lead = tally.median_lead().map(|steps| format!("{:.0} h", steps * hours));
        let of = [tally.step_precision(), tally.step_recall(), tally.step_f1()];
        writeln!(
            out,
            "{name:<12} {:>11} {:>11} {:>6} {:>8} {:>16}",
            format!("{}/{}", tally.windows_right, tally.windows),
            format!("{}/{}", tally.episodes_found, tally.episodes),
            share(tally.f1()),
            lead.unwrap_or_else(|| "-".into()),
            of.map(share).join(" / ")
        )?;
    }
    Ok(())
}

fn told(out: &mut impl Write, line: &Line, at: usize) -> Result<()> {
    let Some(measures) = line.measures.get(at) else { return Ok(()) };
    let or_none = |value: Option<f64>| value.map_or("-".into(), |v| format!("{v:.3}"));
    write!(
        out,
        "{:>8} {:<16} {:>10} {:>7} {:>6.2}%",
        measures.horizon,
        line.name,
        short(measures.mae),
        or_none(measures.mase),
        measures.smape
    )?;
    for interval in &measures.intervals {
        write!(out, " {:>6.1}% {:>7}", interval.coverage * 100.0, or_none(interval.msis))?;
    }
    Ok(writeln!(out)?)
}
