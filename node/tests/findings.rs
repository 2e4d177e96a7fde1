//! The OCSF form of a finding: its golden file, and the way back to what the voters saw.
#![allow(missing_docs, dead_code, reason = "a test binary; the made-up reports serve others too")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use node::findings::{Activity, finding, line, parse_finding_id, stored_examples};
use serde_json::Value;
use threat::threats::Indicators;
use threat::{Ballot, Severity, ThreatClass, Timestamp};

/// Compares with a golden file; `UPDATE_GOLDEN=1` rewrites it.
fn golden(name: &str, got: &str) {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, got).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap();
    assert_eq!(got, want, "{name} differs; look at it, then UPDATE_GOLDEN=1");
}

#[test]
fn a_finding_is_the_golden_ocsf_object() {
    let r = support::one();
    let t = &r.threats[0];
    let f = finding(t, &r.examples[&t.id], &r.version, Activity::Create);
    golden("finding.json", &format!("{}\n", serde_json::to_string_pretty(&f).unwrap()));
}

#[test]
fn what_ocsf_requires_is_there() {
    let r = support::mixed();
    for (t, activity) in
        r.threats.iter().zip([Activity::Create, Activity::Update, Activity::Close].iter().cycle())
    {
        let text = line(t, &r.examples[&t.id], &r.version, *activity);
        assert!(!text.contains('\n'));
        let f: Value = serde_json::from_str(&text).unwrap();
        let n = |p: &str| f.pointer(p).and_then(Value::as_u64).unwrap_or_else(|| panic!("{p}"));
        assert_eq!(n("/type_uid"), n("/class_uid") * 100 + n("/activity_id"));
        assert_eq!(n("/class_uid") / 1000, n("/category_uid"));
        assert!((1..=5).contains(&n("/severity_id")));
        assert!((1..=3).contains(&n("/confidence_id")) && n("/confidence_score") <= 100);
        assert!(n("/risk_score") <= 100);
        assert_eq!(n("/time"), t.last_seen.millis() as u64);
        assert_eq!(n("/finding_info/analytic/type_id"), 4);
        assert_eq!(f.pointer("/metadata/version").unwrap(), "1.8.0");
        assert_eq!(f.pointer("/finding_info/uid").unwrap().as_str().unwrap(), t.id.to_string());
        for p in ["/metadata/product/name", "/evidences/0/src_endpoint/ip", "/observables/0/value"]
        {
            assert!(f.pointer(p).is_some_and(Value::is_string), "{p}");
        }
        assert!(parse_finding_id(&text).unwrap().matches(t.id));
    }
}

#[test]
fn rules_alone_are_a_rule_analytic() {
    let mut t = support::threat(
        "192.168.1.9",
        ThreatClass::Signature,
        Severity::High,
        &[("10.0.0.1:80/tcp", 2)],
    );
    t.voters.clear();
    t.score = 0.0;
    let f = finding(&t, &[], "0.1.0", Activity::Create);
    assert_eq!(f["finding_info"]["analytic"]["type_id"], 1);
    assert_eq!(f["finding_info"]["analytic"]["name"], "Repeated contact to an uncommon port");
    assert_eq!(f["confidence_id"], 2);
    assert!(f.get("anomaly_analyses").is_none());
    assert!(f["finding_info"].get("attacks").is_none());
}

#[test]
fn a_written_finding_gives_back_the_very_bits_that_were_scored() {
    let t = support::threat(
        "192.168.1.9",
        ThreatClass::Scan,
        Severity::High,
        &[("10.0.0.1:80/tcp", 2)],
    );
    let mut e = support::example(
        &t,
        "raw \u{1b}[31m",
        Ballot::Voted { score: 0.1, tail: 1.0 / 3.0, threat: false },
    );
    let mut rng = threat::entropy::Rng::new(3);
    e.replay.numeric =
        (0..500).map(|_| f32::from_bits(rng.next_u64() as u32)).filter(|x| x.is_finite()).collect();
    e.replay.categories = (0..50).map(|_| rng.next_u64()).collect();
    e.time = Timestamp::from_micros(-7);
    let text = line(&t, std::slice::from_ref(&e), "0.1.0", Activity::Create);
    assert!(!text.contains('\u{1b}'));
    let back = stored_examples(&text).unwrap();
    assert_eq!(back.len(), 1);
    let replay = back[0].replay.inputs().unwrap();
    let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&replay.numeric), bits(&e.replay.numeric));
    assert_eq!(replay.categories, e.replay.categories);
    assert_eq!(back[0].votes, e.verdict.votes);
    assert_eq!(back[0].rules, e.verdict.rules);
    assert_eq!(u64::from_str_radix(&back[0].inputs, 16).unwrap(), e.verdict.inputs);
    assert_eq!(back[0].micros, -7);
    assert!(stored_examples("{}").unwrap().is_empty());
}

#[test]
fn accounts_and_names_find_their_ocsf_places() {
    let mut t =
        support::threat("192.168.1.9", ThreatClass::InsiderMisuse, Severity::Low, &[("root", 1)]);
    t.entity = threat::entity::Entity::User("eve".into());
    t.targets = Indicators::default();
    t.targets.add("LabSZ:22/tcp", 3);
    t.targets.add("root", 1);
    let f = finding(&t, &[], "0.1.0", Activity::Create);
    let observables = f["observables"].as_array().unwrap();
    let kinds: Vec<_> = observables.iter().map(|o| o["type_id"].as_u64().unwrap()).collect();
    assert_eq!(kinds, [4, 1, 99]);
    assert_eq!(f["resources"][0]["name"], "eve");
    assert_eq!(f["resources"][1]["name"], "LabSZ");
}
