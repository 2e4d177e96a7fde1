//! Findings with their reasons: the votes, what set the event apart, the record itself, versions.

use super::incidents::{anchor, badge, technique};
use super::{COMPACT_FINDINGS, FULL_FINDINGS, plots, t};
use crate::report::model::RunReport;
use crate::report::words::{
    absence, abstention, cut, number, percent, plural, severity_key, span, time, value,
    visible_record,
};
use maud::{Markup, html};
use std::collections::BTreeSet;
use threat::threats::Indicators;
use threat::{
    Ballot, Contribution, Example, RuleHit, Severity, Threat, ThreatId, Verdict, VerdictSource,
};

/// Characters of a raw record that are shown.
const RAW_SHOWN: usize = 2_000;

/// Contributions shown of one verdict; later ones hardly move a score.
const CONTRIBUTIONS_SHOWN: usize = 8;

/// Indicators shown of a finding.
const INDICATORS_SHOWN: usize = 8;

pub(super) fn section(r: &RunReport) -> Markup {
    let ranked = r.ranked();
    let full = chosen(r, &ranked);
    let (shown, rest): (Vec<&Threat>, Vec<&Threat>) =
        ranked.into_iter().partition(|t| full.contains(&t.id));
    html! {
        section #findings aria-labelledby="findings-h" {
            h2 #findings-h { "Findings" }
            @if shown.is_empty() {
                p.empty { "None." }
            } @else {
                p.sub { "What one entity did of one kind within an hour, with the reasons. The "
                    "gravest first." }
                (controls(r))
                @for (n, threat) in shown.iter().enumerate() {
                    (finding(r, threat, n == 0))
                }
                p #no-match.empty hidden { "No finding matches." }
                @if !rest.is_empty() { (compact(&rest)) }
            }
        }
    }
}

/// The findings told in full: the gravest of every incident, then by rank.
fn chosen(r: &RunReport, ranked: &[&Threat]) -> BTreeSet<ThreatId> {
    let mut full: BTreeSet<ThreatId> = BTreeSet::new();
    for incident in &r.incidents {
        let members: BTreeSet<ThreatId> = incident.threats.iter().copied().collect();
        full.extend(ranked.iter().find(|t| members.contains(&t.id)).map(|t| t.id));
    }
    for t in ranked {
        if full.len() >= FULL_FINDINGS {
            break;
        }
        full.insert(t.id);
    }
    full
}

fn controls(r: &RunReport) -> Markup {
    html! {
        div.controls {
            label { span.sr { "Filter findings" }
                input #filter type="search" placeholder="Filter by host, class, rule…"
                    autocomplete="off"; }
            div.chips role="group" aria-label="Severity" {
                @for s in Severity::ALL.into_iter().rev() {
                    @let n = r.threats.iter().filter(|t| t.severity == s).count() as u64;
                    @if n > 0 {
                        button type="button" data-severity=(severity_key(s)) aria-pressed="true"
                            class=(format!("chip {}", severity_key(s))) { (s.name()) " "
                                (number(n)) }
                    }
                }
            }
            button.plain #expand type="button" { "Expand all" }
        }
    }
}

fn finding(r: &RunReport, f: &Threat, open: bool) -> Markup {
    let key = severity_key(f.severity);
    let examples = r.examples.get(&f.id).map_or(&[][..], Vec::as_slice);
    html! {
        details.finding id=(anchor(f.id)) data-severity=(key) open[open] {
            summary {
                (badge(f.severity))
                span.what { (f.class.title()) }
                span.who { (t(&f.entity.to_string())) }
                span.count { (plural(f.count, "verdict", "verdicts")) }
                span.score { @if f.score > 0.0 { (format!("{:.2}", f.score)) } @else { "rules" } }
            }
            div.body {
                (overview(f))
                @for (n, e) in examples.iter().enumerate() { (example(r, e, n, examples.len())) }
                @if examples.is_empty() { p.soft { "No example was kept." } }
                p.go { code { "watchfire explain " (&f.id.to_string()[..12]) } span.id { (f.id) } }
            }
        }
    }
}

fn indicators(label: &str, set: &Indicators) -> Markup {
    let top = set.top();
    let more = top.len().saturating_sub(INDICATORS_SHOWN) as u64;
    html! {
        @if !top.is_empty() {
            dt { (label) }
            dd {
                @for (name, n) in top.into_iter().take(INDICATORS_SHOWN) {
                    span.pair { (t(name)) " " span.n { (number(n)) } }
                    " "
                }
                @if more > 0 {
                    span.soft { "and " (number(more)) " more" @if set.turned_away > 0 { ", " } }
                }
                @if set.turned_away > 0 {
                    span.soft { (plural(set.turned_away, "sighting", "sightings")) " of others" }
                }
            }
        }
    }
}

fn overview(f: &Threat) -> Markup {
    html! {
        dl.facts {
            dt { "When" } dd { (span(f.first_seen, f.last_seen)) }
            @if let Some(id) = &f.technique { dt { "Technique" } dd { (technique(id)) } }
            (indicators("Targets", &f.targets))
            (indicators("Rules", &f.rules))
            @if !f.voters.is_empty() {
                dt { "Flagged by" }
                dd {
                    @for (d, n) in &f.voters {
                        span.pair { (d.name()) " " span.n { (percent(*n, f.count)) } } " "
                    }
                }
            }
            @if !f.missing.is_empty() {
                dt { "Missing" }
                dd {
                    @for (d, n) in &f.missing {
                        span.pair { (d.name()) " " span.n { (number(*n)) } } " "
                    }
                }
            }
            (indicators("Ground truth", &f.labels))
        }
    }
}

fn example(r: &RunReport, e: &Example, n: usize, of: usize) -> Markup {
    let place = format!("{}, line {}", t(&e.source), number(e.position.line));
    html! {
        div.example {
            h3 {
                @if of > 1 { "Example " (n + 1) ": " }
                (t(&e.summary))
            }
            p.soft { (time(e.time)) " · " (e.class.name()) " · " (place) }
            // The first example is told in full; the others differ in their records.
            @if n == 0 {
                (votes(r, e))
                (rules(&e.verdict.rules))
                (contributions(&e.contributions))
            }
            pre.raw tabindex="0" aria-label="Raw record" { (visible_record(&cut(&e.raw,
                RAW_SHOWN))) }
            p.versions {
                @if e.verdict.bundle == 0 { "no bundle yet" } @else {
                    "bundle " code { (format!("{:016x}", e.verdict.bundle)) }
                }
                " · inputs " code { (format!("{:016x}", e.verdict.inputs)) }
                " · decided by " (decided_by(&e.verdict))
            }
        }
    }
}

/// Who made it a threat. With voters present a rule may still decide alone.
fn decided_by(verdict: &Verdict) -> &'static str {
    let votes = verdict.votes.iter();
    let threats = votes.filter(|v| matches!(v.ballot, Ballot::Voted { threat: true, .. })).count();
    match verdict.source {
        VerdictSource::Rules => "rules",
        VerdictSource::Ml if threats < 2 && !verdict.rules.is_empty() => "rules, beside the voters",
        VerdictSource::Ml => "voters",
    }
}

fn votes(r: &RunReport, e: &Example) -> Markup {
    let threshold = r.bundle.as_ref().and_then(|b| b.classes.get(&e.class)).map(|c| c.threshold);
    let top = e.verdict.votes.iter().fold(threshold.unwrap_or(3.0), |top, v| match v.ballot {
        Ballot::Voted { tail, .. } if tail.is_finite() => top.max(tail),
        _ => top,
    });
    html! {
        table.votes {
            caption { "Votes" }
            thead { tr {
                th scope="col" { "Voter" } th.r scope="col" { "Score" } th.r scope="col" { "Tail" }
                th.r scope="col" { "Threshold" } th scope="col" { "Tail against threshold" }
                th scope="col" { "Answer" }
            } }
            tbody {
                @for v in &e.verdict.votes {
                    tr {
                        th scope="row" { (v.detector.name()) }
                        @match v.ballot {
                            Ballot::Voted { score, tail, threat } => {
                                td.r { (format!("{score:.3}")) }
                                td.r { (format!("{tail:.2}")) }
                                td.r { (threshold.map_or("–".to_owned(), |x| format!("{x:.2}"))) }
                                td { (plots::tail(tail, threshold, top, threat)) }
                                td { @if threat { strong.threat { "threat" } } @else { "benign" } }
                            }
                            Ballot::Abstained(why) => {
                                td.r { "–" } td.r { "–" } td.r { "–" } td {}
                                td { "abstained: " (abstention(why)) }
                            }
                            Ballot::Missing(why) => {
                                td.r { "–" } td.r { "–" } td.r { "–" } td {}
                                td { strong.missing { "missing" } ": " (absence(why)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn rules(hits: &[RuleHit]) -> Markup {
    html! {
        @if !hits.is_empty() {
            table.rules {
                caption { "Rules that matched" }
                thead { tr {
                    th scope="col" { "Rule" } th scope="col" { "Level" } th scope="col" { "Because"
                        }
                } }
                tbody {
                    @for h in hits {
                        tr {
                            th scope="row" { (t(&h.title))
                                @if h.correlation { span.soft { " (correlation)" } } }
                            td { (badge(h.severity)) }
                            td { @for (name, value) in &h.fields {
                                span.pair { (t(name)) " = " code { (t(&cut(value, 120))) } } " "
                            } }
                        }
                    }
                }
            }
        }
    }
}

fn contributions(all: &[Contribution]) -> Markup {
    let most = all.iter().map(|c| c.share).fold(0.0_f32, f32::max).max(f32::MIN_POSITIVE);
    html! {
        @if !all.is_empty() {
            table.reasons {
                caption { "What set it apart" }
                thead { tr {
                    th scope="col" { "Feature" } th.r scope="col" { "Share" } th scope="col" {}
                    th.r scope="col" { "Observed" } th scope="col" { "Against what is usual" }
                    th scope="col" { "Usual" }
                } }
                tbody {
                    @for c in all.iter().take(CONTRIBUTIONS_SHOWN) {
                        tr {
                            th scope="row" { (t(&c.feature)) }
                            td.r { (format!("{:.0}%", c.share * 100.0)) }
                            td { (plots::share(c.share / most)) }
                            td.r.observed { @match c.value {
                                Some(v) => (value(v)),
                                None => (t(&cut(&c.observed, 40))),
                            } }
                            td { (plots::baseline(c)) }
                            td.usual { (t(&plots::usual(c))) }
                        }
                    }
                }
            }
        }
    }
}

fn compact(rest: &[&Threat]) -> Markup {
    let listed = rest.len().min(COMPACT_FINDINGS);
    html! {
        details.more-findings {
            summary { (plural(rest.len() as u64, "further finding", "further findings"))
                ", in short" }
            @if listed < rest.len() {
                p.soft { "The first " (number(listed as u64))
                    " are listed; all are in the findings output." }
            }
            div.scroll {
                table #compact {
                    thead { tr {
                        th scope="col" aria-sort="none" { button type="button" { "Severity" } }
                        th scope="col" aria-sort="none" { button type="button" { "Class" } }
                        th scope="col" aria-sort="none" { button type="button" { "Entity" } }
                        th.r scope="col" aria-sort="none" { button type="button" { "Verdicts" } }
                        th.r scope="col" aria-sort="none" { button type="button" { "Score" } }
                        th scope="col" aria-sort="none" { button type="button" { "First seen" } }
                        th scope="col" { "Id" }
                    } }
                    tbody {
                        @for f in rest.iter().take(COMPACT_FINDINGS) {
                            tr id=(anchor(f.id)) data-severity=(severity_key(f.severity)) {
                                td data-n=(f.severity.id()) { (f.severity.name()) }
                                td { (f.class.title()) }
                                td { (t(&cut(&f.entity.to_string(), 64))) }
                                td.r data-n=(f.count) { (number(f.count)) }
                                td.r data-n=(format!("{:.3}", f.score)) { (format!("{:.2}",
                                    f.score)) }
                                td data-n=(f.first_seen.micros()) { (time(f.first_seen)) }
                                td { code { (&f.id.to_string()[..12]) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
