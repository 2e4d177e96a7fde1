//! The loaded rules, by log source, and how one event meets them.
//!
//! Matching has no state: shards share one set. An event is asked only by rules of its log source
//! ([`Router`]), of these only by those whose [`Gate`] admits it, and what is left by the rule
//! engine. An event without hits costs no allocation as long as gates tell; substring lists longer
//! than a gate holds, keywords and regular expressions go to the engine, which lower-cases text.

use super::correlator::{CorrelationInput, FieldValue};
use super::event_view::EventView;
use super::field::Field;
use super::gate::Gate;
use super::hit::{Template, matched_fields};
use super::load::{
    LoadProblem, Loaded, LoadedCorrelation, LoadedRule, fields_read, load, rule_key,
};
use super::logsource::{Router, Source};
use super::pack::PACK;
use rsigma_eval::{CompiledRule, evaluate_rule};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use threat::{RuleHit, Severity};

struct Rule {
    compiled: CompiledRule,
    gate: Gate,
    template: Template,
    file: String,
    emits: bool,
    feeds: bool,
    /// Fields that correlations read of its events, by place in the set's list of names.
    reads: Box<[u32]>,
}

/// Names of all fields that correlations read, sorted, and for every rule the places of those that
/// are read of its events.
fn fields_of(
    rules: &[LoadedRule],
    correlations: &[LoadedCorrelation],
) -> (Vec<Box<str>>, Vec<Box<[u32]>>) {
    let mut reads: Vec<Vec<&str>> = vec![Vec::new(); rules.len()];
    let keys: Vec<String> = (0..rules.len()).map(rule_key).collect();
    let places: BTreeMap<&str, usize> =
        keys.iter().enumerate().map(|(place, key)| (key.as_str(), place)).collect();
    for correlation in correlations {
        for key in &correlation.compiled.rule_refs {
            if let Some(&place) = places.get(key.as_str()) {
                reads[place].extend(fields_read(&correlation.compiled, key));
            }
        }
    }
    let names: Vec<&str> =
        reads.iter().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let reads = reads
        .iter()
        .map(|read| {
            let read: BTreeSet<&str> = read.iter().copied().collect();
            names
                .iter()
                .enumerate()
                .filter(|(_, name)| read.contains(*name))
                .map(|(place, _)| place as u32)
                .collect()
        })
        .collect();
    (names.into_iter().map(Box::from).collect(), reads)
}

/// What is known of a rule without an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleInfo<'s> {
    /// Its id, or its title where it has none.
    pub id: &'s str,
    /// Its title.
    pub title: &'s str,
    /// Its level.
    pub severity: Severity,
    /// Its ATT&CK technique.
    pub technique: Option<&'s str>,
    /// The file that it came from.
    pub file: &'s str,
    /// A correlation over several events.
    pub correlation: bool,
}

/// What one event matched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matched {
    /// Hits of rules that speak for themselves, in the set's order.
    pub hits: Vec<RuleHit>,
    /// What correlations want to know of it, if any does.
    pub correlation: Option<CorrelationInput>,
}

/// A set of rules, immutable and shared by all shards.
pub struct RuleSet {
    rules: Vec<Rule>,
    /// Rules of each log source, ascending.
    groups: Vec<Vec<u32>>,
    router: Router,
    pub(super) correlations: Arc<[LoadedCorrelation]>,
    /// Names of all fields that correlations read.
    pub(super) names: Arc<[Box<str>]>,
    fields: Vec<Field>,
}

impl std::fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RuleSet")
            .field("rules", &self.rules.len())
            .field("correlations", &self.correlations.len())
            .field("sources", &self.groups.len())
            .finish_non_exhaustive()
    }
}

impl RuleSet {
    /// Loads the shipped pack, if wanted, and files of name and YAML text. Whatever cannot be used
    /// is reported and skipped.
    pub fn load(pack: bool, files: &[(String, String)]) -> (Self, Vec<LoadProblem>) {
        let shipped = if pack { PACK } else { &[] };
        let given = files.iter().map(|(name, yaml)| (name.as_str(), yaml.as_str()));
        let Loaded { rules, correlations, problems } = load(shipped.iter().copied().chain(given));

        let (names, reads) = fields_of(&rules, &correlations);
        let fields = names.iter().map(|name| Field::parse(name)).collect();

        let mut by_source: BTreeMap<Source, Vec<u32>> = BTreeMap::new();
        for (place, rule) in rules.iter().enumerate() {
            by_source.entry(Source::of(&rule.compiled.logsource)).or_default().push(place as u32);
        }
        let (sources, groups) = by_source.into_iter().unzip();
        let rules = rules
            .into_iter()
            .zip(reads)
            .map(|(rule, reads)| Rule {
                gate: Gate::of(&rule.compiled),
                compiled: rule.compiled,
                template: rule.template,
                file: rule.file,
                emits: rule.emits,
                feeds: rule.feeds,
                reads,
            })
            .collect();
        let set = Self {
            rules,
            groups,
            router: Router::new(sources),
            correlations: correlations.into(),
            names: names.into(),
            fields,
        };
        (set, problems)
    }

    /// Rules and correlations, in the order in which they were loaded.
    pub fn rules(&self) -> impl Iterator<Item = RuleInfo<'_>> {
        let info = |template, file, correlation| {
            let Template { id, title, severity, technique }: &Template = template;
            let technique = technique.as_deref();
            RuleInfo { id, title, severity: *severity, technique, file, correlation }
        };
        let rules = self.rules.iter().map(move |r| info(&r.template, r.file.as_str(), false));
        let correlations = self.correlations.iter();
        rules.chain(correlations.map(move |c| info(&c.template, c.file.as_str(), true)))
    }

    /// Rules that an event of this kind is asked by: what routing leaves.
    pub fn routed(&self, event: &threat::Event) -> usize {
        self.router.route(event).iter().map(|&g| self.groups[usize::from(g)].len()).sum()
    }

    /// Hits of one event, without correlations.
    pub fn matches(&self, view: &EventView<'_>) -> Vec<RuleHit> {
        self.evaluate(view).hits
    }

    /// Hits of one event, and what correlations want to know of it.
    pub fn evaluate(&self, view: &EventView<'_>) -> Matched {
        let mut hits: Vec<(u32, RuleHit)> = Vec::new();
        let mut fed: Vec<u32> = Vec::new();
        for &group in self.router.route(view.event()) {
            for &place in &self.groups[usize::from(group)] {
                let rule = &self.rules[place as usize];
                if !rule.gate.admits(view) {
                    continue;
                }
                let Some(result) = evaluate_rule(&rule.compiled, view) else { continue };
                if rule.emits {
                    hits.push((place, rule.template.hit(matched_fields(&result), false)));
                }
                if rule.feeds {
                    fed.push(place);
                }
            }
        }
        hits.sort_by_key(|(place, _)| *place);
        let correlation = (!fed.is_empty()).then(|| self.input(view, fed));
        Matched { hits: hits.into_iter().map(|(_, hit)| hit).collect(), correlation }
    }

    fn input(&self, view: &EventView<'_>, mut rules: Vec<u32>) -> CorrelationInput {
        rules.sort_unstable();
        let mut places: Vec<u32> =
            rules.iter().flat_map(|&r| self.rules[r as usize].reads.iter().copied()).collect();
        places.sort_unstable();
        places.dedup();
        let fields = places
            .into_iter()
            .filter_map(|place| {
                let at = place as usize;
                let value = view.value(self.fields[at], &self.names[at])?;
                Some((place, FieldValue::of(&value)?))
            })
            .collect();
        CorrelationInput { time: view.event().time, rules, fields }
    }
}
