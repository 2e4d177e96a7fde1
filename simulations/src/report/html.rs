//! The report of a run as one self-contained HTML page: no request leaves it, nothing is loaded
//! into it.

mod picture;

use super::{File, Line};
use crate::experiment::World;
use crate::plan::Micros;
use crate::run::{Run, Verdict};
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// The page of a run and of what was written of it. The same run gives the same bytes.
pub fn page(run: &Run, file: &File) -> String {
    let nonce = format!("{}{:x}", file.trace_hash, file.seed);
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         base-uri 'none'; form-action 'none'"
    );
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (file.plan.experiment) " seed " (file.seed) ": " (word(file.verdict)) }
                style nonce=(nonce) { (PreEscaped(STYLE)) }
            }
            body {
                (head(file))
                main {
                    h2 { "What happened" }
                    div.scroll { (picture::timeline(run)) }
                    (legend())
                    (invariants(file))
                    (faults(file))
                    (numbers(file))
                    (before(run, file))
                }
                script nonce=(nonce) { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Fail => "fail",
    }
}

fn seconds(at: Micros) -> String {
    format!("{:.3} s", at as f64 / 1e6)
}

fn head(file: &File) -> Markup {
    let replay = format!("watchfire simulate replay {}-{}.json", file.plan.experiment, file.seed);
    let verdict = word(file.verdict);
    html! {
        header {
            h1 {
                (file.plan.experiment) ", seed " (file.seed) " "
                span.verdict.(verdict) { (verdict) }
            }
            p.soft { (file.experiment.about) }
            @for found in file.invariants.iter().filter(|f| f.what.is_some()) {
                p.broken {
                    (found.id) " broken at " (seconds(found.at.unwrap_or_default())) ": "
                    (found.what.as_deref().unwrap_or_default())
                }
            }
            @for doubt in &file.doubts { p { "Says nothing: " (doubt) } }
            p {
                code { (replay) }
                button type="button" data-copy=(replay) { "copy" }
            }
            p.soft {
                (many(file.plan.nodes.len(), "node")) " in "
                (many(file.plan.regions.len(), "region")) ", "
                (seconds(file.plan.duration)) " with faults and " (seconds(file.plan.heal))
                " to heal; " (file.events) " events, "
                // Real nodes do not do the same twice.
                @if file.plan.world != World::Processes { "trace " (file.trace_hash) ", " }
                "version " (file.version)
            }
        }
    }
}

fn legend() -> Markup {
    html! {
        p.soft {
            "Lanes: a node that is up is green, paused amber, down grey. The blue stripe is the \
             leader of consensus; the green one under it shows for how much of all workloads the \
             node may act. Bands are faults, the dashed line is where healing begins, red pins are \
             violations. Point at anything to see what it is."
        }
    }
}

fn invariants(file: &File) -> Markup {
    html! {
        h2 { "What had to hold" }
        table {
            tr { th { "" } th { "invariant" } th { "" } th.n { "cases" } }
            @for found in &file.invariants {
                tr {
                    td { (found.id) }
                    td {
                        (found.says)
                        @if let Some(what) = &found.what { br; span.broken { (what) } }
                    }
                    td {
                        @if found.not_judged { span.soft { "not judged in this world" } }
                        @else if !found.held { span.broken { "broken" } }
                        @else if found.checked == 0 { span.soft { "no case" } }
                        @else { "held" }
                    }
                    td.n { (found.checked) }
                }
            }
        }
        @for found in file.invariants.iter().filter(|f| !f.evidence.is_empty()) {
            h2 { "Evidence for " (found.id) }
            (log(&found.evidence))
        }
    }
}

fn faults(file: &File) -> Markup {
    html! {
        h2 { "What broke" }
        @if file.recovery.is_empty() { p.soft { "Nothing did." } }
        @else {
            table {
                tr { th { "fault" } th.n { "began" } th.n { "until all workloads had owners" } }
                @for fault in &file.recovery {
                    tr {
                        td { (fault.fault) }
                        td.n { (seconds(fault.at)) }
                        td.n {
                            @match fault.disturbed_ms {
                                Some(ms) => { (ms) " ms" }
                                None => { span.soft { "not disturbed, or not mended" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn numbers(file: &File) -> Markup {
    let operations = &file.operations;
    let control = file.control.as_ref();
    let rows = [
        ("operations done", operations.ok, control.map(|c| c.operations.ok)),
        ("refused", operations.refused, control.map(|c| c.operations.refused)),
        ("failed", operations.failed, control.map(|c| c.operations.failed)),
        ("unknown", operations.unknown, control.map(|c| c.operations.unknown)),
    ];
    let measure = |name: &str, value: f64| match name {
        "failed_share" => format!("{value:.2} %"),
        _ => format!("{:.1} ms", value / 1e3),
    };
    html! {
        h2 { "Beside the same seed without faults" }
        table {
            tr { th { "" } th.n { "this run" } th.n { "without faults" } }
            @for (what, here, there) in rows {
                tr {
                    td { (what) }
                    td.n { (here) }
                    td.n { @if let Some(there) = there { (there) } }
                }
            }
            @for (name, value) in &file.measures {
                tr {
                    td { (name) }
                    td.n { (measure(name, *value)) }
                    td.n {
                        @if let Some(there) = control.and_then(|c| c.measures.get(name)) {
                            (measure(name, *there))
                        }
                    }
                }
            }
        }
        h2 { "Goals that were reached" }
        p { (file.sometimes.join(", ")) }
    }
}

/// What came right before the violation.
fn before(run: &Run, file: &File) -> Markup {
    if run.broken().is_none() {
        return html! {};
    }
    let from = file.timeline.len().saturating_sub(super::SHOWN);
    html! {
        h2 { "The last events before the violation" }
        (log(&file.timeline[from..]))
    }
}

fn log(lines: &[Line]) -> Markup {
    html! {
        div.scroll {
            table.log {
                @for line in lines {
                    tr {
                        td.n { (format!("{:.6}", line.at as f64 / 1e6)) }
                        td { (line.who.as_deref().unwrap_or_default()) }
                        td { (line.what.to_string()) }
                    }
                }
            }
        }
    }
}

/// A number of things, in words.
fn many(count: usize, of: &str) -> String {
    format!("{count} {of}{}", if count == 1 { "" } else { "s" })
}
