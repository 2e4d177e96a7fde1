//! Forecasts as one self-contained HTML page: history, what comes with its bands, what was forecast
//! before, and critical windows. No script, nothing loaded.

use super::html::{head, style_alone};
use super::words::{number, time, visible};
use crate::forecasting::needs::Day;
use crate::forecasting::{Made, notes, percent};
use forecast::windows::Rule;
use forecast::{Outlook, Settings};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::fmt::Write as _;

const OWN_STYLE: &str = include_str!("forecasts.css");

/// Series that a page shows, at most: each takes some 20 KB, and nobody looks at more.
pub const SHOWN: usize = 60;

/// Long seasons of history that a plot shows.
const SEASONS: usize = 2;

/// The frame of a plot, and the room for its labels.
const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 22.0;

/// The page; at most [`SHOWN`] series of those that are given, and of how many there are, with what
/// the days will need where that is known.
pub fn page(made: &[Made], all: usize, subject: &str, needs: &[Day]) -> String {
    let body = html! {
        header { div.hero {
            h1 { "What comes next" }
            p.lede { (visible(subject)) ": " (number(all as u64)) " series"
                @if made.len() < all { ", of which " (number(made.len() as u64)) " are shown" }
                "." }
        } }
        main {
            p.key {
                span { i {} "history" }
                span { i.m {} "forecast" }
                @for (n, band) in made.first().iter().flat_map(|m| &m.forecast.bands).enumerate() {
                    span { i.b.wide[n > 0] {} (percent(band.level)) "% band" }
                }
                span { i.p {} "what was forecast before" }
            }
            @if !needs.is_empty() { (needed(needs)) }
            @for one in made { (series(one)) }
        }
    };
    let body = body.into_string();
    let hash = blake3::hash(body.as_bytes()).to_hex();
    let nonce = &hash[..32];
    let title = format!("forecast of {}", visible(subject));
    let policy = style_alone(nonce);
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(&title, &policy, nonce, OWN_STYLE))
            body { (PreEscaped(body)) }
        }
    }
    .into_string()
}

/// What comes next, in the report of a run; nothing where nothing is forecast.
pub(super) fn section(next: &[Outlook]) -> Markup {
    let hours = Settings::default().horizon;
    let of = |outlook: &Outlook| Made::of(outlook.clone(), hours, &Rule::default()).ok();
    let made: Vec<Made> = next.iter().filter_map(of).collect();
    html! {
        @if !made.is_empty() {
            section #next aria-labelledby="next-h" {
                h2 #next-h { "What comes next" }
                p.sub {
                    "The three days after the last whole hour, as far as the hours before tell: "
                    @for (n, one) in made.iter().enumerate() {
                        @if n > 0 { "; " }
                        (day(one))
                    }
                    "." }
                @for one in &made { (series(one)) }
            }
        }
    }
}

/// The style of it.
pub(super) fn style(next: &[Outlook]) -> &'static str {
    if next.is_empty() { "" } else { OWN_STYLE }
}

/// The first day in a few words.
fn day(made: &Made) -> String {
    let day = made.series.grid().seasons().short;
    let level = made.forecast.bands.first().map_or(0.8, |band| band.level);
    let sum = made.forecast.sum(0..day, level);
    let name = visible(&made.window.name());
    format!("{} {name} in the first day (up to {})", short(sum.expected), short(sum.high))
}

fn needed(days: &[Day]) -> Markup {
    html! {
        section.series {
            h2 { "What it will need" }
            table {
                thead { tr { th { "day" } th { "analyst minutes" } th { "cores, busiest hour" }
                    th { "events a second, busiest" } } }
                tbody { @for day in days { tr {
                    td { (day.day) } td { (day.analyst_minutes) }
                    td { (day.scoring_cores) } td { (day.events_per_sec) }
                } } }
            }
        }
    }
}

fn series(made: &Made) -> Markup {
    let forecast = &made.forecast;
    let total = forecast.sum(0..forecast.mean.len(), 0.0).expected;
    let methods: Vec<String> = forecast
        .methods
        .iter()
        .map(|m| format!("{} {:.0}%", m.kind.name(), m.weight * 100.0))
        .collect();
    html! {
        section.series {
            h2 { (visible(&made.window.name())) }
            p { "Next " (forecast.mean.len()) " steps: " (short(total)) " in all. Made of "
                (methods.join(", ")) "." }
            @for note in notes(made) { p.note { (note) } }
            (plot(made))
            @if !made.critical.is_empty() {
                table {
                    thead { tr { th { "critical from" } th { "to" } th { "chance" }
                        th { "expected" } th { "be prepared for" } } }
                    tbody { @for window in &made.critical { tr {
                        td { (time(window.start)) } td { (time(window.end)) }
                        td { (format!("{:.0}%", window.probability * 100.0)) }
                        td { (short(window.expected)) } td { (short(window.upper)) }
                    } } }
                }
            }
        }
    }
}

/// A value with three digits that count.
pub fn short(value: f64) -> String {
    let size = value.abs();
    if size >= 1e15 || (size > 0.0 && size < 1e-3) {
        return format!("{value:.2e}");
    }
    let digits = if size >= 100.0 || value == value.trunc() { 0 } else { 2 };
    let text = format!("{value:.digits$}");
    match text.parse::<i64>() {
        Ok(whole) if whole >= 1_000 => number(whole.unsigned_abs()),
        _ => text,
    }
}

/// Where things are in a plot.
struct Frame {
    /// The place of the first step shown, of the series.
    first: usize,
    steps: usize,
    low: f64,
    high: f64,
}

impl Frame {
    fn of(made: &Made) -> Self {
        let horizon = made.forecast.mean.len();
        let history = (SEASONS * made.series.grid().seasons().long).max(3 * horizon);
        let first = made.series.len().saturating_sub(history);
        let steps = made.series.len() - first + horizon;
        let values = made.series.values()[first..].iter().copied();
        let bands = made.forecast.bands.iter().flat_map(|b| b.low.iter().chain(&b.high)).copied();
        let past = made.past.iter().flat_map(|p| p.mean.iter()).copied();
        let all = || values.clone().chain(past.clone()).chain(made.forecast.mean.iter().copied());
        let most = all().fold(f64::MIN, f64::max);
        let least = all().fold(f64::MAX, f64::min);
        // A band that explodes must not flatten all else.
        let room = (most - least).max(most.abs() * 0.1).max(1e-9);
        let high = bands.clone().fold(most, f64::max).min(most + room);
        let low = bands.fold(least, f64::min).max(least - room);
        Self { first, steps, low: if least >= 0.0 { low.max(0.0) } else { low }, high }
    }

    fn x(&self, at: usize) -> f64 {
        let share =
            at.saturating_sub(self.first) as f64 / self.steps.max(2).saturating_sub(1) as f64;
        LEFT + share.min(1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low).max(1e-12);
        TOP + (1.0 - share.clamp(0.0, 1.0)) * (HEIGHT - TOP - BOTTOM)
    }

    fn points(&self, from: usize, values: impl Iterator<Item = f64>) -> String {
        let mut text = String::new();
        for (at, value) in (from..).zip(values) {
            if at >= self.first {
                // Writing to a string does not fail.
                let _ = write!(text, "{:.1},{:.1} ", self.x(at), self.y(value));
            }
        }
        text
    }
}

fn plot(made: &Made) -> Markup {
    let (frame, now) = (Frame::of(made), made.series.len());
    let day = made.series.grid().seasons().short.max(1);
    // As many labels as have room.
    let every = day * frame.steps.div_ceil(day).div_ceil(10).max(1);
    let ticks: Vec<usize> = (frame.first..frame.first + frame.steps)
        .filter(|at| step(made, *at).rem_euclid(every as i64) == 0)
        .collect();
    let levels = [frame.low, (frame.low + frame.high) / 2.0, frame.high];
    let bottom = HEIGHT - BOTTOM;
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img"
            aria-label=(format!("history and forecast of {}", visible(&made.window.name()))) {
            @for level in levels {
                line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(frame.y(level)) y2=(frame.y(level)) {}
                text x=(LEFT - 6.0) y=(frame.y(level) + 4.0) text-anchor="end" { (short(level)) }
            }
            @for at in ticks {
                text x=(format!("{:.1}", frame.x(at))) y=(HEIGHT - 6.0) text-anchor="middle" {
                    (label(made, at))
                }
            }
            @for window in &made.critical {
                @let (from, to) = (frame.x(now + window.first), frame.x(now + window.last + 1));
                rect.critical x=(format!("{from:.1}")) y=(TOP) height=(bottom - TOP)
                    width=(format!("{:.1}", (to - from).max(2.0))) {}
            }
            @for band in made.forecast.bands.iter().rev() {
                @let place = |(i, v): (usize, &f64)| {
                    format!("{:.1},{:.1} ", frame.x(now + i), frame.y(*v))
                };
                @let back = band.low.iter().enumerate().rev().map(place);
                polygon.band points=(frame.points(now, band.high.iter().copied())
                    + &back.collect::<String>()) {}
            }
            polyline.history points=(frame.points(0, made.series.values().iter().copied())) {}
            @for past in &made.past {
                @let from = made.series.grid().step_of(past.start) - step(made, 0);
                @let from = from.max(0) as usize;
                polyline.past points=(frame.points(from, past.mean.iter().copied())) {}
            }
            polyline.mean points=(frame.points(now, made.forecast.mean.iter().copied())) {}
            line.now x1=(frame.x(now)) x2=(frame.x(now)) y1=(TOP) y2=(bottom) {}
        }
    }
}

/// The number of a step of the series on its grid.
fn step(made: &Made, at: usize) -> i64 {
    made.series.grid().step_of(made.series.time(0)) + at as i64
}

/// The day of a step, or its number.
fn label(made: &Made, at: usize) -> String {
    let grid = made.series.grid();
    let begin = made.series.time(0).plus_secs(at as f64 * f64::from(grid.step_secs()));
    let written = made.window.written(grid, begin);
    written.get(5..10).filter(|_| written.len() > 10).unwrap_or(&written).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let told: Vec<String> =
            [0.0, 1.5, 99.999, 100.4, 1_234_567.8, 1e-9, -3.25].map(short).to_vec();
        assert_eq!(told, ["0", "1.50", "100.00", "100", "1,234,568", "1.00e-9", "-3.25"]);
    }
}
