//! An evaluation as one self-contained HTML page: measures, ROC, precision-recall and calibration.
//!
//! No script, nothing loaded, light and dark. Text from tables is hostile as in the report of a
//! run: it passes through `visible` and maud's escaping, under a policy that allows the page's own
//! style alone.

use super::html::{head, style_alone};
use super::words::{number, percent, visible};
use learning::evaluation::metrics::Confusion;
use learning::evaluation::{Evaluation, Measured};
use maud::{DOCTYPE, Markup, html};

const OWN_STYLE: &str = include_str!("evaluation.css");

/// Frame of a plot, and the room that its axes' labels need.
const SIDE: f64 = 360.0;
const LEFT: f64 = 44.0;
/// Room for half of the last number under the axis.
const RIGHT: f64 = 18.0;
const BOTTOM: f64 = 34.0;
const TOP: f64 = 8.0;

/// The least share on a logarithmic axis: rarer rows few tables hold.
const LEAST: f64 = 1e-4;

/// Labels in the table of what was found; rarer ones are counted.
const LABELS: usize = 60;

/// What the page says of the data.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The table learnt from.
    pub train: String,
    /// The table judged.
    pub test: String,
}

/// The page. The same evaluation gives the same bytes.
pub fn evaluation(e: &Evaluation, subject: &Subject) -> String {
    let hash = blake3::hash(format!("{e:?}{subject:?}").as_bytes()).to_hex();
    let nonce = &hash[..32];
    let title = format!("evaluation on {}", visible(&subject.test));
    let policy = style_alone(nonce);
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(&title, &policy, nonce, OWN_STYLE))
            body {
                header { div.hero {
                    h1 { "How well attacks are told from benign rows" }
                    p.lede { "Learnt from " (visible(&subject.train)) ", judged "
                        (visible(&subject.test)) ": " (number(e.rows.0 as u64)) " benign rows, "
                        (number(e.rows.1 as u64)) " attacks. Budget of false verdicts: "
                        (e.budget.to_string()) "."
                        @if e.repeats != (0, 0) {
                            " Of these, " (number(e.repeats.0 as u64)) " and "
                            (number(e.repeats.1 as u64)) " repeat what their source did so often \
                            before that they make no verdict of their own."
                        } }
                } }
                main {
                    (measures(e))
                    (plots(e))
                    (found(e))
                }
            }
        }
    }
    .into_string()
}

fn measures(e: &Evaluation) -> Markup {
    html! {
        section aria-labelledby="measures-h" {
            h2 #measures-h { "Measures" }
            p.sub { "Ranking: by score alone, with the best threshold that the test rows allow. "
                "Own threshold: the verdicts as they were given. Intervals hold 95%." }
            div.scroll { table {
                thead { tr {
                    th { "" } th.r { "ROC-AUC" } th.r { "interval" } th.r { "PR-AUC" }
                    th.r { "TPR at 1% FPR" } th.r { "interval" } th.r { "own FPR" }
                    th.r { "interval" } th.r { "own TPR" }
                } }
                tbody { @for s in &e.scorers { (row(s)) } }
            } }
        }
    }
}

fn row(s: &Measured) -> Markup {
    let (low, high) = Confusion::wilson(s.own.false_alarms, s.own.benign);
    let ends = |low: f64, high: f64| format!("{low:.4} to {high:.4}");
    html! {
        tr {
            th { (s.name) }
            @if let Some([at, low, high]) = &s.ranking {
                td.r { (format!("{:.4}", at.auc)) }
                td.r.soft { (ends(low.auc, high.auc)) }
                td.r { (format!("{:.4}", at.precision)) }
                td.r { (format!("{:.4}", at.hits_at_one_percent)) }
                td.r.soft { (ends(low.hits_at_one_percent, high.hits_at_one_percent)) }
            } @else {
                td.r.soft colspan="5" { "needs benign rows and attacks" }
            }
            td.r { (format!("{:.4}", s.own.false_rate())) }
            td.r.soft { (ends(low, high)) }
            td.r { (format!("{:.4}", s.own.hit_rate())) }
        }
    }
}

fn plots(e: &Evaluation) -> Markup {
    let logarithmic = |p: f64| 1.0 - (p.max(LEAST)).log10() / LEAST.log10();
    let shares = [(0.0, "0"), (0.25, "25%"), (0.5, "50%"), (0.75, "75%"), (1.0, "100%")];
    let decades = [(0.0, "0.01%"), (0.25, "0.1%"), (0.5, "1%"), (0.75, "10%"), (1.0, "100%")];
    let roc = |s: &Measured| {
        let steps = s.curve.iter().map(|c| (logarithmic(c.false_rate), c.hit_rate));
        steps.collect::<Vec<_>>()
    };
    let precision =
        |s: &Measured| s.curve.iter().map(|c| (c.hit_rate, c.precision)).collect::<Vec<_>>();
    let calibration = |s: &Measured| {
        let points = s.calibration.iter().filter(|p| p.1 > 0.0);
        points.map(|&(said, was)| (logarithmic(said), logarithmic(was))).collect::<Vec<_>>()
    };
    html! {
        section aria-labelledby="plots-h" {
            h2 #plots-h { "Curves" }
            ul.legend { @for (i, s) in e.scorers.iter().enumerate() {
                li { span class=(format!("swatch s{i}")) {} (s.name) }
            } }
            div.plots {
                (plot("ROC", "false alarms (logarithmic)", "attacks found", e, (decades, shares),
                    false, roc))
                (plot("Precision and recall", "attacks found", "precision", e, (shares, shares),
                    false, precision))
                (plot("Calibration", "stated share of benign rows", "observed share", e,
                    (decades, decades), true, calibration))
            }
        }
    }
}

type Ticks = [(f64, &'static str); 5];

/// Lines through points in the unit square.
fn plot(
    title: &str,
    across: &str,
    up: &str,
    e: &Evaluation,
    (ticks, side_ticks): (Ticks, Ticks),
    ideal: bool,
    points: impl Fn(&Measured) -> Vec<(f64, f64)>,
) -> Markup {
    let (width, height) = (SIDE - LEFT - RIGHT, SIDE - BOTTOM - TOP - 40.0);
    let x = |v: f64| LEFT + v.clamp(0.0, 1.0) * width;
    let y = |v: f64| TOP + (1.0 - v.clamp(0.0, 1.0)) * height;
    let line = |s: &Measured| {
        let at = |(px, py): (f64, f64)| format!("{:.1},{:.1}", x(px), y(py));
        points(s).into_iter().map(at).collect::<Vec<_>>().join(" ")
    };
    let base = y(0.0);
    html! {
        figure.plot {
            figcaption { strong { (title) } span.n { (up) } }
            svg viewBox=(format!("0 0 {SIDE} {}", base + BOTTOM)) role="img"
                aria-label=(format!("{title}: {up} over {across}")) {
                @for (at, text) in side_ticks {
                    line.grid x1=(LEFT) x2=(x(1.0)) y1=(format!("{:.1}", y(at)))
                        y2=(format!("{:.1}", y(at))) {}
                    text.tick.end x=(LEFT - 5.0) y=(format!("{:.1}", y(at) + 4.0)) { (text) }
                }
                @for (at, text) in ticks {
                    text.tick.mid x=(format!("{:.1}", x(at))) y=(base + 15.0) { (text) }
                }
                text.tick.mid x=(x(0.5)) y=(base + 30.0) { (across) }
                @if ideal { line.ideal x1=(x(0.0)) y1=(y(0.0)) x2=(x(1.0)) y2=(y(1.0)) {} }
                @for (i, s) in e.scorers.iter().enumerate().rev() {
                    polyline class=(format!("s{i}")) points=(line(s)) {}
                }
            }
        }
    }
}

fn found(e: &Evaluation) -> Markup {
    html! {
        @if !e.found.is_empty() {
            section aria-labelledby="found-h" {
                h2 #found-h { "Found by label" }
                p.sub { "With the ensemble's own threshold." }
                div.scroll { table {
                    thead { tr {
                        th { "label" } th.r { "found" } th.r { "rows" } th.r { "share" }
                    } }
                    tbody { @for (label, hits, rows) in e.found.iter().take(LABELS) {
                        tr {
                            th { (visible(label)) }
                            td.r { (number(*hits as u64)) }
                            td.r { (number(*rows as u64)) }
                            td.r { (percent(*hits as u64, *rows as u64)) }
                        }
                    } }
                } }
                @if e.found.len() > LABELS {
                    p.soft { "and " (e.found.len() - LABELS) " rarer labels" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use learning::evaluation::Judged;

    #[test]
    fn the_page_is_whole_and_what_tables_say_stays_text() {
        let judged: Vec<Judged> = (0..200)
            .map(|i| Judged {
                score: i as f32 / 50.0,
                threat: i > 150,
                repeat: false,
                tails: vec![],
            })
            .collect();
        let labels: Vec<&str> =
            (0..200).map(|i| if i > 120 { "<script>x</script>" } else { "ok" }).collect();
        let budget = "1%".parse().unwrap();
        let e = Evaluation::of(&judged, &labels, "ok", budget, 1).unwrap();
        let subject = Subject { train: "a.csv".into(), test: "<b>.csv".into() };
        let page = evaluation(&e, &subject);
        assert_eq!(page, evaluation(&e, &subject));
        assert!(!page.contains("<script") && !page.contains("<b>"));
        assert!(page.contains("&lt;script&gt;") && !page.contains("http://"));
        assert_eq!(page.matches("<polyline").count(), 3);
        assert!(page.contains("prefers-color-scheme:dark"));
        // 49 of 79 attacks: those over 150 of those over 120.
        assert!(page.contains("62.0%"), "{page}");
    }
}
