//! The report as one self-contained HTML page: no request leaves it, nothing is loaded into it.
//!
//! Everything that came from a log is hostile: it passes through [`words::visible`] and maud's
//! escaping, and a content security policy with a nonce made of the report's own hash lets no other
//! script or style run, even if an escape were missed. Style attributes are not used for the same
//! reason. Parts are in files of their own: incident cards, findings, charts, tables.

mod charts;
mod findings;
mod incidents;
mod plots;
mod tables;

use super::forecasts;
use super::model::{RunReport, RunState};
use super::words::{self, duration, number, percent, span, time, visible};
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Findings with all of their reasons on the page, the gravest of each incident among them: each is
/// about 10 kB, and nobody reads more than this on a page.
pub const FULL_FINDINGS: usize = 120;

/// Findings in the table after them, about 300 bytes each; others are only in the output file.
pub const COMPACT_FINDINGS: usize = 10_000;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// The head of a page under a policy, with the style of all pages and what is its own.
pub(super) fn head(title: &str, policy: &str, nonce: &str, own: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content=(policy);
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="referrer" content="no-referrer";
            title { "Watchfire: " (title) }
            style nonce=(nonce) { (PreEscaped(STYLE)) (PreEscaped(own)) }
        }
    }
}

/// The policy of a page that has nothing but its style.
pub(super) fn style_alone(nonce: &str) -> String {
    format!("default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'")
}

/// The page. The same report gives the same bytes.
pub fn page(report: &RunReport) -> String {
    let nonce = nonce(report);
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         base-uri 'none'; form-action 'none'"
    );
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(&report.sentence(), &policy, &nonce, forecasts::style(&report.next)))
            body {
                a.skip href="#incidents" { "Skip to the incidents" }
                (header(report))
                main {
                    (incidents::section(report))
                    (charts::timeline(report))
                    (forecasts::section(&report.next))
                    (tables::accounts(report))
                    (tables::entities(report))
                    (charts::scores(report))
                    (findings::section(report))
                    (tables::labelled(report))
                    (tables::sources(report))
                    (tables::run(report))
                }
                (footer(report))
                script nonce=(nonce) { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}

/// A nonce that no record of the report can know, since it depends on all of them. Equal reports
/// have equal nonces; the page is a file, so nothing can be replayed into it.
fn nonce(report: &RunReport) -> String {
    let mut hasher = blake3::Hasher::new();
    // A report that does not serialise still renders: the nonce then depends on its sentence.
    match serde_json::to_vec(report) {
        Ok(bytes) => hasher.update(&bytes),
        Err(_) => hasher.update(report.sentence().as_bytes()),
    };
    hasher.finalize().to_hex()[..32].to_owned()
}

/// Text from outside: control characters visible, the rest for maud to escape.
fn t(text: &str) -> String {
    visible(text)
}

/// The flame of the mark, in a square of 24.
const FLAME: &str = "M12 2c1 4 6 6.5 6 12a6 6 0 0 1-12 0c0-2.5 1.2-4.2 2.5-5.5.2 2 .9 3 2 3.5\
                     C10 8.5 10.5 5 12 2z";

fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" {
            path d=(FLAME) {}
            path.base d="M4 22h16" {}
        }
    }
}

fn header(r: &RunReport) -> Markup {
    html! {
        header {
            div.bar {
                span.brand { (mark()) "Watchfire" }
                nav aria-label="Sections" {
                    a href="#incidents" { "Incidents" }
                    a href="#timeline" { "Timeline" }
                    a href="#entities" { "Entities" }
                    a href="#scores" { "Scores" }
                    a href="#findings" { "Findings" }
                    a href="#sources" { "Sources" }
                    a href="#run" { "Run" }
                }
            }
            div.hero {
                h1 { (r.sentence()) }
                p.lede { (lede(r)) }
                (tiles(r))
                (banner(r))
            }
        }
    }
}

/// The second sentence: which time, from where, when it was looked at.
fn lede(r: &RunReport) -> String {
    let mut out = String::new();
    if let (Some(a), Some(b)) = (r.first_event, r.last_event) {
        out = format!("Events from {}. ", span(a, b));
    }
    out.push_str(&format!(
        "Read {} in {}, on {}.",
        words::plural(r.sources.len() as u64, "source", "sources"),
        duration(r.elapsed_secs),
        time(r.started)
    ));
    out
}

fn tile(label: &str, value: &str, note: &str) -> Markup {
    html! {
        div.tile {
            dt { (label) }
            dd { span.figure { (value) } span.note { (note) } }
        }
    }
}

fn tiles(r: &RunReport) -> Markup {
    let v = &r.verdicts;
    let intake = r.intake();
    let missing: u64 = v.missing.iter().map(|m| m.verdicts).sum();
    let speed = format!("{} per second", number(r.events_per_second.max(0.0).round() as u64));
    html! {
        dl.tiles {
            (tile("Events", &number(v.total), &speed))
            (tile("Flagged", &number(v.threats), &format!("{} of events", percent(v.threats,
                v.total))))
            (tile("Findings", &number(r.threats.len() as u64), "by entity, class, hour"))
            (tile("Decided by rules", &number(v.by_rules), &format!("{} by voters",
                number(v.by_voters))))
            (tile("Voters missing", &number(missing), if missing == 0 { "all answered" } else {
                "answers, see Run" }))
            (tile("Set aside", &number(intake.quarantined), "malformed records"))
        }
    }
}

fn banner(r: &RunReport) -> Markup {
    let RunState::Learning { rows, needed } = r.state else { return html! {} };
    let share = if needed == 0 { 1.0 } else { (rows as f64 / needed as f64).min(1.0) };
    html! {
        div.banner role="status" {
            strong { "Still learning. " }
            "The models have seen " (number(rows)) " of the " (number(needed))
            " benign rows they need; until then the rules decide alone, and what no rule names is "
            "not found."
            svg.progress viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true" {
                rect.track width="100" height="4" {}
                rect.fill width=(format!("{:.1}", share * 100.0)) height="4" {}
            }
        }
    }
}

fn footer(r: &RunReport) -> Markup {
    let id = r.ranked().first().map_or("FINDING".to_owned(), |t| t.id.to_string()[..12].to_owned());
    html! {
        footer {
            h2 { "How to go on" }
            ul {
                li { code { "watchfire explain " (id) }
                    " shows why a finding is one, and scores it again." }
                @if let Some(path) = &r.outputs.findings {
                    li { code { (t(path)) } " holds every finding as OCSF, one JSON object a line."
                        }
                } @else {
                    li { code { "--output FILE.jsonl" }
                        " writes every finding as OCSF, one JSON object a line." }
                }
            }
            p.soft { "Watchfire " (r.version)
                ". Scores are tails: 3 means that one benign event in 1,000 "
                "scores as high." }
        }
    }
}
