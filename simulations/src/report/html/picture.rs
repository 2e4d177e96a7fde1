//! The timeline as SVG: lanes of nodes by region, bands of faults, pins of violations, and strips
//! of what clients saw.

use crate::invariants::Finding;
use crate::journal::What;
use crate::plan::{Micros, SECOND};
use crate::report::timeline::{self, Second, Standing};
use crate::run::Run;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Sizes, in units of the picture.
const LEFT: f64 = 92.0;
const WIDTH: f64 = 1_000.0;
const LANE: f64 = 17.0;
const STRIP: f64 = 42.0;
const TOP: f64 = 34.0;

struct Scale {
    end: f64,
}

impl Scale {
    fn x(&self, at: Micros) -> f64 {
        LEFT + at as f64 / self.end * WIDTH
    }

    fn width(&self, from: Micros, to: Micros) -> f64 {
        (self.x(to) - self.x(from)).max(0.8)
    }
}

/// Where each node's lane is, and the name of the region above the first one of it.
fn lanes(run: &Run) -> (Vec<f64>, f64) {
    let mut y = TOP;
    let mut region = usize::MAX;
    let mut lanes = Vec::new();
    for node in &run.plan.nodes {
        if node.region != region {
            region = node.region;
            y += 8.0;
        }
        lanes.push(y);
        y += LANE;
    }
    (lanes, y)
}

/// The picture.
pub fn timeline(run: &Run) -> Markup {
    let scale = Scale { end: run.plan.end().max(1) as f64 };
    let (lanes, bottom) = lanes(run);
    let seconds = timeline::seconds(run);
    let strips = bottom + 16.0;
    let height = strips + 4.0 * (STRIP + 18.0) + 20.0;
    let view = format!("0 0 {} {height}", LEFT + WIDTH + 12.0);
    let label = format!("timeline of {} seed {}", run.plan.experiment, run.plan.seed);
    html! {
        svg viewBox=(view) role="img" aria-label=(label) {
            (nodes(run, &scale, &lanes))
            (bands(run, &scale, bottom))
            (strip(&scale, strips, "operations", "a second, red: failed or unknown", &seconds,
                |s| vec![("ok", s.done as f64), ("lost", s.failed as f64)]))
            (curve(&scale, strips + STRIP + 18.0, "slowest", "ms, of those that ended",
                &seconds, |s| s.slowest as f64 / 1e3))
            (strip(&scale, strips + 2.0 * (STRIP + 18.0), "verdicts",
                "a second, purple: by rules alone", &seconds,
                |s| vec![("ok", s.by_voters as f64), ("rules", s.by_rules as f64)]))
            (curve(&scale, strips + 3.0 * (STRIP + 18.0), "under way", "operations", &seconds,
                |s| s.open as f64))
            (axis(&scale, height - 8.0))
            (pins(run, &scale, height - 22.0))
        }
    }
}

fn nodes(run: &Run, scale: &Scale, lanes: &[f64]) -> Markup {
    let standings = timeline::standings(run);
    let owners = timeline::owners(run);
    let end = run.plan.end();
    let spans = |changes: &[(Micros, Standing)]| -> Vec<(Micros, Micros, Standing)> {
        let next = |at: usize| changes.get(at + 1).map_or(end, |(next, _)| *next);
        changes.iter().enumerate().map(|(at, (from, how))| (*from, next(at), *how)).collect()
    };
    let all = f64::from(regions::spread::WORKLOADS);
    let shares = |changes: &[(Micros, u32)]| -> Vec<(Micros, Micros, u32)> {
        let next = |at: usize| changes.get(at + 1).map_or(end, |(next, _)| *next);
        changes.iter().enumerate().map(|(at, (from, n))| (*from, next(at), *n)).collect()
    };
    html! {
        @for (node, y) in run.plan.nodes.iter().zip(lanes) {
            rect.lane x=(LEFT) y=(y) width=(WIDTH) height=(LANE - 2.0) {}
            text x=(LEFT - 8.0) y=(y + 11.0) text-anchor="end" {
                (node.name) @if node.voter { " •" }
            }
        }
        @for (changes, y) in standings.iter().zip(lanes) {
            @for (from, to, how) in spans(changes) {
                @let class = match how {
                    Standing::Up => "up",
                    Standing::Paused => "paused",
                    Standing::Down => "down",
                };
                rect class=(class) x=(scale.x(from)) y=(y) width=(scale.width(from, to))
                    height=(LANE - 2.0) {
                    title { (class) " from " (from as f64 / 1e6) " to " (to as f64 / 1e6) " s" }
                }
            }
        }
        @for (changes, y) in owners.iter().zip(lanes) {
            @for (from, to, acts) in shares(changes).into_iter().filter(|(.., acts)| *acts > 0) {
                @let tall = (f64::from(acts) / all * 16.0).clamp(1.5, 8.0);
                rect.acts x=(scale.x(from)) y=(y + LANE - 2.0 - tall)
                    width=(scale.width(from, to)) height=(tall) {
                    title { "acts for " (acts) " workloads from " (from as f64 / 1e6) " s" }
                }
            }
        }
        @for (node, from, to) in timeline::leaders(run) {
            @if let Some(y) = lanes.get(node) {
                rect.lead x=(scale.x(from)) y=(y) width=(scale.width(from, to)) height="3" {
                    title { "leads from " (from as f64 / 1e6) " s" }
                }
            }
        }
    }
}

/// Faults as bands, their names above in as many rows as they need.
fn bands(run: &Run, scale: &Scale, bottom: f64) -> Markup {
    let mut open: BTreeMap<usize, Micros> = BTreeMap::new();
    let mut spans: Vec<(usize, Micros, Micros)> = Vec::new();
    for entry in &run.journal.entries {
        match entry.what {
            What::FaultBegins { fault, .. } if run.plan.faults[fault].lasts > 0 => {
                open.insert(fault, entry.at);
            }
            What::FaultBegins { fault, .. } => spans.push((fault, entry.at, entry.at)),
            What::FaultEnds { fault } => {
                spans.extend(open.remove(&fault).map(|from| (fault, from, entry.at)));
            }
            What::Heals { .. } => {
                spans.extend(std::mem::take(&mut open).into_iter().map(|(f, t)| (f, t, entry.at)));
            }
            _ => {}
        }
    }
    let heal = scale.x(run.plan.duration);
    html! {
        @for (place, (fault, from, to)) in spans.iter().enumerate() {
            @let id = &run.plan.faults[*fault].id;
            rect.band x=(scale.x(*from)) y=(TOP) width=(scale.width(*from, *to))
                height=(bottom - TOP) {
                title { (id) ": " (from / 1_000) " to " (to / 1_000) " ms" }
            }
            @if spans.len() <= 14 {
                text.soft x=(scale.x(*from)) y=(10.0 + 11.0 * (place % 2) as f64) { (id) }
            }
        }
        path.heal d=(format!("M{heal} {TOP}V{bottom}")) {}
    }
}

type Bars = Vec<(&'static str, f64)>;

fn titles(y: f64, name: &str, unit: &str, most: f64) -> Markup {
    html! {
        text x=(LEFT - 8.0) y=(y + 12.0) text-anchor="end" { (name) }
        text.soft x=(LEFT - 8.0) y=(y + 25.0) text-anchor="end" { "≤ " (format!("{most:.0}")) }
        text.soft x=(LEFT + WIDTH) y=(y - 3.0) text-anchor="end" { (unit) }
        line.axis x1=(LEFT) x2=(LEFT + WIDTH) y1=(y + STRIP) y2=(y + STRIP) {}
    }
}

fn strip(
    scale: &Scale,
    y: f64,
    name: &str,
    unit: &str,
    seconds: &[Second],
    bars: impl Fn(&Second) -> Bars,
) -> Markup {
    let total = |second: &Second| bars(second).iter().map(|(_, n)| n).sum::<f64>();
    let most = seconds.iter().map(total).fold(1.0, f64::max);
    html! {
        (titles(y, name, unit, most))
        @for (at, second) in seconds.iter().enumerate() {
            @let from = at as Micros * SECOND;
            @let wide = scale.width(from, from + SECOND) - 0.6;
            @for (low, (class, count)) in stacked(bars(second)) {
                @if count > 0.0 {
                    rect class=(class) x=(scale.x(from)) width=(wide)
                        y=(y + STRIP - (low + count) / most * STRIP) height=(count / most * STRIP) {
                        title { (at) " s: " (count) " " (class) }
                    }
                }
            }
        }
    }
}

fn stacked(bars: Bars) -> Vec<(f64, (&'static str, f64))> {
    let mut low = 0.0;
    let lift = |bar: (&'static str, f64)| {
        let from = low;
        low += bar.1;
        (from, bar)
    };
    bars.into_iter().map(lift).collect()
}

fn curve(
    scale: &Scale,
    y: f64,
    name: &str,
    unit: &str,
    seconds: &[Second],
    value: impl Fn(&Second) -> f64,
) -> Markup {
    let most = seconds.iter().map(&value).fold(1.0, f64::max);
    let point = |(at, second): (usize, &Second)| {
        let x = scale.x(at as Micros * SECOND + SECOND / 2);
        format!("{x:.1},{:.1}", y + STRIP - value(second) / most * STRIP)
    };
    let points: Vec<String> = seconds.iter().enumerate().map(point).collect();
    html! {
        (titles(y, name, unit, most))
        polyline.curve points=(points.join(" ")) {}
    }
}

fn axis(scale: &Scale, y: f64) -> Markup {
    let seconds = (scale.end / SECOND as f64) as u64;
    let step = (seconds / 15).max(1).next_multiple_of(5);
    html! {
        @for at in (0..=seconds).step_by(step as usize) {
            text.soft x=(scale.x(at * SECOND)) y=(y) text-anchor="middle" { (at) " s" }
        }
    }
}

fn pins(run: &Run, scale: &Scale, bottom: f64) -> Markup {
    let broken = run.findings.iter().filter_map(|(id, finding)| match finding {
        Finding::Broken { at, what, .. } => Some((id, scale.x(*at), what)),
        Finding::Held(_) | Finding::NotJudged => None,
    });
    html! {
        @for (id, x, what) in broken {
            line.pin x1=(x) x2=(x) y1=(TOP - 8.0) y2=(bottom) {}
            circle.pinhead cx=(x) cy=(TOP - 8.0) r="5" { title { (id) ": " (what) } }
        }
    }
}
