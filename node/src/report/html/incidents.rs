//! Incident cards: who, what, since when, how much, and what to do next.

use super::t;
use crate::report::model::{RunReport, RunState};
use crate::report::words::{duration, number, plural, severity_key, time};
use maud::{Markup, html};
use std::collections::BTreeMap;
use threat::{Incident, Severity, Text, Threat, ThreatId};

/// Actors, and targets, named on a card; the others are counted.
const NAMED: usize = 6;

/// Links to findings on a card.
const LINKS: usize = 3;

/// A severity as a word on its colour.
pub(super) fn badge(s: Severity) -> Markup {
    html! { span class=(format!("badge {}", severity_key(s))) { (s.name()) } }
}

/// A technique with a link for whoever follows it; the page itself asks for nothing.
pub(super) fn technique(id: &str) -> Markup {
    let plain = id.len() <= 16 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    let path = id.replacen('.', "/", 1);
    html! {
        @if plain {
            a.technique href=(format!("https://attack.mitre.org/techniques/{path}/"))
                rel="noreferrer noopener" title="MITRE ATT&CK" { (id) }
        } @else {
            span.technique { (t(id)) }
        }
    }
}

/// The address of a finding on this page.
pub(super) fn anchor(id: ThreatId) -> String {
    format!("f-{}", &id.to_string()[..12])
}

pub(super) fn section(r: &RunReport) -> Markup {
    let threats: BTreeMap<ThreatId, &Threat> = r.threats.iter().map(|t| (t.id, t)).collect();
    html! {
        section #incidents aria-labelledby="incidents-h" {
            h2 #incidents-h { "Incidents" }
            @if r.incidents.is_empty() {
                p.empty { (nothing(r)) }
            }
            @for i in &r.incidents { (card(i, &threats)) }
        }
    }
}

fn nothing(r: &RunReport) -> &'static str {
    match r.state {
        RunState::Ready => "None. No event was flagged by two voters or by a rule.",
        RunState::Learning { .. } => {
            "None so far. No rule matched, and the models cannot vote yet."
        }
    }
}

/// What the incident's threats were aimed at, most often first.
fn targets(i: &Incident, threats: &BTreeMap<ThreatId, &Threat>) -> (Vec<(Text, u64)>, u64) {
    let mut seen: BTreeMap<&Text, u64> = BTreeMap::new();
    let mut away = 0;
    for t in i.threats.iter().filter_map(|id| threats.get(id)) {
        for (target, n) in &t.targets.kept {
            *seen.entry(target).or_default() += n;
        }
        away += t.targets.turned_away;
    }
    let mut all: Vec<(Text, u64)> = seen.into_iter().map(|(k, n)| (k.clone(), n)).collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    (all, away)
}

fn named(items: &[(Text, u64)], total: u64) -> Markup {
    let shown = items.len().min(NAMED);
    html! {
        ul.named {
            @for (name, n) in &items[..shown] {
                li { code { (t(name)) } " " span.n { (number(*n)) } }
            }
            @if total > shown as u64 {
                li.soft { "and " (number(total - shown as u64)) " more" }
            }
        }
    }
}

fn card(i: &Incident, threats: &BTreeMap<ThreatId, &Threat>) -> Markup {
    let (targets, away) = targets(i, threats);
    let length = i.last_seen.since(i.first_seen);
    let mut gravest: Vec<&&Threat> = i.threats.iter().filter_map(|id| threats.get(id)).collect();
    gravest.sort_by(|a, b| {
        let by = b.severity.cmp(&a.severity).then(b.score.total_cmp(&a.score));
        by.then(b.count.cmp(&a.count)).then(a.id.cmp(&b.id))
    });
    html! {
        article class=(format!("incident {}", severity_key(i.severity))) id=(t(&i.id)) {
            div.head {
                (badge(i.severity))
                h3 { (t(&i.title)) }
            }
            p.advice { strong { "Next: " } (i.advice) }
            div.cols {
                div { h4 { "Who" } (named(&i.actors, i.actor_count)) }
                div {
                    h4 { "Targets" }
                    @if targets.is_empty() { p.soft { "none named" } }
                    @else { (named(&targets, targets.len() as u64)) }
                    @if away > 0 { p.soft { (plural(away, "sighting", "sightings")) " of others" } }
                }
                div {
                    h4 { "When" }
                    p.n.ink { (time(i.first_seen)) }
                    @if i.last_seen > i.first_seen { p.n.ink { (time(i.last_seen)) } }
                    @if length >= 1.0 { p.soft { "over " (duration(length)) } }
                }
                div {
                    h4 { "How much" }
                    p { (plural(i.count, "verdict", "verdicts")) ", "
                        (plural(i.threats.len() as u64, "finding", "findings")) }
                    @if i.score > 0.0 { p.soft { "greatest score " (format!("{:.1}", i.score)) } }
                    @else { p.soft { "decided by rules" } }
                }
            }
            p.foot {
                @for id in &i.techniques { (technique(id)) " " }
                @for f in gravest.iter().take(LINKS) {
                    a.finding-link href=(format!("#{}", anchor(f.id))) {
                        // The time tells findings of the same kind and host apart: each is an hour.
                        (f.class.title()) " by " (t(&f.entity.to_string())) ", "
                        (time(f.first_seen))
                    }
                    " "
                }
                span.id { (t(&i.id)) }
            }
        }
    }
}
