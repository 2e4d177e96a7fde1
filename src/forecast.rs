//! `watchfire forecast`: what comes next in tables of series, and how good such forecasts were.

use ::forecast::backtest::{Line, Origins};
use ::forecast::series::{Duplicates, Gaps, Negatives, NotANumber};
use ::forecast::windows::{Rule, Threshold};
use ::forecast::{Grid, Settings, Treatment};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use node::forecasting::table::{self, Window};
use node::forecasting::{Backtested, Made, Request, header, make, percent, rows};
use node::report::forecasts::{SHOWN, notes, page, short};
use node::report::words::{time, visible};
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
last four weeks; critical steps that are near one another are told as one window.

Examples:
  watchfire forecast --input hourly.csv --horizon 72
  watchfire forecast --input hourly.csv --horizon 48 --output next.csv --report next.html
  watchfire forecast --backtest hourly.csv --horizon 72 --origins 20";

/// Lines of critical windows in the terminal; the page has all.
const WINDOWS: usize = 20;

/// Characters of a name in the terminal's tables, at most as many are reckoned with.
const WIDE: usize = 48;

/// Series in the terminal's table.
const SERIES: usize = 40;

#[derive(clap::Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// Table to forecast: series,[origin],t,value; `-` is standard input
    #[arg(long, value_name = "CSV", required_unless_present = "backtest")]
    input: Option<PathBuf>,
    /// Measure forecasts from past origins of this table instead, beside simple ones
    #[arg(long, value_name = "CSV", conflicts_with_all = ["input", "output", "report"])]
    backtest: Option<PathBuf>,
    /// Origins of the backtest, a day apart, the latest a horizon before the end
    #[arg(long, default_value_t = 8, value_name = "N", requires = "backtest")]
    origins: usize,
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
        let text = page(&kept, all, &input.display().to_string());
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    if shows {
        show(&kept, all)?;
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

/// A table for people.
fn show(made: &[Made], all: usize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let names = made.iter().take(SERIES).map(|one| visible(&one.window.name()).chars().count());
    let wide = names.max().unwrap_or_default().clamp(8, WIDE);
    writeln!(
        out,
        "{:<wide$} {:>10} {:>10} {:<20} made of",
        "series", "in all", "peak up to", "at"
    )?;
    for one in made.iter().take(SERIES) {
        let forecast = &one.forecast;
        let total: f64 = forecast.mean.iter().sum();
        let first = forecast.bands.first();
        let high = first.map_or(&forecast.mean, |band| &band.high);
        let peak = (0..high.len()).max_by(|a, b| high[*a].total_cmp(&high[*b])).unwrap_or_default();
        let methods: Vec<String> = forecast
            .methods
            .iter()
            .map(|m| format!("{} {:.0}%", m.kind.name(), m.weight * 100.0))
            .collect();
        let name = visible(&one.window.name());
        let at = one.window.written(one.series.grid(), forecast.time(peak));
        writeln!(
            out,
            "{name:<wide$} {:>10} {:>10} {:<20} {}",
            short(total),
            short(high.get(peak).copied().unwrap_or_default()),
            at,
            methods.join(", ")
        )?;
        for note in notes(one) {
            writeln!(out, "  {note}")?;
        }
    }
    if all > made.len().min(SERIES) {
        writeln!(out, "... {} more; --output has all", all - made.len().min(SERIES))?;
    }
    let windows = made.iter().flat_map(|one| one.critical.iter().map(move |w| (one, w)));
    let windows: Vec<_> = windows.collect();
    if windows.is_empty() {
        return Ok(writeln!(out, "\nno critical windows")?);
    }
    writeln!(
        out,
        "\n{:<wide$} {:<20} {:<20} {:>6} {:>9} {:>9}",
        "critical", "from", "to", "chance", "expected", "up to"
    )?;
    for (one, window) in windows.iter().take(WINDOWS) {
        writeln!(
            out,
            "{:<wide$} {:<20} {:<20} {:>5.0}% {:>9} {:>9}",
            visible(&one.window.name()),
            time(window.start),
            time(window.end),
            window.probability * 100.0,
            short(window.expected),
            short(window.upper)
        )?;
    }
    if windows.len() > WINDOWS {
        writeln!(out, "... {} more; --report has all", windows.len() - WINDOWS)?;
    }
    Ok(())
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
    Ok(ExitCode::SUCCESS)
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
