//! Small plots inside of tables: a share, a tail against its threshold, a value against its usual
//! range. Each carries its meaning in words for whoever does not see it.

use crate::report::words::value;
use maud::{Markup, html};
use threat::Contribution;

/// Width of the small plots, in SVG units and pixels.
const WIDTH: f32 = 180.0;

/// Kept free at both ends, so that a dot is not cut.
const MARGIN: f32 = 7.0;

/// A bar of `part` (0 to 1) of the full width.
pub(super) fn share(part: f32) -> Markup {
    let w = (part.clamp(0.0, 1.0) * 72.0).max(1.0);
    html! {
        svg.share viewBox="0 0 72 8" width="72" height="8" aria-hidden="true" {
            rect.track width="72" height="8" rx="2" {}
            rect.fill width=(format!("{w:.1}")) height="8" rx="2" {}
        }
    }
}

/// A tail as a bar with the threshold as a tick; `top` is the greatest tail of the table.
pub(super) fn tail(tail: f32, threshold: Option<f32>, top: f32, threat: bool) -> Markup {
    let x = |v: f32| (v / (top * 1.05).max(0.1)).clamp(0.0, 1.0) * WIDTH;
    let class = if threat { "fill hot" } else { "fill" };
    html! {
        svg.tail viewBox="0 0 180 12" width="180" height="12" aria-hidden="true" {
            rect.track y="2" width="180" height="8" rx="2" {}
            rect class=(class) y="2" width=(format!("{:.1}", x(tail).max(1.0))) height="8" rx="2" {}
            @if let Some(th) = threshold {
                line.threshold x1=(format!("{:.1}", x(th))) x2=(format!("{:.1}", x(th))) y1="0"
                    y2="12" {}
            }
        }
    }
}

/// The signed logarithm on which amounts are compared: bytes and seconds span many magnitudes.
fn signed_log(v: f32) -> f32 {
    v.signum() * v.abs().ln_1p()
}

/// The usual range in words.
pub(super) fn usual(c: &Contribution) -> String {
    match c.baseline {
        Some([low, mid, high]) => {
            format!("{} to {}, median {}", value(low), value(high), value(mid))
        }
        None => c.frequency_words().unwrap_or_default(),
    }
}

/// What was seen against what is usual: a band from the 5th to the 95th percentile, a tick at the
/// median, a dot for the observed value, on a signed logarithm. Of a category, how often it stood.
pub(super) fn baseline(c: &Contribution) -> Markup {
    match (c.value, c.baseline, c.frequency) {
        (Some(seen), Some(base), _) if seen.is_finite() && base.iter().all(|b| b.is_finite()) => {
            range(seen, base, &usual(c))
        }
        (_, _, Some(f)) => html! {
            svg.frequency viewBox="0 0 180 18" width="180" height="18" role="img"
                aria-label=(usual(c)) {
                rect.track x="7" y="7" width="166" height="4" rx="2" {}
                rect.band x="7" y="7" width=(format!("{:.1}", f.clamp(0.0, 1.0) * 166.0))
                    height="4" rx="2" {}
            }
        },
        _ => html! {},
    }
}

fn range(seen: f32, base: [f32; 3], usual: &str) -> Markup {
    let [low, mid, high] = base.map(signed_log);
    let dot = signed_log(seen);
    let (from, to) = (low.min(dot), high.max(dot));
    let pad = ((to - from) * 0.08).max(0.05);
    let x = |v: f32| MARGIN + (v - from + pad) / (to - from + 2.0 * pad) * (WIDTH - 2.0 * MARGIN);
    let outside = seen < base[0] || seen > base[2];
    let label = format!("observed {}; usual {usual}", value(seen));
    html! {
        svg.baseline viewBox="0 0 180 18" width="180" height="18" role="img" aria-label=(label) {
            line.axis x1="7" x2="173" y1="9" y2="9" {}
            rect.band x=(format!("{:.1}", x(low))) y="4" height="10" rx="2"
                width=(format!("{:.1}", (x(high) - x(low)).max(2.0))) {}
            line.median x1=(format!("{:.1}", x(mid))) x2=(format!("{:.1}", x(mid))) y1="3" y2="15"
                {}
            circle class=(if outside { "dot hot" } else { "dot" }) cx=(format!("{:.1}", x(dot)))
                cy="9" r="4.5" {}
        }
    }
}
