//! What a person reads on the terminal after a run, and what a script reads instead.
//!
//! One sentence, then the incidents with who, what, when, how much and what to do next, then only
//! what is out of the ordinary: learning, records set aside, voters missing, load turned away.
//! The caller says whether there is colour and how wide the terminal is; nothing is asked here.

mod lines;

use crate::report::RunReport;
use crate::report::accounts::{advice, factors};
use crate::report::model::{MissingVoter, RunState};
use crate::report::words::{self, absence, number, percent, plural, span, time, visible};
use detection::tally::RiskLevel;
use lines::Page;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use threat::verdict::Absence;
use threat::{EventClass, Incident};

/// Incidents told in full; the others are counted. A run yields at most so many, a merged one more.
pub const INCIDENTS_SHOWN: usize = 20;

/// Accounts at high risk that are named; the others are counted.
const ACCOUNTS_SHOWN: usize = 3;

/// Changes of a source told in full: one corrupt log shows in many fields.
pub const CHANGES_SHOWN: usize = 8;

/// How the terminal wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Colour and weight: stdout is a terminal and `NO_COLOR` is unset.
    pub colour: bool,
    /// Columns; less than 40 is taken as 40.
    pub width: usize,
}

/// The summary as text, with a line end after each line.
pub fn text(report: &RunReport, style: &Style) -> String {
    let mut page = Page::new(style);
    page.heading(&report.sentence());
    page.plain(&facts(report));
    for incident in report.incidents.iter().take(INCIDENTS_SHOWN) {
        page.blank();
        show_incident(&mut page, incident);
    }
    let more = report.incidents.len().saturating_sub(INCIDENTS_SHOWN) as u64;
    if more > 0 {
        page.blank();
        page.plain(&format!(
            "{} not shown here",
            plural(more, "further incident", "further incidents")
        ));
    }
    page.blank();
    state(&mut page, report);
    sources(&mut page, report);
    voters(&mut page, report);
    accounts(&mut page, report);
    drifts(&mut page, report);
    load(&mut page, report);
    recall(&mut page, report);
    see_more(&mut page, report);
    page.finish()
}

/// Span, speed and sources in a line.
fn facts(r: &RunReport) -> String {
    let mut parts = Vec::new();
    if let (Some(a), Some(b)) = (r.first_event, r.last_event) {
        parts.push(span(a, b));
    }
    parts.push(plural(r.sources.len() as u64, "source", "sources"));
    parts.push(format!(
        "read in {} ({} events/s)",
        words::duration(r.elapsed_secs),
        number(r.events_per_second.max(0.0).round() as u64)
    ));
    parts.join(" · ")
}

fn show_incident(page: &mut Page, i: &Incident) {
    page.severity(i.severity, &visible(&i.title));
    let mut who: Vec<String> =
        i.actors.iter().take(3).map(|(a, n)| format!("{} ({})", visible(a), number(*n))).collect();
    let others = i.actor_count.saturating_sub(who.len() as u64);
    if others > 0 {
        who.push(plural(others, "other", "others"));
    }
    page.field("who", &words::list(&who));
    let length = i.last_seen.since(i.first_seen);
    let when = span(i.first_seen, i.last_seen);
    let when = if length >= 1.0 { format!("{when} ({})", words::duration(length)) } else { when };
    page.field("when", &when);
    let mut what = vec![
        i.class.title().to_owned(),
        plural(i.count, "verdict", "verdicts"),
        plural(i.threats.len() as u64, "finding", "findings"),
    ];
    if i.score > 0.0 {
        what.push(format!("score {:.1}", i.score));
    }
    if !i.techniques.is_empty() {
        what.push(i.techniques.iter().map(|t| visible(t)).collect::<Vec<_>>().join(", "));
    }
    page.field("what", &what.join(" · "));
    page.field("next", &i.advice);
}

fn state(page: &mut Page, r: &RunReport) {
    match r.state {
        RunState::Learning { rows, needed } => page.note(
            "State",
            &format!(
                "learning: {} of {} rows seen; until then the rules decide alone",
                number(rows),
                number(needed)
            ),
        ),
        RunState::Ready => {
            if let Some(b) = &r.bundle {
                let id: String = b.id.chars().take(12).collect();
                let rows = plural(b.rows, "benign row", "benign rows");
                page.note(
                    "State",
                    &format!(
                        "ready: bundle {} ({id}), {rows}, budget {}",
                        visible(&b.version),
                        visible(&r.budget)
                    ),
                );
            }
        }
    }
}

fn sources(page: &mut Page, r: &RunReport) {
    for s in &r.sources {
        let (c, name) = (&s.counts, visible(&s.name));
        // A source without a format has one problem, which is told below.
        if c.quarantined > 0 && !s.is_no_log() {
            let first = s.quarantined.first().map_or(String::new(), |q| {
                format!("; first on line {}: {}", number(q.line), visible(&q.reason))
            });
            let of = plural(c.read, "record", "records");
            page.note(
                "Source",
                &format!("{name}: {} of {of} set aside as malformed{first}", number(c.quarantined)),
            );
        }
        if !c.balanced() {
            page.note("Source", &format!("{name}: counts do not add up; please report this"));
        }
        for p in &s.problems {
            page.note("Source", &format!("{name}: {}", visible(p)));
        }
        for note in s.quality.iter().take(CHANGES_SHOWN) {
            page.note("Change", &format!("{name}: {}", words::quality(note)));
        }
        let more = s.quality.len().saturating_sub(CHANGES_SHOWN) as u64 + s.quality_turned_away;
        if more > 0 {
            let n = plural(more, "further change", "further changes");
            page.note("Change", &format!("{name}: {n} (--report tells which)"));
        }
    }
}

/// Voters that did not answer, a line a reason. That they learn is not told when the state says it
/// already.
fn voters(page: &mut Page, r: &RunReport) {
    let learning = matches!(r.state, RunState::Learning { .. });
    let mut told: Vec<(Absence, Vec<&MissingVoter>)> = Vec::new();
    for m in &r.verdicts.missing {
        if learning && m.reason == Absence::Learning {
            continue;
        }
        match told.iter_mut().find(|(why, _)| *why == m.reason) {
            Some((_, voters)) => voters.push(m),
            None => told.push((m.reason, vec![m])),
        }
    }
    for (why, voters) in told {
        let most = voters.iter().map(|m| m.verdicts).max().unwrap_or_default();
        let same = voters.iter().all(|m| m.verdicts == most);
        let upto = if same { "" } else { "up to " };
        let names: Vec<String> = voters.iter().map(|m| m.detector.name().to_owned()).collect();
        let (names, n) = (words::list(&names), plural(most, "verdict", "verdicts"));
        page.note("Voters", &format!("{names} missing in {upto}{n} ({})", absence(why)));
    }
}

/// Accounts at high risk; those at medium risk are in the report.
fn accounts(page: &mut Page, r: &RunReport) {
    let high: Vec<_> = r.accounts.iter().filter(|a| a.level >= RiskLevel::High).collect();
    for a in high.iter().take(ACCOUNTS_SHOWN) {
        page.note(
            "Account",
            &format!(
                "{} at {} risk ({:.1}) at {}: {}",
                visible(&a.account),
                a.level.name(),
                a.risk,
                time(a.at),
                factors(a)
            ),
        );
    }
    let more = high.len().saturating_sub(ACCOUNTS_SHOWN) as u64;
    if more > 0 {
        page.note(
            "Account",
            &format!(
                "{} at high risk (--report tells which)",
                plural(more, "further account", "further accounts")
            ),
        );
    }
}

/// The classes whose scores of benign events have changed; which voters and how is in the report.
fn drifts(page: &mut Page, r: &RunReport) {
    let Some(first) = r.drift.iter().map(|d| d.first).min() else { return };
    let classes: BTreeSet<EventClass> = r.drift.iter().map(|d| d.class).collect();
    let classes: Vec<String> = classes.iter().map(|c| c.name().to_owned()).collect();
    page.note(
        "Drift",
        &format!(
            "since {} the scores of {} events are no longer as in training (--report tells which); \
             if that is to stay, learn anew with `watchfire train`",
            words::time(first),
            words::list(&classes)
        ),
    );
}

fn load(page: &mut Page, r: &RunReport) {
    for (why, &n) in r.overload.shed.iter().filter(|(_, n)| **n > 0) {
        page.note("Shed", &format!("{}: {}", plural(n, "event", "events"), visible(why)));
    }
    if r.overload.threats_turned_away > 0 {
        let n = plural(r.overload.threats_turned_away, "finding", "findings");
        page.note("Limit", &format!("{n} over the limit were counted but not kept"));
    }
}

fn recall(page: &mut Page, r: &RunReport) {
    let Some(labelled) = &r.labelled else { return };
    let parts: Vec<String> = labelled
        .iter()
        .map(|(label, l)| {
            let (found, rows) = (number(l.found), number(l.rows));
            format!("{} {found} of {rows} ({})", visible(label), percent(l.found, l.rows))
        })
        .collect();
    page.note("Labels", &format!("flagged by label: {}", parts.join(" · ")));
}

fn see_more(page: &mut Page, r: &RunReport) {
    if let Some(t) = r.ranked().first() {
        page.note("Why", &format!("watchfire explain {}", &t.id.to_string()[..12]));
    }
    match &r.outputs.report {
        Some(path) => page.note("Report", &format!("{} (open it in a browser)", visible(path))),
        None => page.note("Report", "add --report FILE.html for a page with every reason"),
    }
    match &r.outputs.findings {
        Some(path) => page
            .note("Output", &format!("{} (OCSF findings, one JSON object a line)", visible(path))),
        None => {
            page.note("Output", "add --output FILE.jsonl for OCSF findings, one JSON object a line")
        }
    }
}

/// The summary for scripts: the same content, stable keys, no colour, times in RFC 3339 with their
/// microseconds beside them.
pub fn json(report: &RunReport) -> Value {
    let r = report;
    let at = |t: threat::Timestamp| json!({ "time": time(t), "micros": t.micros() });
    let incidents: Vec<Value> = r
        .incidents
        .iter()
        .map(|i| {
            json!({
                "id": i.id, "title": i.title, "severity": i.severity.name(),
                "severity_id": i.severity.id(), "class": i.class.name(),
                "entity": i.entity.to_string(), "entity_kind": i.entity.kind(),
                "techniques": i.techniques, "score": f64::from(i.score), "count": i.count,
                "first_seen": at(i.first_seen), "last_seen": at(i.last_seen),
                "actors": i.actors.iter().map(|(a, n)| json!({ "name": a, "count": n }))
                    .collect::<Vec<_>>(),
                "actor_count": i.actor_count, "findings": i.threats, "advice": i.advice,
            })
        })
        .collect();
    let accounts: Vec<Value> = r
        .accounts
        .iter()
        .map(|a| {
            json!({
                "account": a.account, "risk": f64::from(a.risk), "level": a.level,
                "first": at(a.first), "at": at(a.at), "logons": a.logons,
                "factors": {
                    "new_hosts": a.new_hosts, "new_sources": a.new_sources,
                    "odd_hours": a.odd_hours, "impossible_travel": a.journeys,
                },
                "why": factors(a), "advice": advice(a),
            })
        })
        .collect();
    json!({
        "version": r.version, "sentence": r.sentence(), "state": r.state,
        "elapsed_seconds": r.elapsed_secs, "events_per_second": r.events_per_second,
        "first_event": r.first_event.map(at), "last_event": r.last_event.map(at),
        "intake": r.intake(), "verdicts": r.verdicts, "bundle": r.bundle, "budget": r.budget,
        "incidents": incidents, "findings": r.threats.len(), "labelled": r.labelled,
        "drift": r.drift, "accounts": accounts,
        "sources": r.sources, "overload": r.overload, "outputs": r.outputs,
    })
}
