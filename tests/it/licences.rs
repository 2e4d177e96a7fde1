//! Every crate that is built in has a licence of the list in `deny.toml`, which `cargo deny` reads
//! as well: here it is checked without that tool.

use crate::workspace::{Graph, text};
use std::collections::BTreeSet;

/// The licences that `deny.toml` allows.
fn allowed() -> BTreeSet<String> {
    let file = text("deny.toml");
    let (_, rest) = file.split_once("\nallow = [").expect("a list of licences");
    let (list, _) = rest.split_once(']').expect("its end");
    let lines = list.lines().map(|l| l.split('#').next().unwrap_or_default());
    lines.flat_map(|l| l.split(',')).map(|l| l.trim().trim_matches('"').to_owned()).collect()
}

/// Whether an SPDX expression can be met with allowed licences alone. `AND` binds more tightly than
/// `OR`; `/` is an old way to write `OR`.
fn fits(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let fits = either(&words, &mut at, allowed);
    fits && at == words.len()
}

fn either(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut fits = both(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        fits |= both(words, at, allowed);
    }
    fits
}

fn both(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut fits = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        fits &= one(words, at, allowed);
    }
    fits
}

fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let fits = either(words, at, allowed);
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return fits && closed;
    }
    if words.get(*at) == Some(&"WITH") {
        let exception = words.get(*at + 1).copied().unwrap_or_default();
        *at += 2;
        return allowed.contains(&format!("{word} WITH {exception}"));
    }
    allowed.contains(*word)
}

#[test]
fn every_crate_has_an_allowed_licence() {
    let allowed = allowed();
    let graph = Graph::read();
    let wrong: Vec<String> = graph
        .packages()
        .iter()
        .filter(|p| !p.license.as_deref().is_some_and(|l| fits(l, &allowed)))
        .map(|p| format!("{} {}: {}", p.name, p.version, p.license.as_deref().unwrap_or("none")))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(graph.packages().len() > 50, "the graph is not the whole one");
}

#[test]
fn expressions_mean_what_spdx_says() {
    let allowed = BTreeSet::from(["MIT", "Zlib", "A WITH E"].map(str::to_owned));
    for yes in
        ["MIT", "GPL-3.0 OR MIT", "MIT/GPL-3.0", "MIT AND Zlib", "A WITH E", "(X OR MIT) AND Zlib"]
    {
        assert!(fits(yes, &allowed), "{yes}");
    }
    for no in ["GPL-3.0", "MIT AND X", "A", "A WITH F", "X OR Zlib AND Y", "(MIT", "MIT MIT", ""] {
        assert!(!fits(no, &allowed), "{no}");
    }
}
