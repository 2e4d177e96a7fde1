//! Forecasts in the terminal.

use anyhow::Result;
use node::forecasting::needs::{Day, Upto};
use node::forecasting::{Made, notes};
use node::report::forecasts::short;
use node::report::words::{time, visible};
use std::io::Write;

/// Lines of critical windows in the terminal; the page has all.
const WINDOWS: usize = 20;

/// Characters of a name in the terminal's tables, at most as many are reckoned with.
const WIDE: usize = 48;

/// Series in the terminal's table.
const SERIES: usize = 40;

/// A table for people.
pub fn show(made: &[Made], all: usize) -> Result<()> {
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
        let total = forecast.sum(0..forecast.mean.len(), 0.0).expected;
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

/// What the days will ask of analysts and machines.
pub fn needs(days: &[Day]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{:<8} {:>20} {:>20} {:>20}", "needs", "analyst minutes", "cores", "events/s")?;
    let told = |of: Upto| of.to_string();
    for day in days {
        writeln!(
            out,
            "day {:<4} {:>20} {:>20} {:>20}",
            day.day,
            told(day.analyst_minutes),
            told(day.scoring_cores),
            told(day.events_per_sec)
        )?;
    }
    Ok(())
}
