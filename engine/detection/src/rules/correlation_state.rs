//! State of correlations, by correlation and group, bounded.
//!
//! Windows, group keys and conditions are rsigma's; the map around them is ours, since it must not
//! grow with the traffic, must evict the same groups in every run (rsigma's own engine picks them
//! in the order of a randomly seeded hash map), and must pass fired correlations on to those above.

use rsigma_eval::correlation::{WindowDecision, apply_window_open};
use rsigma_eval::{CompiledCorrelation, CorrelationAction, Event, GroupKey, WindowState};
use rsigma_parser::{CorrelationType, WindowMode};
use std::collections::BTreeMap;

/// Groups of all correlations together. A group takes some 200 bytes, so that a flood of sources
/// holds some 15 MB; the groups untouched for longest go first.
pub const CORRELATION_GROUPS: usize = 65_536;

/// Window entries of all groups together (16 to 60 bytes each).
pub const CORRELATION_ENTRIES: usize = 500_000;

/// Entries of one group, or of one rule in a temporal group: a condition is checked against all of
/// them at every event. Counts over a higher threshold get room for that threshold.
pub const GROUP_ENTRIES: usize = 1_024;

/// Entries of one group at most, whatever its threshold.
pub const GROUP_ENTRIES_MOST: usize = 65_536;

/// What the bounds turned away so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turned {
    /// Groups evicted.
    pub groups: u64,
    /// Oldest entries dropped from full groups.
    pub entries: u64,
}

/// A condition that holds.
#[derive(Debug, PartialEq)]
pub struct Fired {
    /// The aggregated value.
    pub value: f64,
    /// Group-by names and values.
    pub group: Vec<(String, String)>,
}

#[derive(Debug)]
struct Group {
    window: WindowState,
    /// When it was last touched, in updates.
    touched: u64,
    /// Event time of its last alert, seconds.
    alerted: Option<i64>,
}

/// Windows of all groups.
#[derive(Debug, Default)]
pub struct States {
    groups: BTreeMap<(u16, Vec<Option<String>>), Group>,
    updates: u64,
    entries: usize,
    turned: Turned,
}

/// Entries that a group of this correlation may hold.
pub fn group_entries(correlation: &CompiledCorrelation) -> usize {
    let highest = correlation.condition.predicates.iter().map(|p| p.1).fold(0.0, f64::max);
    match correlation.correlation_type {
        CorrelationType::EventCount | CorrelationType::ValueCount => {
            (highest as usize).saturating_add(1).clamp(GROUP_ENTRIES, GROUP_ENTRIES_MOST)
        }
        CorrelationType::ValueSum | CorrelationType::ValueAvg => 4 * GROUP_ENTRIES,
        // These sort, or look at every rule's entries.
        _ => GROUP_ENTRIES,
    }
}

impl States {
    /// Groups held.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Entries held.
    pub const fn entries(&self) -> usize {
        self.entries
    }

    /// What the bounds turned away.
    pub const fn turned(&self) -> Turned {
        self.turned
    }

    /// Takes an event that `key` matched into the correlation at `place`; the answer if its
    /// condition holds now and is not suppressed.
    pub fn update(
        &mut self,
        place: u16,
        correlation: &CompiledCorrelation,
        key: &str,
        event: &impl Event,
        secs: i64,
    ) -> Option<Fired> {
        // As rsigma does, so that adding a time span cannot overflow.
        let secs = secs.clamp(0, i64::MAX / 2);
        self.make_room();
        self.updates += 1;
        let group_key = GroupKey::extract(event, &correlation.group_by, &[key]);
        let group = self.groups.entry((place, group_key.0.clone())).or_insert_with(|| Group {
            window: WindowState::new_for(correlation.correlation_type),
            touched: 0,
            alerted: None,
        });
        group.touched = self.updates;
        let before = len(&group.window);
        let fired = group.step(correlation, key, event, secs, &mut self.turned.entries);
        self.entries = self.entries + len(&group.window) - before;
        fired.map(|value| Fired { value, group: group_key.to_pairs(&correlation.group_by) })
    }

    /// Evicts the half of the groups that was untouched for longest when a bound is reached.
    fn make_room(&mut self) {
        if self.groups.len() < CORRELATION_GROUPS && self.entries < CORRELATION_ENTRIES {
            return;
        }
        let mut touched: Vec<u64> = self.groups.values().map(|g| g.touched).collect();
        touched.sort_unstable();
        let oldest_kept = touched.get(touched.len().div_ceil(2)).copied().unwrap_or(u64::MAX);
        let before = self.groups.len();
        self.groups.retain(|_, g| g.touched >= oldest_kept);
        self.turned.groups += (before - self.groups.len()) as u64;
        self.entries = self.groups.values().map(|g| len(&g.window)).sum();
    }
}

impl Group {
    fn step(
        &mut self,
        correlation: &CompiledCorrelation,
        key: &str,
        event: &impl Event,
        secs: i64,
        dropped: &mut u64,
    ) -> Option<f64> {
        let (span, mode) = (correlation.timespan_secs, correlation.window_mode);
        let open = apply_window_open(&mut self.window, secs, span, mode, correlation.gap_secs);
        if open == WindowDecision::Discard {
            return None;
        }
        push(&mut self.window, correlation, key, event, secs);
        *dropped += bound(&mut self.window, group_entries(correlation));
        let value = check(&self.window, correlation)?;
        let quiet = correlation.suppress_secs.zip(self.alerted);
        if quiet.is_some_and(|(suppress, last)| secs - last < suppress as i64) {
            return None;
        }
        self.alerted = Some(secs);
        if correlation.action == Some(CorrelationAction::Reset) {
            self.window.clear();
        }
        Some(value)
    }
}

fn push(
    window: &mut WindowState,
    correlation: &CompiledCorrelation,
    key: &str,
    event: &impl Event,
    secs: i64,
) {
    let fields = correlation.condition.field.as_deref().unwrap_or_default();
    match correlation.correlation_type {
        CorrelationType::EventCount => window.push_event_count(secs),
        CorrelationType::Temporal | CorrelationType::TemporalOrdered => {
            window.push_temporal(secs, key);
        }
        CorrelationType::ValueCount => {
            let Some(value) = distinct_value(event, fields) else { return };
            // A value counts once; in a sliding window only its last sighting matters.
            if let WindowState::ValueCount { entries } = window
                && correlation.window_mode == WindowMode::Sliding
            {
                entries.retain(|(_, seen)| *seen != value);
            }
            window.push_value_count(secs, value);
        }
        _ => {
            let number = fields.first().and_then(|f| event.get_field(f)?.as_f64());
            if let Some(n) = number {
                window.push_numeric(secs, n);
            }
        }
    }
}

/// The values of all fields as one text; `None` when one is absent.
fn distinct_value(event: &impl Event, fields: &[String]) -> Option<String> {
    let mut joined = String::new();
    for (i, field) in fields.iter().enumerate() {
        if i > 0 {
            joined.push('\u{1f}');
        }
        let value = event.get_field(field)?;
        if value.is_null() {
            joined.push_str("null");
        } else {
            joined.push_str(&value.as_str()?);
        }
    }
    (!fields.is_empty()).then_some(joined)
}

fn check(window: &WindowState, correlation: &CompiledCorrelation) -> Option<f64> {
    let CompiledCorrelation { condition, correlation_type, rule_refs, extended_expr, .. } =
        correlation;
    if let (WindowState::Temporal { rule_hits }, CorrelationType::TemporalOrdered) =
        (window, correlation_type)
    {
        // rsigma's search goes back and forth over all hits when there is no order; the earliest
        // hit that is late enough is always the right choice, which takes one pass.
        let mut from = i64::MIN;
        for reference in rule_refs {
            from = *rule_hits.get(reference)?.iter().find(|&&t| t >= from)?;
        }
    }
    window.check_condition(condition, *correlation_type, rule_refs, extended_expr.as_ref())
}

fn len(window: &WindowState) -> usize {
    match window {
        WindowState::EventCount { timestamps } => timestamps.len(),
        WindowState::ValueCount { entries } => entries.len(),
        WindowState::Temporal { rule_hits } => {
            rule_hits.values().map(std::collections::VecDeque::len).sum()
        }
        WindowState::NumericAgg { entries } => entries.len(),
    }
}

/// Drops the oldest entries over `most`; how many.
fn bound(window: &mut WindowState, most: usize) -> u64 {
    fn cut<T>(entries: &mut std::collections::VecDeque<T>, most: usize) -> u64 {
        let over = entries.len().saturating_sub(most);
        entries.drain(..over);
        over as u64
    }
    match window {
        WindowState::EventCount { timestamps } => cut(timestamps, most),
        WindowState::ValueCount { entries } => cut(entries, most),
        WindowState::Temporal { rule_hits } => rule_hits.values_mut().map(|t| cut(t, most)).sum(),
        WindowState::NumericAgg { entries } => cut(entries, most),
    }
}
