//! Necessary conditions of a rule, checked before the rule engine is asked.
//!
//! A gate is built from the compiled rule and only ever over-approximates: when it says no, the rule
//! cannot match. It allocates nothing (the engine lower-cases text per comparison) and looks names up
//! once, at load. Negations, keywords, regular expressions and arrays are left to the engine.

use super::event_view::EventView;
use super::field::Field;
use rsigma_eval::EventValue;
use rsigma_eval::{CompiledDetection, CompiledDetectionItem, CompiledMatcher, CompiledRule};
use rsigma_parser::{ConditionExpr, Quantifier};
use std::collections::HashMap;

/// Longer lists of substrings are left to the engine's automaton, which reads the text once.
const GATE_NEEDLES: usize = 12;

/// A necessary condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Gate {
    /// Nothing is known.
    Pass,
    /// All of these.
    All(Vec<Gate>),
    /// At least one of these.
    Any(Vec<Gate>),
    /// A check of one field.
    Test { field: Field, path: Box<str>, check: Check },
}

/// What the value of a field must be. Text is compared without regard to ASCII case.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Check {
    /// Anything, but there.
    Present,
    /// This text.
    Equals(Box<str>),
    /// Text with this start.
    StartsWith(Box<str>),
    /// Text with this end.
    EndsWith(Box<str>),
    /// Text with this in it.
    Contains(Box<str>),
    /// A number of at least, or more than this.
    AtLeast(f64),
    /// A number of at most, or less than this.
    AtMost(f64),
    /// This number.
    Is(f64),
    /// This truth value.
    Bool(bool),
}

impl Gate {
    /// The gate of a rule: any of its conditions.
    pub fn of(rule: &CompiledRule) -> Self {
        any(rule.conditions.iter().map(|c| of_condition(c, &rule.detections)).collect())
    }

    /// Whether the rule may match; `false` is certain.
    pub fn admits(&self, view: &EventView<'_>) -> bool {
        match self {
            Self::Pass => true,
            Self::All(gates) => gates.iter().all(|g| g.admits(view)),
            Self::Any(gates) => gates.iter().any(|g| g.admits(view)),
            Self::Test { field, path, check } => {
                if let Field::Window(window) = field {
                    return check.admits_number(f64::from(view.window(*window)));
                }
                view.value(*field, path).is_some_and(|value| check.admits(&value))
            }
        }
    }

    /// What is cheap to ask comes first.
    fn cost(&self) -> u32 {
        match self {
            Self::Pass => 0,
            Self::Test { field: Field::Window(_), .. } => 1,
            Self::Test { field: Field::Typed(_), .. } => 2,
            Self::Test { field: Field::Other, .. } => 3,
            Self::All(gates) | Self::Any(gates) => gates.iter().map(Self::cost).sum::<u32>() + 1,
        }
    }
}

impl Check {
    fn admits(&self, value: &EventValue<'_>) -> bool {
        match value {
            EventValue::Str(s) => self.admits_text(s),
            EventValue::Int(n) => self.admits_number(*n as f64),
            EventValue::Float(f) => self.admits_number(*f),
            EventValue::Bool(b) => match self {
                Self::Bool(expected) => b == expected,
                Self::AtLeast(_) | Self::AtMost(_) | Self::Is(_) => false,
                _ => true,
            },
            EventValue::Null => matches!(self, Self::Present),
            EventValue::Array(_) | EventValue::Map(_) => true,
        }
    }

    /// Text patterns over numbers are rare: they pass, and the engine decides.
    fn admits_number(&self, n: f64) -> bool {
        match self {
            Self::AtLeast(limit) => n >= *limit,
            Self::AtMost(limit) => n <= *limit,
            Self::Is(expected) => (n - expected).abs() < 1e-6,
            Self::Bool(_) => false,
            _ => true,
        }
    }

    fn admits_text(&self, text: &str) -> bool {
        // Lower-casing can turn other letters into ASCII ones: such text is the engine's.
        let plain = |holds: fn(&[u8], &[u8]) -> bool, needle: &str| {
            !text.is_ascii() || holds(text.as_bytes(), needle.as_bytes())
        };
        match self {
            Self::Present | Self::Bool(_) => true,
            Self::Equals(v) => plain(<[u8]>::eq_ignore_ascii_case, v),
            Self::StartsWith(v) => plain(starts_with, v),
            Self::EndsWith(v) => plain(ends_with, v),
            Self::Contains(v) => plain(contains, v),
            Self::AtLeast(_) | Self::AtMost(_) | Self::Is(_) => {
                text.parse().is_ok_and(|n| self.admits_number(n))
            }
        }
    }
}

fn starts_with(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len()).is_some_and(|t| t.eq_ignore_ascii_case(start))
}

fn ends_with(text: &[u8], end: &[u8]) -> bool {
    text.len().checked_sub(end.len()).is_some_and(|at| text[at..].eq_ignore_ascii_case(end))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    let Some(first) = part.first().map(u8::to_ascii_lowercase) else { return true };
    text.windows(part.len())
        .any(|w| w[0].to_ascii_lowercase() == first && w.eq_ignore_ascii_case(part))
}

/// All of `gates`, cheapest first, without those that say nothing.
fn all(gates: Vec<Gate>) -> Gate {
    let mut kept: Vec<Gate> = gates.into_iter().filter(|g| *g != Gate::Pass).collect();
    kept.sort_by_key(Gate::cost);
    match kept.len() {
        0 => Gate::Pass,
        1 => kept.swap_remove(0),
        _ => Gate::All(kept),
    }
}

/// Any of `gates`; one that says nothing makes the whole say nothing. None at all cannot match, but
/// that too is left to the engine.
fn any(mut gates: Vec<Gate>) -> Gate {
    match gates.len() {
        _ if gates.contains(&Gate::Pass) => Gate::Pass,
        0 => Gate::Pass,
        1 => gates.swap_remove(0),
        _ => {
            gates.sort_by_key(Gate::cost);
            Gate::Any(gates)
        }
    }
}

fn of_condition(expr: &ConditionExpr, named: &HashMap<String, CompiledDetection>) -> Gate {
    match expr {
        ConditionExpr::Identifier(name) => named.get(name).map_or(Gate::Pass, of_detection),
        ConditionExpr::And(parts) => all(parts.iter().map(|p| of_condition(p, named)).collect()),
        ConditionExpr::Or(parts) => any(parts.iter().map(|p| of_condition(p, named)).collect()),
        ConditionExpr::Not(_) => Gate::Pass,
        ConditionExpr::Selector { quantifier, pattern } => {
            // Sorted, so that equal rules get equal gates.
            let mut names: Vec<&String> =
                named.keys().filter(|name| pattern.matches_detection_name(name)).collect();
            names.sort_unstable();
            let gates = names.into_iter().map(|n| of_detection(&named[n])).collect();
            match quantifier {
                Quantifier::All => all(gates),
                Quantifier::Count(0) => Gate::Pass,
                _ => any(gates),
            }
        }
    }
}

fn of_detection(detection: &CompiledDetection) -> Gate {
    match detection {
        CompiledDetection::AllOf(items) => all(items.iter().map(of_item).collect()),
        CompiledDetection::AnyOf(parts) => any(parts.iter().map(of_detection).collect()),
        CompiledDetection::And(parts) => all(parts.iter().map(of_detection).collect()),
        CompiledDetection::Keywords(_)
        | CompiledDetection::ArrayMatch { .. }
        | CompiledDetection::Conditional { .. } => Gate::Pass,
    }
}

fn of_item(item: &CompiledDetectionItem) -> Gate {
    let Some(path) = &item.field else { return Gate::Pass };
    match item.exists {
        Some(true) => return test(path, Check::Present),
        Some(false) => return Gate::Pass,
        None => {}
    }
    // An absent field matches `null` and nothing else.
    if matches!(item.matcher, CompiledMatcher::Null) {
        return Gate::Pass;
    }
    of_matcher(path, &item.matcher)
}

fn test(path: &str, check: Check) -> Gate {
    Gate::Test { field: Field::parse(path), path: path.into(), check }
}

/// What a matcher demands of a value that is there.
fn of_matcher(path: &str, matcher: &CompiledMatcher) -> Gate {
    let text = |value: &str, check: fn(Box<str>) -> Check| {
        test(path, if value.is_ascii() { check(value.into()) } else { Check::Present })
    };
    let each = |children: &[CompiledMatcher]| {
        children.iter().map(|c| of_matcher(path, c)).collect::<Vec<_>>()
    };
    match matcher {
        CompiledMatcher::Exact { value, .. } => text(value, Check::Equals),
        CompiledMatcher::StartsWith { value, .. } => text(value, Check::StartsWith),
        CompiledMatcher::EndsWith { value, .. } => text(value, Check::EndsWith),
        CompiledMatcher::Contains { value, .. } => text(value, Check::Contains),
        CompiledMatcher::AhoCorasickSet { needles, .. } if needles.len() <= GATE_NEEDLES => {
            any(needles.iter().map(|n| text(n, Check::Contains)).collect())
        }
        CompiledMatcher::NumericEq(n) => test(path, Check::Is(*n)),
        CompiledMatcher::NumericGt(n) | CompiledMatcher::NumericGte(n) => {
            test(path, Check::AtLeast(*n))
        }
        CompiledMatcher::NumericLt(n) | CompiledMatcher::NumericLte(n) => {
            test(path, Check::AtMost(*n))
        }
        CompiledMatcher::BoolEq(b) => test(path, Check::Bool(*b)),
        CompiledMatcher::AnyOf(children) => any(each(children)),
        CompiledMatcher::AllOf(children) => all(each(children)),
        CompiledMatcher::CaseInsensitiveGroup { children, mode } => match mode {
            rsigma_eval::matcher::GroupMode::Any => any(each(children)),
            rsigma_eval::matcher::GroupMode::All => all(each(children)),
        },
        _ => test(path, Check::Present),
    }
}
