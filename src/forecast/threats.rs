//! `watchfire forecast --threats`: what a cluster, or a node without one, says will come.

use super::Arguments;
use super::shown::{needs, show};
use crate::asking::Asked;
use ::forecast::windows::Rule;
use ::forecast::{Grid, Measure, Outlook, Series};
use anyhow::{Context, Result, bail};
use node::forecasting::needs::{Costs, days};
use node::forecasting::{Heard, Made, Wanted, ask, header, of_state, rows, table};
use node::report::forecasts::{SHOWN, page, short};
use node::report::words::{number, time, visible};
use std::path::PathBuf;
use std::process::ExitCode;

/// What an event costs where nobody has measured it, in microseconds of one core: some times the 6
/// to 12 that the scoreboard has for flows judged from files, as nodes also carry and copy them.
const CORE_MICROS: f64 = 50.0;

/// Minutes of an analyst for a new threat where nobody has handled enough of them: a look at its
/// evidence and a word on it.
const MINUTES: f64 = 15.0;

#[derive(clap::Args)]
pub struct Seen {
    /// Forecast what a cluster has seen, instead of a table
    #[arg(long, conflicts_with_all = ["input", "backtest"])]
    pub threats: bool,
    /// Only what this region saw; without, all regions together
    #[arg(long, value_name = "NAME", requires = "threats")]
    region: Option<String>,
    /// Only this class of threats (scan, brute_force, ...) or events (flow, dns, ...)
    #[arg(long, value_name = "NAME", requires = "threats")]
    class: Option<String>,
    /// Only what came from this source
    #[arg(long, value_name = "NAME", requires = "threats", conflicts_with = "region")]
    source: Option<String>,
    /// Hours to forecast, up to 72
    #[arg(long, value_name = "N", requires = "threats", default_value_t = 72,
        value_parser = clap::value_parser!(u8).range(1..=72))]
    hours: u8,
    /// File with nodes to ask and the operator's certificate
    #[arg(
        long,
        value_name = "FILE",
        requires = "threats",
        default_value = "watchfire-cluster/operator.toml"
    )]
    cluster: PathBuf,
    /// Ask the node of this name
    #[arg(long, value_name = "NAME", requires = "threats", conflicts_with = "state")]
    node: Option<String>,
    /// Ask the folder of state of `watchfire detect` instead of a cluster: this one, or the usual
    #[arg(long, value_name = "FOLDER", requires = "threats", conflicts_with = "cluster")]
    state: Option<Option<PathBuf>>,
    /// Forecast as if it were this time, such as 2026-03-01T14:00:00Z
    #[arg(long, value_name = "TIME", requires = "threats")]
    until: Option<String>,
    /// Minutes that an analyst needs for a new threat; without, as it took people so far
    #[arg(long, value_name = "N", requires = "threats")]
    minutes_per_threat: Option<f64>,
    /// Microseconds of one core that an event costs; without, as the node has measured it
    #[arg(long, value_name = "N", requires = "threats")]
    core_micros: Option<f64>,
    /// Percent of a core that may be busy
    #[arg(long, value_name = "PERCENT", requires = "threats", default_value_t = 70.0)]
    busy: f64,
    /// How much faster events come in the busiest second of an hour than on average
    #[arg(long, value_name = "FACTOR", requires = "threats", default_value_t = 3.0)]
    peak: f64,
}

impl Seen {
    fn wanted(&self) -> Result<Wanted> {
        let until = self.until.as_deref().map(|text| {
            let wrong = || format!("--until {text}: a time such as 2026-03-01T14:00:00Z");
            table::instant(text).map(|time| time.hour()).with_context(wrong)
        });
        let (region, source) = (self.region.clone(), self.source.clone());
        Ok(Wanted { region, source, class: self.class.clone(), until: until.transpose()? })
    }

    /// Asks, and says who was asked.
    fn ask(&self, wanted: &Wanted) -> Result<(Heard, String)> {
        if let Some(folder) = &self.state {
            let path = crate::paths::state(folder.clone());
            // A store that is not there would be made.
            std::fs::metadata(&path).with_context(|| path.display().to_string())?;
            let heard = of_state(&path, wanted).with_context(|| path.display().to_string())?;
            return Ok((heard, path.display().to_string()));
        }
        crate::runtime()?.block_on(async {
            let Asked { fabric, address } =
                Asked::find(&self.cluster, self.node.as_deref()).await?;
            match ask(&fabric, &address, wanted).await {
                Ok(heard) => Ok((heard, self.node.clone().unwrap_or(address))),
                Err(why) => bail!("{address}: {why}"),
            }
        })
    }

    fn costs(&self, measured: (Option<f64>, Option<f64>)) -> Costs {
        Costs {
            minutes_per_threat: self.minutes_per_threat.or(measured.0).unwrap_or(MINUTES),
            core_micros: self.core_micros.or(measured.1).unwrap_or(CORE_MICROS),
            utilisation: self.busy / 100.0,
            peak_to_mean: self.peak,
        }
    }
}

pub fn run(arguments: &Arguments, rule: &Rule) -> Result<ExitCode> {
    let seen = &arguments.seen;
    let wanted = seen.wanted()?;
    let (Heard { outlooks, core_micros, minutes_per_threat }, who) = seen.ask(&wanted)?;
    let measured = (minutes_per_threat, core_micros);
    let outlooks = without_repetition(outlooks);
    let Some(first) = outlooks.first() else { bail!("{}", nothing(&wanted, &who)) };
    let end = first.series.end();
    let subjects: Vec<Measure> = outlooks.iter().map(|o| o.subject.measure).collect();
    let (mut made, mut short) = (Vec::new(), Vec::new());
    let mut places = Vec::new();
    for (outlook, measure) in outlooks.into_iter().zip(subjects) {
        let name = visible(&outlook.subject.to_string());
        match Made::of(ordered(outlook, arguments)?, seen.hours.into(), rule) {
            Ok(one) => {
                places.push(measure);
                made.push(one);
            }
            Err(why) => short.push(format!("{name}: {why}")),
        }
    }
    let whole = |measure| places.iter().position(|m| *m == measure).and_then(|at| made.get(at));
    let costs = seen.costs(measured);
    let of = whole(Measure::Events(None)).zip(whole(Measure::Threats(None)));
    let needed = match of {
        Some((events, threats)) => days(events, threats, &costs)?,
        None => Vec::new(),
    };
    if let Some(path) = &arguments.output {
        let mut output = super::create(path)?;
        let levels: Vec<f64> =
            made.first().iter().flat_map(|m| &m.forecast.bands).map(|b| b.level).collect();
        output.write_all(header(&levels).as_bytes())?;
        for one in &made {
            output.write_all(rows(one, Grid::HOURLY).as_bytes())?;
        }
        output.flush()?;
    }
    if let Some(path) = &arguments.report {
        let shown = &made[..made.len().min(SHOWN)];
        let text = page(shown, made.len(), &format!("what {who} has seen"), &needed);
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    if arguments.output.is_none() {
        println!("What {} has seen before {}:", visible(&who), time(end));
        if !made.is_empty() {
            show(&made, made.len())?;
        }
        short.iter().for_each(|why| println!("no forecast of {why}"));
        if !needed.is_empty() {
            needs(&needed)?;
            println!("{}", basis(seen, &costs, measured));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Without classes that are all there is: they are forecast as the whole is.
fn without_repetition(outlooks: Vec<Outlook>) -> Vec<Outlook> {
    let whole: Vec<(Measure, Series)> = outlooks
        .iter()
        .filter(|o| o.subject.measure.class().is_none())
        .map(|o| (o.subject.measure, o.series.clone()))
        .collect();
    let repeats = |o: &Outlook| {
        let measure = o.subject.measure;
        measure.class().is_some() && whole.contains(&(measure.whole(), o.series.clone()))
    };
    outlooks.into_iter().filter(|o| !repeats(o)).collect()
}

/// With the levels that are wanted.
fn ordered(mut outlook: Outlook, arguments: &Arguments) -> Result<Outlook> {
    let levels: Vec<f64> = arguments.levels.iter().map(|level| level / 100.0).collect();
    if let Some(level) = levels.iter().find(|level| !(**level > 0.0 && **level < 1.0)) {
        bail!("--levels: {}% is not between 0 and 100", level * 100.0);
    }
    if let Ok(forecast) = &mut outlook.forecast {
        let has = |level: &f64| forecast.bands.iter().any(|band| band.level == *level);
        // Those that the forecaster watches are adapted; others are as the model has them.
        let own = levels.iter().filter(|l| !has(l)).map(|l| forecast.band(*l)).collect::<Vec<_>>();
        forecast.bands.retain(|band| levels.contains(&band.level));
        forecast.bands.extend(own);
    }
    Ok(outlook)
}

fn nothing(wanted: &Wanted, who: &str) -> String {
    let Wanted { region, source, class, .. } = wanted;
    let named = |what, name: &Option<String>| name.as_ref().map(|name| format!("{what} {name}"));
    let named: Vec<String> =
        [named("region", region), named("source", source), named("class", class)]
            .into_iter()
            .flatten()
            .collect();
    let of = if named.is_empty() { String::new() } else { format!(" of {}", named.join(", ")) };
    format!(
        "{who} has counted nothing{of} in the thirteen weeks before. An hour counts a quarter of \
         an hour after its end; --until TIME forecasts from what is older"
    )
}

/// What the needs are reckoned from.
fn basis(seen: &Seen, costs: &Costs, measured: (Option<f64>, Option<f64>)) -> String {
    let source = |given: Option<f64>, measured: Option<f64>, how: &'static str| match given {
        Some(_) => "given",
        None if measured.is_some() => how,
        None => "assumed",
    };
    let minutes = source(
        seen.minutes_per_threat,
        measured.0,
        "measured: from being taken to being closed, the median",
    );
    let micros = source(
        seen.core_micros,
        measured.1,
        "measured: all that the node has used, by the events that it judged",
    );
    format!(
        "reckoned with {} min for a new threat ({minutes}), {} us of a core for an event \
         ({micros}), {}% of a core busy, and peaks of {} times the mean",
        short(costs.minutes_per_threat),
        number(costs.core_micros.round() as u64),
        seen.busy,
        costs.peak_to_mean
    )
}
