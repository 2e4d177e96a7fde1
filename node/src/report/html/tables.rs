//! The tables: top entities, ground truth, sources, and how the run was made.

use super::{plots, t};
use crate::report::accounts::{advice, factors};
use crate::report::model::{RunReport, SourceReport};
use crate::report::words::{
    absence, bytes, cut, drift, duration, number, percent, plural, quality, time, visible_record,
};
use maud::{Markup, html};

/// Entities in the table: enough to see who leads.
const ENTITIES_SHOWN: usize = 15;

/// Records set aside that are shown for a source without a format: one tells what it is.
const NO_LOG_SHOWN: usize = 1;

/// Records set aside that are shown for a source.
const QUARANTINE_SHOWN: usize = 5;

pub(super) fn entities(r: &RunReport) -> Markup {
    let shown = &r.top_entities[..r.top_entities.len().min(ENTITIES_SHOWN)];
    let most = shown.iter().map(|e| e.threats).max().unwrap_or(0).max(1) as f32;
    html! {
        section #entities aria-labelledby="entities-h" {
            h2 #entities-h { "Most flagged entities" }
            @if shown.is_empty() {
                p.empty { "None." }
            } @else {
                div.scroll { table.entities {
                    thead { tr {
                        th scope="col" { "Entity" } th scope="col" { "Kind" } th.r scope="col" {
                            "Events" }
                        th.r scope="col" { "Flagged" } th scope="col" {} th.r scope="col" { "Share"
                            }
                        th.r scope="col" { "Greatest score" }
                    } }
                    tbody { @for e in shown { tr {
                        th scope="row" { code { (t(&e.entity)) } }
                        td { (t(&e.kind)) }
                        td.r { (number(e.events)) }
                        td.r { (number(e.threats)) }
                        td { (plots::share(e.threats as f32 / most)) }
                        td.r { (percent(e.threats, e.events)) }
                        td.r {
                            // Rules decide without a score.
                            @if e.max_score > 0.0 { (format!("{:.2}", e.max_score)) } @else { "–" }
                        }
                    } } }
                } }
            }
        }
    }
}

/// Accounts whose logons told against them; nothing where there are none.
pub(super) fn accounts(r: &RunReport) -> Markup {
    let shown = &r.accounts[..r.accounts.len().min(ENTITIES_SHOWN)];
    if shown.is_empty() {
        return html! {};
    }
    html! {
        section #accounts aria-labelledby="accounts-h" {
            h2 #accounts-h { "Accounts at risk" }
            p.sub { "What an account's logons tell against it, by its own past, in nats over a "
                "coin toss; it halves every day. From 3 it is medium, from 6 high, from 12 "
                "critical." }
            div.scroll { table {
                thead { tr {
                    th scope="col" { "Account" } th scope="col" { "Level" }
                    th.r scope="col" { "Risk" } th scope="col" { "When" }
                    th scope="col" { "Why" } th scope="col" { "Next" }
                } }
                tbody { @for a in shown { tr {
                    th.n scope="row" { code { (t(&a.account)) } }
                    td { span class=(format!("badge {}", a.level.name())) { (a.level.name()) } }
                    td.r { (format!("{:.1}", a.risk)) }
                    td.n { (time(a.at)) }
                    td { (factors(a)) }
                    td { (advice(a)) }
                } } }
            } }
        }
    }
}

pub(super) fn labelled(r: &RunReport) -> Markup {
    let Some(labels) = &r.labelled else { return html! {} };
    html! {
        section #labels aria-labelledby="labels-h" {
            h2 #labels-h { "Ground truth" }
            p.sub { "This capture says what each record is. No label was shown to a voter; "
                "this is how many rows of each were flagged." }
            div.scroll { table {
                thead { tr {
                    th scope="col" { "Label" } th.r scope="col" { "Rows" } th.r scope="col" {
                        "Flagged" }
                    th scope="col" {} th.r scope="col" { "Share" }
                } }
                tbody { @for (label, l) in labels { tr {
                    th scope="row" { (t(label)) }
                    td.r { (number(l.rows)) }
                    td.r { (number(l.found)) }
                    td { (plots::share(l.found as f32 / l.rows.max(1) as f32)) }
                    td.r { (percent(l.found, l.rows)) }
                } } }
            } }
        }
    }
}

pub(super) fn sources(r: &RunReport) -> Markup {
    html! {
        section #sources aria-labelledby="sources-h" {
            h2 #sources-h { "Sources" }
            p.sub { "Every record is accounted for: read = events + set aside + comments." }
            div.scroll { table {
                thead { tr {
                    th scope="col" { "Source" } th scope="col" { "Format" } th.r scope="col" {
                        "Size" }
                    th.r scope="col" { "Read" } th.r scope="col" { "Events" }
                    th.r scope="col" { "Set aside" } th.r scope="col" { "Comments" }
                } }
                tbody { @for s in &r.sources { tr {
                    th scope="row" { code { (t(&s.name)) } }
                    td { (t(&s.format)) }
                    td.r { (bytes(s.counts.bytes)) }
                    td.r { (number(s.counts.read)) }
                    td.r { (number(s.counts.events)) }
                    td.r { (number(s.counts.quarantined)) }
                    td.r { (number(s.counts.comments)) }
                } } }
            } }
            @for s in &r.sources { (changes(s)) (troubles(s)) }
        }
    }
}

/// What the source delivers otherwise than at its beginning.
fn changes(s: &SourceReport) -> Markup {
    html! {
        @if !s.quality.is_empty() {
            h3 { "Changed in " code { (t(&s.name)) } }
            ul.troubles {
                @for note in &s.quality { li { (quality(note)) } }
                @if s.quality_turned_away > 0 {
                    li.soft { (plural(s.quality_turned_away, "further change", "further changes"))
                        " over the limit" }
                }
            }
        }
    }
}

fn troubles(s: &SourceReport) -> Markup {
    let bad = !s.problems.is_empty() || !s.quarantined.is_empty() || !s.counts.balanced();
    let shown = if s.is_no_log() { NO_LOG_SHOWN } else { QUARANTINE_SHOWN };
    html! {
        @if bad {
            h3 { "Trouble in " code { (t(&s.name)) } }
            ul.troubles {
                @if !s.counts.balanced() { li { "The counts do not add up. Please report this." } }
                @for p in &s.problems { li { (t(p)) } }
                @for q in s.quarantined.iter().take(shown) {
                    li { "Line " (number(q.line)) ": " (t(&q.reason))
                        pre.raw tabindex="0" aria-label="Record set aside" {
                            (visible_record(&cut(&q.excerpt, 200))) } }
                }
                @if s.counts.quarantined > shown as u64 {
                    li.soft { (number(s.counts.quarantined)) " records were set aside in all." }
                }
            }
        }
    }
}

pub(super) fn run(r: &RunReport) -> Markup {
    html! {
        section #run aria-labelledby="run-h" {
            h2 #run-h { "Run" }
            dl.facts.wide {
                dt { "Command" } dd { code { (t(&r.command.join(" "))) } }
                dt { "Version" } dd { "Watchfire " (t(&r.version)) }
                dt { "Started" } dd { (time(r.started)) }
                dt { "Finished" } dd { (time(r.finished)) ", after " (duration(r.elapsed_secs)) }
                dt { "Budget" } dd { (t(&r.budget)) }
                @if let Some(b) = &r.bundle {
                    dt { "Bundle" }
                    dd { (t(&b.version)) " " code { (t(&b.id)) } ", trained on "
                        (plural(b.rows, "benign row", "benign rows")) }
                }
                @for m in &r.verdicts.missing {
                    dt { "Missing voter" }
                    dd { (m.detector.name()) " in " (plural(m.verdicts, "verdict", "verdicts"))
                        ": " (absence(m.reason)) }
                }
                @for d in &r.drift {
                    dt { "Drift" } dd { (drift(d)) }
                }
                (overload(r))
            }
            (bundle(r))
        }
    }
}

fn overload(r: &RunReport) -> Markup {
    let o = &r.overload;
    html! {
        @for (why, n) in o.shed.iter().filter(|(_, n)| **n > 0) {
            dt { "Shed" } dd { (plural(*n, "event", "events")) ": " (t(why)) }
        }
        @if o.held_back > 0 {
            dt { "Held back" } dd { (plural(o.held_back, "time", "times"))
                " a source waited for the shards" }
        }
        @if o.evicted > 0 {
            dt { "Forgotten" } dd { "state of " (plural(o.evicted, "entity", "entities"))
                " over the limit" }
        }
        @if o.threats_turned_away > 0 {
            dt { "Not kept" } dd { (plural(o.threats_turned_away, "finding", "findings"))
                " over the limit" }
        }
    }
}

fn bundle(r: &RunReport) -> Markup {
    let Some(b) = &r.bundle else { return html! {} };
    html! {
        div.scroll { table {
            caption { "Voters by class of events" }
            thead { tr {
                th scope="col" { "Class" } th scope="col" { "Voters" } th.r scope="col" {
                    "Benign rows" }
                th.r scope="col" { "Threshold" }
            } }
            tbody { @for (class, c) in &b.classes { tr {
                th scope="row" { (class.name()) }
                td { (c.voters.iter().map(|v| v.name()).collect::<Vec<_>>().join(", ")) }
                td.r { (number(c.rows)) }
                td.r { (format!("{:.2}", c.threshold)) }
            } } }
        } }
    }
}
