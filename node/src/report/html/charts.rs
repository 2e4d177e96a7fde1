//! The charts that fill the page's width: threats over time, and how scores spread.

use crate::report::model::{Bucket, Histogram, RunReport, Scorer};
use crate::report::words::{duration, number, severity_key, time};
use maud::{Markup, html};
use std::collections::BTreeMap;
use threat::Severity;

/// Bars of the timeline at most: thinner ones cannot be told apart. More buckets are merged.
const BARS: usize = 160;

/// Frame of the timeline.
const W: f64 = 1_080.0;
const H: f64 = 190.0;

/// Frame of one histogram.
const HW: f64 = 330.0;
const HH: f64 = 120.0;

/// Neighbouring buckets merged until at most [`BARS`] are left.
fn merged(buckets: &[Bucket]) -> Vec<Bucket> {
    let per = buckets.len().div_ceil(BARS).max(1);
    buckets
        .chunks(per)
        .map(|chunk| {
            let mut threats: BTreeMap<Severity, u64> = BTreeMap::new();
            for (s, n) in chunk.iter().flat_map(|b| &b.threats) {
                *threats.entry(*s).or_default() += n;
            }
            Bucket {
                start: chunk[0].start,
                seconds: chunk.iter().map(|b| b.seconds).sum(),
                events: chunk.iter().map(|b| b.events).sum(),
                threats,
            }
        })
        .collect()
}

pub(super) fn timeline(r: &RunReport) -> Markup {
    let bars = merged(&r.timeline);
    let peak = bars.iter().map(|b| b.threats.values().sum::<u64>()).max().unwrap_or(0);
    let busiest = bars.iter().map(|b| b.events).max().unwrap_or(0);
    html! {
        section #timeline aria-labelledby="timeline-h" {
            h2 #timeline-h { "Timeline" }
            @if bars.is_empty() {
                p.empty { "No events." }
            } @else {
                p.sub { "Bars: flagged events by severity, at most " (number(peak))
                    ". Line: all events, at most "
                    (number(busiest)) " in " (duration(bars[0].seconds)) "." }
                (legend(&bars))
                figure { (timeline_svg(&bars, peak, busiest)) }
            }
        }
    }
}

fn legend(bars: &[Bucket]) -> Markup {
    html! {
        ul.legend {
            @for s in Severity::ALL.into_iter().rev() {
                @if bars.iter().any(|b| b.threats.get(&s).is_some_and(|&n| n > 0)) {
                    li { span class=(format!("swatch {}", severity_key(s))) {} (s.name()) }
                }
            }
            li { span.swatch.events {} "All events" }
        }
    }
}

fn timeline_svg(bars: &[Bucket], peak: u64, busiest: u64) -> Markup {
    let base = H - 24.0;
    let step = W / bars.len() as f64;
    let height = |n: u64, most: u64| n as f64 / most.max(1) as f64 * (base - 12.0);
    let line: Vec<String> = bars
        .iter()
        .enumerate()
        .map(|(i, b)| {
            format!("{:.1},{:.1}", (i as f64 + 0.5) * step, base - height(b.events, busiest))
        })
        .collect();
    let label =
        format!("{} bars from {}; at most {peak} flagged events", bars.len(), time(bars[0].start));
    let ticks = 5.min(bars.len());
    html! {
        svg.timeline viewBox=(format!("0 0 {W} {H}")) role="img" aria-label=(label) {
            @for i in 0..=3 {
                @let y = 12.0 + (base - 12.0) * f64::from(i) / 3.0;
                line.grid x1="0" x2=(W) y1=(format!("{y:.1}")) y2=(format!("{y:.1}")) {}
            }
            polyline.events points=(line.join(" ")) {}
            @for (i, b) in bars.iter().enumerate() { (bar(b, i as f64 * step, step, base, peak)) }
            @for k in 0..ticks {
                @let i = k * bars.len() / ticks;
                text.tick x=(format!("{:.1}", i as f64 * step)) y=(H - 6.0) { (time(bars[i].start))
                    }
            }
        }
    }
}

/// One stacked bar; anything that is there at all is at least 2 units high.
fn bar(b: &Bucket, x: f64, step: f64, base: f64, peak: u64) -> Markup {
    let mut y = base;
    let gap = if step > 4.0 { 1.0 } else { 0.0 };
    // A few buckets must not become slabs.
    let width = (step - gap).min(28.0);
    let x = x + (step - width) / 2.0;
    let parts: Vec<(Severity, f64, f64)> = b
        .threats
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(&s, &n)| {
            let h = (n as f64 / peak.max(1) as f64 * (base - 12.0)).max(2.0);
            y -= h;
            (s, y, h)
        })
        .collect();
    html! {
        @if !parts.is_empty() {
            g {
                title { (time(b.start)) ": " (number(b.threats.values().sum())) " flagged of "
                    (number(b.events)) }
                @for (s, y, h) in parts {
                    rect class=(severity_key(s)) x=(format!("{x:.1}")) y=(format!("{y:.1}"))
                        width=(format!("{width:.1}")) height=(format!("{h:.1}")) {}
                }
            }
        }
    }
}

pub(super) fn scores(r: &RunReport) -> Markup {
    html! {
        section #scores aria-labelledby="scores-h" {
            h2 #scores-h { "Scores" }
            @if r.histograms.is_empty() {
                p.empty { "No voter scored an event." }
            } @else {
                p.sub { "How the calibrated tails spread: 3 means that one benign event in 1,000 "
                    "scores as high. "
                    "Counts are on a logarithmic scale; the dashed line is the threshold." }
                ul.legend {
                    li { span.swatch.benign {} "Benign verdict" }
                    li { span.swatch.threat {} "Threat verdict" }
                }
                div.multiples { @for h in &r.histograms { (histogram(h)) } }
            }
        }
    }
}

/// Room that the labels of the threshold and of the axis' end need beside each other.
const LABEL: f64 = 64.0;

fn histogram(h: &Histogram) -> Markup {
    let who = match h.scorer {
        Scorer::Detector(d) => d.name(),
        Scorer::Ensemble => "ensemble",
    };
    let bins = h.benign.len().max(h.threats.len()).max(1);
    let top = h.benign.iter().chain(&h.threats).copied().max().unwrap_or(0);
    let (base, step) = (HH - 18.0, HW / bins as f64);
    let height =
        |n: u64| ((n as f64).ln_1p() / (top.max(1) as f64).ln_1p() * (base - 8.0)).max(1.0);
    let benign: u64 = h.benign.iter().sum();
    let threats: u64 = h.threats.iter().sum();
    let width = f64::from(h.width).max(1e-6);
    let threshold = (f64::from(h.threshold) / width * step).clamp(0.0, HW);
    let ends = bins as f64 * width;
    let name = format!("{} {who}: {benign} benign and {threats} threat verdicts", h.class.name());
    html! {
        figure.histogram {
            figcaption { strong { (h.class.name()) } " " (who)
                span.n { (number(threats)) " of " (number(benign + threats)) } }
            svg viewBox=(format!("0 0 {HW} {HH}")) role="img" aria-label=(name) {
                line.grid x1="0" x2=(HW) y1=(base) y2=(base) {}
                @for i in 0..bins {
                    @let (b, f) = (h.benign.get(i).copied().unwrap_or(0),
                        h.threats.get(i).copied().unwrap_or(0));
                    @let x = i as f64 * step;
                    @if b > 0 {
                        rect.benign x=(format!("{:.1}", x + 0.5)) width=(format!("{:.1}", (step -
                            1.0).max(0.6)))
                            y=(format!("{:.1}", base - height(b))) height=(format!("{:.1}",
                                height(b))) {}
                    }
                    @if f > 0 {
                        rect.threat x=(format!("{:.1}", x + step * 0.25)) width=(format!("{:.1}",
                            (step * 0.5).max(0.6)))
                            y=(format!("{:.1}", base - height(f))) height=(format!("{:.1}",
                                height(f))) {}
                    }
                }
                line.threshold x1=(format!("{threshold:.1}")) x2=(format!("{threshold:.1}")) y1="2"
                    y2=(base) {}
                text.tick x="0" y=(HH - 4.0) { "0" }
                @if threshold < HW - LABEL {
                    text.tick.end x=(HW) y=(HH - 4.0) { (format!("{ends:.1}+")) }
                    text.tick.mid x=(format!("{:.1}", threshold.max(30.0))) y=(HH - 4.0) {
                        (format!("{:.2}", h.threshold))
                    }
                } @else {
                    // At or over the end of the axis: one label there, or they would overlap.
                    text.tick.end x=(HW) y=(HH - 4.0) {
                        (format!("threshold {:.2}", h.threshold))
                    }
                }
            }
        }
    }
}
