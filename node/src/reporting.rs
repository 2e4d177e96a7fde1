//! From what a run counted to the report that people read.

use crate::dealer::Done;
use crate::recorder::Kept;
use crate::report::model::{
    Bucket, BundleReport, ClassReport, EntityReport, Histogram, LabelReport, MissingVoter, Outputs,
    Overload, QuarantineExample, RunReport, RunState, Scorer, SourceReport, VerdictCounts,
};
use crate::run::Request;
use actors::detection::threats::Final;
use detection::bundle::Bundle;
use detection::calibration::Budget;
use detection::ensemble::{thresholds, voters};
use detection::incidents;
use detection::tally::{BIN_WIDTH, Tally};
use forecast::forecasters::Kept as Earlier;
use forecast::{Forecasters, History, Outlook, Settings};
use learning::sample::FIRST_BUNDLE_ROWS;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use threat::{Counted, HourCounts, Threat, Timestamp};

/// Entities that a report lists.
const ENTITIES: usize = 20;

/// Accounts at risk that a report lists.
const ACCOUNTS: usize = 50;

/// Incidents of one run; further ones are merged (see `detection::incidents`).
pub const INCIDENTS: usize = 20;

/// Everything that a report is made of.
pub struct Story<'a> {
    /// What was asked for.
    pub request: &'a Request,
    /// Wall time of the start.
    pub started: Timestamp,
    /// Wall time of the end.
    pub finished: Timestamp,
    /// Time in between.
    pub elapsed: Duration,
    /// What became of the inputs.
    pub done: Vec<Done>,
    /// What was counted.
    pub found: Final,
    /// Threats and examples.
    pub kept: Kept,
    /// The bundle in use at the end.
    pub bundle: Option<Arc<Bundle>>,
    /// Times that reading was held back.
    pub held_back: u64,
}

/// The report of a run.
pub fn report(story: Story<'_>) -> RunReport {
    let Story { request, started, finished, elapsed, done, found, kept, bundle, held_back } = story;
    let mut tally = found.tally;
    let threats: Vec<Threat> = kept.threats.into_values().collect();
    let incidents = incidents::group(&threats, INCIDENTS);
    let seconds = elapsed.as_secs_f64();
    let mut shed = BTreeMap::new();
    for (why, datagrams) in done.iter().flat_map(|d| d.received.lost()) {
        *shed.entry(why.to_owned()).or_default() += datagrams;
    }
    let needed = FIRST_BUNDLE_ROWS as u64;
    RunReport {
        version: crate::VERSION.to_owned(),
        started,
        finished,
        elapsed_secs: seconds,
        command: request.command.clone(),
        sources: done.into_iter().map(source).collect(),
        state: match &bundle {
            Some(_) => RunState::Ready,
            None => RunState::Learning { rows: found.learnt_rows.min(needed), needed },
        },
        budget: request.budget.to_string(),
        events_per_second: tally.total as f64 / seconds.max(1e-9),
        latency_ms: found.latency,
        first_event: tally.first,
        last_event: tally.last,
        verdicts: verdicts(&tally),
        incidents,
        examples: kept.examples,
        timeline: timeline(&tally),
        next: next(&kept.hours),
        histograms: histograms(&tally, bundle.as_deref(), &request.budget),
        bundle: bundle.as_deref().map(|b| bundle_report(b, &request.budget)),
        labelled: labelled(&tally),
        drift: tally.drift.drifts(),
        overload: Overload {
            shed,
            held_back,
            threats_turned_away: found.turned_away,
            ..Overload::default()
        },
        outputs: Outputs {
            report: None,
            findings: request.output.as_ref().map(|p| p.display().to_string()),
        },
        accounts: tally.accounts.top(ACCOUNTS),
        top_entities: top_entities(&mut tally),
        threats,
    }
}

/// What comes after the hours of a run: of events, attacks and threats in all.
fn next(counts: &BTreeMap<(i64, Counted), u64>) -> Vec<Outlook> {
    let mut history = History::default();
    for ((hour, counted), count) in counts {
        let mut counts = HourCounts { hour: *hour, ..HourCounts::default() };
        counts.add("", *counted, *count);
        history.add(&counts);
    }
    let Some(last) = history.last() else { return Vec::new() };
    let mut forecasters = Forecasters::new(Settings::default(), Earlier::new());
    // The last hour may not be whole: a capture ends when it ends.
    forecasters.step(&history, last, &mut Vec::new());
    let mut outlooks =
        forecasters.outlooks(|subject| subject.measure.class().is_none(), usize::MAX);
    outlooks.retain(|outlook| outlook.forecast.is_ok());
    outlooks
}

fn source(done: Done) -> SourceReport {
    let example = |(line, reason, excerpt)| QuarantineExample { line, reason, excerpt };
    SourceReport {
        name: done.name,
        format: done.format,
        counts: done.counts,
        problems: done.problems,
        quarantined: done.quarantined.into_iter().map(example).collect(),
        received: done.received,
        quality: done.quality,
        quality_turned_away: done.quality_turned_away,
        quality_compared: done.quality_compared,
    }
}

fn verdicts(tally: &Tally) -> VerdictCounts {
    VerdictCounts {
        total: tally.total,
        by_voters: tally.by_voters,
        by_rules: tally.total - tally.by_voters,
        threats: tally.threats.values().sum(),
        by_severity: tally.threats.clone(),
        missing: tally
            .missing
            .iter()
            .map(|(&(detector, _), &(reason, verdicts))| MissingVoter {
                detector,
                reason,
                verdicts,
            })
            .collect(),
    }
}

fn timeline(tally: &Tally) -> Vec<Bucket> {
    let seconds = tally.timeline.seconds.max(1);
    tally
        .timeline
        .stretches
        .iter()
        .map(|(&number, stretch)| Bucket {
            start: Timestamp::from_micros(number.saturating_mul(seconds * 1_000_000)),
            seconds: seconds as f64,
            events: stretch.events,
            threats: stretch.threats.clone(),
        })
        .collect()
}

fn histograms(tally: &Tally, bundle: Option<&Bundle>, budget: &Budget) -> Vec<Histogram> {
    tally
        .scores
        .iter()
        .map(|(&(class, detector), bins)| {
            let limits = bundle.and_then(|b| b.classes.get(&class)).map(|m| thresholds(m, budget));
            let (raw, calibrated) = limits.unwrap_or((0.0, 0.0));
            Histogram {
                class,
                scorer: detector.map_or(Scorer::Ensemble, Scorer::Detector),
                threshold: if detector.is_some() { raw } else { calibrated },
                width: BIN_WIDTH,
                benign: bins.benign.clone(),
                threats: bins.threats.clone(),
            }
        })
        .collect()
}

fn bundle_report(bundle: &Bundle, budget: &Budget) -> BundleReport {
    let classes = bundle.classes.iter().map(|(&class, models)| {
        let report = ClassReport {
            voters: voters(class).to_vec(),
            rows: models.rows,
            threshold: thresholds(models, budget).0,
        };
        (class, report)
    });
    BundleReport {
        version: bundle.version.to_string(),
        id: format!("{:016x}", bundle.id()),
        rows: bundle.classes.values().map(|m| m.rows).sum(),
        classes: classes.collect(),
    }
}

fn labelled(tally: &Tally) -> Option<BTreeMap<threat::Text, LabelReport>> {
    (!tally.labels.is_empty()).then(|| {
        let label = |c: &detection::tally::LabelCount| LabelReport { rows: c.rows, found: c.found };
        tally.labels.iter().map(|(name, count)| (name.clone(), label(count))).collect()
    })
}

fn top_entities(tally: &mut Tally) -> Vec<EntityReport> {
    tally
        .top_entities(ENTITIES)
        .into_iter()
        .filter_map(|count| {
            let entity = count.entity?;
            Some(EntityReport {
                kind: entity.kind().into(),
                entity: entity.to_string().into(),
                events: count.events,
                threats: count.threats,
                max_score: count.max_score,
            })
        })
        .collect()
}
