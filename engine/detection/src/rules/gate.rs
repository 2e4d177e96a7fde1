//! Necessary conditions of a rule, checked before the rule engine is asked.
//!
//! A gate is built from the compiled rule and only ever over-approximates: when it says no, the
//! rule cannot match. It allocates nothing (the engine lower-cases text per comparison) and looks
//! names up once, at load: over the public rules for Windows processes this is several times faster
//! than the engine's own index, with or without its bloom filter (`examples/rules_speed.rs`), which
//! is therefore not used. Negations, keywords, regular expressions and arrays are left to the
//! engine.

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{WindowField, WindowValues};
    use proptest::prelude::*;
    use rsigma_eval::{compile_rule, evaluate_rule};
    use threat::event::{Http, Origin, Value};
    use threat::{Body, Event, Timestamp};

    const FIELDS: [&str; 5] = ["Image", "user_agent", "n", "window.pair.count", "flag"];
    const MODIFIERS: [&str; 12] = [
        "",
        "|contains",
        "|startswith",
        "|endswith",
        "|gte",
        "|lt",
        "|re",
        "|cased",
        "|exists",
        "|contains|all",
        "|neq",
        "|gt",
    ];
    const VALUES: [&str; 10] =
        ["a", "AB", "7", "true", "k", "''", "null", "'7*'", "[a, B, '7']", "[x, ab, b, a, '1', z]"];
    const CONDITIONS: [&str; 8] = [
        "s and t",
        "s or t",
        "s and not t",
        "not s",
        "1 of them",
        "all of them",
        "s",
        "t or not s",
    ];
    const TEXTS: [&str; 8] = ["a", "Ab", "xAbY", "7", "\u{212a}", "true", "", "7b"];

    fn rule(items: &[(usize, usize, usize)], condition: usize) -> Option<CompiledRule> {
        let mut yaml = "title: t\nlogsource: {category: x}\ndetection:\n".to_owned();
        for (name, part) in ["s", "t"].iter().zip(items.chunks(items.len().div_ceil(2))) {
            yaml += &format!("  {name}:\n");
            for (f, m, v) in part {
                // A list of maps in one, a map in the other.
                let lead = if *name == "s" { "    - " } else { "    " };
                yaml += &format!("{lead}{}{}: {}\n", FIELDS[*f], MODIFIERS[*m], VALUES[*v]);
            }
        }
        yaml += &format!("  condition: {}\n", CONDITIONS[condition]);
        let parsed = rsigma_parser::parse_sigma_yaml(&yaml).ok()?;
        compile_rule(parsed.rules.first()?).ok()
    }

    fn event(texts: &[usize; 2], number: Option<i64>, flag: u8) -> Event {
        let agent = Some(TEXTS[texts[0]].into());
        let http = Http { user_agent: agent, ..Http::default() };
        let body = Body::Http(Box::new(http));
        let mut e = Event::new(Timestamp::default(), Origin::new("zeek", "http"), body);
        e.extra.push(("Image".into(), Value::Text(TEXTS[texts[1]].into())));
        e.extra.extend(number.map(|n| ("n".into(), Value::Int(n))));
        let text = Value::Text("ab".into());
        e.extra.extend(match flag {
            0 => None,
            1 => Some(("flag".into(), Value::Bool(true))),
            2 => Some(("flag".into(), Value::Null)),
            _ => Some(("flag".into(), Value::List(vec![text, Value::Int(7)]))),
        });
        e
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        /// A gate never keeps a rule from matching.
        #[test]
        fn what_a_gate_refuses_cannot_match(
            items in prop::collection::vec((0..5usize, 0..12usize, 0..10usize), 2..6),
            condition in 0..8usize,
            texts in [0..8usize, 0..8usize],
            number in prop::option::of(0..9i64),
            flag in 0..4u8,
            count in 0..9u8,
        ) {
            let Some(rule) = rule(&items, condition) else { return Ok(()) };
            let event = event(&texts, number, flag);
            let mut window = WindowValues::default();
            window.set(WindowField::PairCount, f32::from(count));
            let view = EventView::new(&event, &window, &[]);
            let gate = Gate::of(&rule);
            if evaluate_rule(&rule, &view).is_some() {
                prop_assert!(gate.admits(&view), "{gate:?} {:?}", rule.detections);
            }
        }
    }

    #[test]
    fn gates_tell() {
        // The window test comes first, whatever the rule's order.
        let yaml = "title: t\nlogsource: {category: x}\ndetection:\n  s:\n    Image: a\n    \
                    window.pair.count|gte: 5\n  condition: s and not s\n";
        let parsed = rsigma_parser::parse_sigma_yaml(yaml).unwrap();
        let gate = Gate::of(&compile_rule(&parsed.rules[0]).unwrap());
        let Gate::All(parts) = &gate else { panic!("{gate:?}") };
        assert!(matches!(parts[0], Gate::Test { field: Field::Window(_), .. }));
        let event = event(&[0, 0], None, 0);
        assert!(!gate.admits(&EventView::new(&event, &WindowValues::default(), &[])));
    }
}
