use super::*;
use crate::library;

const SMALL: &str = r#"
format = 1
name = "small"
duration = "60s"
[topology]
regions = { eu = 3, us = 3 }
"#;

fn wrong(more: &str) -> String {
    Experiment::parse(&format!("{SMALL}{more}")).unwrap_err().to_string()
}

#[test]
fn every_experiment_of_the_library_reads_and_says_what_it_is_for() {
    for (name, text) in library::EXPERIMENTS {
        let experiment = Experiment::parse(text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(experiment.name, *name);
        assert!(!experiment.about.is_empty(), "{name} says nothing about itself");
        let again = toml::from_str::<Experiment>(text).unwrap();
        assert_eq!(experiment, again);
    }
}

#[test]
fn a_file_that_is_wrong_says_where_and_what_would_be_right() {
    let unknown = wrong("[[fault]]\nkind = \"kil\"\nat = \"1s\"");
    assert!(unknown.contains("line 8") && unknown.contains("power-cut"), "{unknown}");
    let field = wrong("[[fault]]\nkind = \"kill\"\nat = \"1s\"\ntarget = \"all\"\nfoo = 1");
    assert!(field.contains("unknown field `foo`"), "{field}");
    let when = wrong("[[fault]]\nkind = \"kill\"\ntarget = \"all\"");
    assert!(when.contains("one of `at`, `after` and `on`"), "{when}");
    let target = wrong("[[fault]]\nkind = \"kill\"\nat = \"1s\"\ntarget = \"node:eu-4\"");
    assert!(target.contains("no node `eu-4`"), "{target}");
    let time = wrong("[[fault]]\nkind = \"pause\"\nat = \"1x\"\nfor = \"1s\"\ntarget = \"all\"");
    assert!(time.contains("`1x` is not a time"), "{time}");
    let after = wrong("[[fault]]\nkind = \"kill\"\nafter = \"x\"\ntarget = \"all\"");
    assert!(after.contains("no fault `x`"), "{after}");
    let goal = wrong("[invariants]\nsometimes = [\"rain\"]");
    assert!(goal.contains("`rain` is no goal"), "{goal}");
    let bound = wrong("[invariants]\nliveness = { R1 = \"2s\" }");
    assert!(bound.contains("`R1` has no bound"), "{bound}");
}

#[test]
fn times_rates_and_targets_are_read_as_people_write_them() {
    assert_eq!(signed_micros("-1.5s"), Some(-1_500_000));
    assert_eq!(signed_micros("40ms"), Some(40_000));
    assert_eq!(signed_micros("fast"), None);
    let span: Span = "1ms..30ms".parse().unwrap();
    assert_eq!((span.from, span.to), (Duration::from_millis(1), Duration::from_millis(30)));
    assert_eq!(span.to_string(), "1ms..30ms");
    assert!("30ms..1ms".parse::<Span>().is_err());
    for text in ["node:eu-1", "region:us", "role:raft-leader", "role:owner:3", "any:2", "all"] {
        assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
    }
    assert!("percent:101".parse::<Target>().is_err());
}

#[test]
fn patterns_name_actors_by_their_place() {
    assert!(matches("detection/**/sequence", "detection/0/sequence"));
    assert!(matches("**", "detection/0/sequence"));
    assert!(matches("detection/*/forest", "detection/0/forest"));
    assert!(!matches("detection/*/forest", "detection/0/sequence"));
    assert!(!matches("detection/*", "detection/0/sequence"));
}

#[test]
fn voters_are_spread_over_regions_where_the_file_is_silent() {
    let topology = Experiment::parse(SMALL).unwrap().topology;
    assert_eq!(topology.votes(), [("eu".to_owned(), 3), ("us".to_owned(), 2)].into());
}
