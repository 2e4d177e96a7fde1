//! From rule files to compiled rules: parsing, filters, and the order of correlations.
//!
//! What is wrong is reported by file and skipped; one bad rule never keeps the others from working.
//! Correlations are put in an order in which each comes after those it refers to, and their
//! references are resolved to places, whether a file names a rule by id, name or title.

use super::hit::Template;
use rsigma_eval::correlation::compile_correlation;
use rsigma_eval::{CompiledCorrelation, CompiledRule, Engine, GroupByField, compile_rule};
use rsigma_parser::{
    ConditionExpr, CorrelationCondition, CorrelationRule, FilterRule, SigmaRule, parse_sigma_yaml,
};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of one rule file: the largest public files hold a few hundred rules in under 1 MB, and a
/// parser must not be fed whatever lies in a folder.
pub const RULE_FILE_BYTES: usize = 4 << 20;

/// Rules in a set: some ten times the public SigmaHQ corpus.
pub const RULES: usize = 30_000;

/// Correlations in a set; every event that one counts is handed to one place.
pub const CORRELATIONS: usize = 4_096;

/// Something in a rule file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadProblem {
    /// The file's name.
    pub file: String,
    /// What is wrong, with the rule's title where it is known.
    pub reason: String,
}

/// A rule that compiled.
pub(super) struct LoadedRule {
    pub compiled: CompiledRule,
    pub template: Template,
    pub file: String,
    /// Its hits are shown. A rule that only feeds correlations is silent, as Sigma's `generate`
    /// asks for.
    pub emits: bool,
    /// Some correlation counts it.
    pub feeds: bool,
}

/// A correlation that compiled. Its `rule_refs` are keys as of [`rule_key`] and
/// [`correlation_key`].
#[derive(Debug)]
pub(super) struct LoadedCorrelation {
    pub compiled: CompiledCorrelation,
    pub template: Template,
    pub file: String,
    pub emits: bool,
}

/// Everything of a set of files.
#[derive(Default)]
pub(super) struct Loaded {
    pub rules: Vec<LoadedRule>,
    /// Each after those that it refers to.
    pub correlations: Vec<LoadedCorrelation>,
    pub problems: Vec<LoadProblem>,
}

/// How correlations call the rule at a place.
pub(super) fn rule_key(place: usize) -> String {
    format!("r{place}")
}

/// How correlations call the correlation at a place.
pub(super) fn correlation_key(place: usize) -> String {
    format!("c{place}")
}

/// Fields that a correlation reads of an event that `key` matched.
pub(super) fn fields_read<'c>(
    correlation: &'c CompiledCorrelation,
    key: &'c str,
) -> impl Iterator<Item = &'c str> {
    let group = correlation.group_by.iter().map(move |g| GroupByField::resolve(g, &[key]));
    let values = correlation.condition.field.iter().flatten().map(String::as_str);
    group.chain(values)
}

#[derive(Default)]
struct Parsed {
    rules: Vec<(SigmaRule, String)>,
    filters: Vec<(FilterRule, String)>,
    correlations: Vec<(CorrelationRule, String)>,
    problems: Vec<LoadProblem>,
}

impl Parsed {
    fn problem(&mut self, file: &str, reason: String) {
        self.problems.push(LoadProblem { file: file.to_owned(), reason });
    }

    fn file(&mut self, file: &str, yaml: &str, ids: &mut BTreeSet<String>) {
        if yaml.len() > RULE_FILE_BYTES {
            let reason = format!("{} bytes are over the limit of {RULE_FILE_BYTES}", yaml.len());
            return self.problem(file, reason);
        }
        let collection = match parse_sigma_yaml(yaml) {
            Ok(collection) => collection,
            Err(e) => return self.problem(file, e.to_string()),
        };
        for error in collection.errors {
            self.problem(file, error);
        }
        for rule in collection.rules {
            if self.rules.len() >= RULES {
                return self.problem(file, format!("over the limit of {RULES} rules"));
            }
            if let Err(e) = compile_rule(&rule) {
                self.problem(file, format!("{}: {e}", rule.title));
            } else if rule.id.as_ref().is_some_and(|id| !ids.insert(id.clone())) {
                self.problem(file, format!("{}: its id was used before", rule.title));
            } else {
                self.rules.push((rule, file.to_owned()));
            }
        }
        for correlation in collection.correlations {
            if self.correlations.len() >= CORRELATIONS {
                return self.problem(file, format!("over {CORRELATIONS} correlations"));
            }
            self.correlations.push((correlation, file.to_owned()));
        }
        self.filters.extend(collection.filters.into_iter().map(|f| (f, file.to_owned())));
    }

    /// Compiles the rules with their filters applied.
    fn compile(&mut self) -> Vec<LoadedRule> {
        let mut engine = Engine::new();
        // Every one of these compiled before.
        let failed = engine.add_rules(self.rules.iter().map(|(rule, _)| rule));
        debug_assert!(failed.is_empty());
        for (filter, file) in std::mem::take(&mut self.filters) {
            if let Err(e) = engine.apply_filter(&filter) {
                self.problem(&file, format!("{}: {e}", filter.title));
            }
        }
        engine
            .rules()
            .iter()
            .zip(&self.rules)
            .map(|(rule, (_, file))| LoadedRule {
                template: Template::new(rule.id.as_deref(), &rule.title, rule.level, &rule.tags),
                compiled: rule.clone(),
                file: file.clone(),
                emits: true,
                feeds: false,
            })
            .collect()
    }
}

/// Parses and compiles files, in their order.
pub(super) fn load<'f>(files: impl Iterator<Item = (&'f str, &'f str)>) -> Loaded {
    let mut parsed = Parsed::default();
    let mut ids = BTreeSet::new();
    for (file, yaml) in files {
        parsed.file(file, yaml, &mut ids);
    }
    let rules = parsed.compile();
    let mut names = BTreeMap::new();
    for (place, (rule, _)) in parsed.rules.iter().enumerate() {
        for name in [&rule.id, &rule.name, &Some(rule.title.clone())].into_iter().flatten() {
            names.entry(name.clone()).or_insert_with(|| rule_key(place));
        }
    }
    let mut loaded = Loaded { rules, correlations: Vec::new(), problems: parsed.problems };
    order_correlations(parsed.correlations, &mut names, &mut loaded);
    set_generation(&mut loaded);
    loaded
}

/// Places correlations until no further one has all its references.
fn order_correlations(
    mut pending: Vec<(CorrelationRule, String)>,
    names: &mut BTreeMap<String, String>,
    loaded: &mut Loaded,
) {
    loop {
        let before = pending.len();
        for (mut rule, file) in std::mem::take(&mut pending) {
            if rule.rules.iter().any(|r| !names.contains_key(r)) {
                pending.push((rule, file));
                continue;
            }
            let own_names = [rule.id.clone(), rule.name.clone(), Some(rule.title.clone())];
            resolve(&mut rule, names);
            match compile_correlation(&rule) {
                Err(e) => loaded
                    .problems
                    .push(LoadProblem { file, reason: format!("{}: {e}", rule.title) }),
                Ok(compiled) => {
                    let key = correlation_key(loaded.correlations.len());
                    for name in own_names.into_iter().flatten() {
                        names.entry(name).or_insert_with(|| key.clone());
                    }
                    let id = rule.id.as_deref();
                    let template = Template::new(id, &rule.title, rule.level, &rule.tags);
                    loaded.correlations.push(LoadedCorrelation {
                        compiled,
                        template,
                        file,
                        emits: true,
                    });
                }
            }
        }
        if pending.is_empty() || pending.len() == before {
            break;
        }
    }
    for (rule, file) in pending {
        let missing: Vec<_> = rule.rules.iter().filter(|r| !names.contains_key(*r)).collect();
        let reason = format!("{}: refers to unknown rules or to itself: {missing:?}", rule.title);
        loaded.problems.push(LoadProblem { file, reason });
    }
}

/// Replaces every reference of a correlation by its key.
fn resolve(rule: &mut CorrelationRule, names: &BTreeMap<String, String>) {
    for reference in &mut rule.rules {
        reference.clone_from(&names[reference.as_str()]);
    }
    for alias in &mut rule.aliases {
        let mapping = std::mem::take(&mut alias.mapping);
        alias.mapping = mapping
            .into_iter()
            .map(|(name, field)| (names.get(&name).cloned().unwrap_or(name), field))
            .collect();
    }
    if let CorrelationCondition::Extended(expr) = &mut rule.condition {
        resolve_expression(expr, names);
    }
}

fn resolve_expression(expr: &mut ConditionExpr, names: &BTreeMap<String, String>) {
    match expr {
        ConditionExpr::Identifier(name) => {
            if let Some(key) = names.get(name.as_str()) {
                name.clone_from(key);
            }
        }
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => {
            parts.iter_mut().for_each(|p| resolve_expression(p, names));
        }
        ConditionExpr::Not(inner) => resolve_expression(inner, names),
        ConditionExpr::Selector { .. } => {}
    }
}

/// What a correlation counts is silent unless some correlation of it says `generate: true`.
fn set_generation(loaded: &mut Loaded) {
    let mut generate: BTreeMap<String, bool> = BTreeMap::new();
    for correlation in &loaded.correlations {
        for key in &correlation.compiled.rule_refs {
            *generate.entry(key.clone()).or_default() |= correlation.compiled.generate;
        }
    }
    for (place, rule) in loaded.rules.iter_mut().enumerate() {
        if let Some(&shown) = generate.get(&rule_key(place)) {
            rule.feeds = true;
            rule.emits = shown;
        }
    }
    for (place, correlation) in loaded.correlations.iter_mut().enumerate() {
        if let Some(&shown) = generate.get(&correlation_key(place)) {
            correlation.emits = shown;
        }
    }
}
