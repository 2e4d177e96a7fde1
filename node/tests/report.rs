//! The page: hostile text stays text, sizes stay bounded, everything that was found is on it. And
//! the terminal summary against its golden files.
#![allow(missing_docs, dead_code, reason = "a test binary; the made-up reports serve others too")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use node::report::model::RunReport;
use node::report::{FULL_FINDINGS, page};
use node::summary::{Style, json, text};
use threat::{Ballot, Severity, ThreatClass, Timestamp};

fn golden(name: &str, got: &str) {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, got).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap();
    assert_eq!(got, want, "{name} differs; look at it, then UPDATE_GOLDEN=1");
}

/// A report in which every text from outside tries to run.
fn hostile() -> RunReport {
    const EVIL: &str =
        "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'\0\x1b[31m\u{202e}&amp;";
    let mut r = support::one();
    let mut t = support::threat("evil", ThreatClass::Anomaly, Severity::Critical, &[(EVIL, 5)]);
    t.entity = threat::entity::Entity::User(EVIL.into());
    t.technique = Some(EVIL.into());
    t.rules.add(EVIL, 1);
    t.labels.add(EVIL, 1);
    let mut e =
        support::example(&t, EVIL, Ballot::Voted { score: 1.0, tail: f32::NAN, threat: false });
    e.summary = EVIL.into();
    e.source = EVIL.into();
    e.verdict.rules[0].title = EVIL.into();
    e.verdict.rules[0].fields.push((EVIL.into(), EVIL.into()));
    e.contributions[0].feature = EVIL.into();
    e.contributions[0].observed = EVIL.into();
    e.contributions[1].value = Some(f32::INFINITY);
    r.examples.insert(t.id, vec![e]);
    r.threats.push(t);
    r.incidents = detection::incidents::group(&r.threats, 20);
    r.command.push(EVIL.into());
    r.sources[0].name = EVIL.into();
    r.sources[0].format = EVIL.into();
    r.sources[0].problems.push(EVIL.into());
    r.sources[0].quarantined.push(node::report::model::QuarantineExample {
        line: 1,
        reason: EVIL.into(),
        excerpt: EVIL.into(),
    });
    r.top_entities[0].entity = EVIL.into();
    r.accounts.push(detection::tally::AccountRisk {
        account: EVIL.into(),
        risk: f32::INFINITY,
        level: detection::tally::RiskLevel::Critical,
        first: r.started,
        at: r.finished,
        logons: 1,
        new_hosts: 1,
        new_sources: 1,
        odd_hours: 1,
        journeys: 1,
    });
    r.labelled =
        Some(std::iter::once((EVIL.into(), node::report::model::LabelReport::default())).collect());
    r.outputs.findings = Some(EVIL.into());
    r.overload.shed.insert(EVIL.into(), 3);
    r
}

#[test]
fn hostile_text_stays_text() {
    let r = hostile();
    let html = page(&r);
    assert_eq!(html.matches("<script").count(), 1, "our own and no other");
    assert_eq!(html.matches("</script").count(), 1);
    assert!(!html.contains("<img"));
    assert!(html.contains("&lt;script&gt;alert(1)"));
    assert!(html.contains("Accounts at risk") && html.contains("End its sessions"));
    let control = |c: char| c.is_control() && c != '\n' && c != '\t';
    assert!(!html.chars().any(|c| control(c) || c == '\u{202e}'));
    assert!(!html.contains("style=\""), "the policy forbids style attributes");
    let summary = text(&r, &Style { colour: false, width: 80 });
    assert!(!summary.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'));
}

#[test]
fn the_page_asks_for_nothing() {
    let html = page(&support::mixed());
    for part in [" src=", "<link", "@import", "url(", "fetch(", "<iframe", "<form"] {
        assert!(!html.contains(part), "{part}");
    }
    assert!(html.contains("default-src 'none'"));
    // Links to ATT&CK are for a person to follow.
    let out = html.matches("http").count();
    assert_eq!(
        out,
        html.matches("https://attack.mitre.org/techniques/").count()
            + html.matches("http-equiv").count()
    );
}

#[test]
fn ten_thousand_findings_stay_under_eight_megabytes_and_are_all_listed() {
    let r = support::many(10_000);
    let html = page(&r);
    assert!(html.len() < 8 << 20, "{}", html.len());
    let full = html.matches("<details class=\"finding\"").count();
    assert!((FULL_FINDINGS..=FULL_FINDINGS + 20).contains(&full));
    for t in &r.threats {
        assert!(html.contains(&format!("id=\"f-{}\"", &t.id.to_string()[..12])), "{}", t.id);
    }
    assert!(r.incidents.len() <= detection::incidents::MAX_INCIDENTS);
    for i in &r.incidents {
        assert!(html.contains(&*i.id));
    }
}

#[test]
fn equal_reports_are_equal_pages_and_survive_json() {
    let r = support::mixed();
    let back: RunReport = serde_json::from_str(&serde_json::to_string(&r).unwrap()).unwrap();
    assert_eq!(back, r);
    assert_eq!(page(&back), page(&r));
}

#[test]
fn tags_are_closed_in_order() {
    for r in
        [support::one(), support::mixed(), support::learning(), hostile(), RunReport::default()]
    {
        balanced(&page(&r));
    }
}

/// Every start tag has its end tag, nested; void elements aside.
fn balanced(html: &str) {
    const VOID: [&str; 4] = ["meta", "input", "br", "!DOCTYPE"];
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let inside = match open.last() {
            Some(raw @ (&"script" | &"style")) => {
                let end = rest.find(&format!("</{raw}>")).expect("raw text ends");
                rest = &rest[end..];
                continue_tag(rest)
            }
            _ => continue_tag(&rest[at..]),
        };
        let name = inside.trim_start_matches('/').split([' ', '>']).next().unwrap();
        if let Some(closed) = inside.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "in {inside}");
        } else if !VOID.contains(&name) {
            open.push(name);
        }
        let start = rest.find(inside).unwrap();
        rest = &rest[start + inside.len()..];
    }
    assert!(open.is_empty(), "{open:?}");
}

/// The text between `<` and `>` of the tag that `text` begins with.
fn continue_tag(text: &str) -> &str {
    &text[1..text.find('>').expect("a tag ends")]
}

#[test]
fn the_summary_reads_as_it_should() {
    let style = |width| Style { colour: false, width };
    golden("summary-80.txt", &text(&support::mixed(), &style(80)));
    golden("summary-120.txt", &text(&support::mixed(), &style(120)));
    golden("summary-learning.txt", &text(&support::learning(), &style(80)));
    for (width, golden) in [(80, support::mixed()), (120, support::mixed())] {
        let longest = text(&golden, &style(width)).lines().map(|l| l.chars().count()).max();
        assert!(longest.unwrap() <= width);
    }
}

#[test]
fn colour_is_only_there_when_asked_for() {
    let r = support::mixed();
    let plain = text(&r, &Style { colour: false, width: 100 });
    let painted = text(&r, &Style { colour: true, width: 100 });
    assert!(!plain.contains('\x1b') && painted.contains("\x1b[1;97;41mCRITICAL\x1b[0m"));
    let mut stripped = String::new();
    let mut inside = false;
    for c in painted.chars() {
        match c {
            '\x1b' => inside = true,
            'm' if inside => inside = false,
            _ if !inside => stripped.push(c),
            _ => {}
        }
    }
    assert_eq!(stripped, plain);
}

#[test]
fn scripts_get_the_same_in_json() {
    let r = support::mixed();
    let v = json(&r);
    assert_eq!(v["sentence"], r.sentence());
    assert_eq!(v["incidents"].as_array().unwrap().len(), r.incidents.len());
    assert_eq!(v["incidents"][0]["severity_id"], 5);
    let first = v["incidents"][0]["findings"][0].as_str().unwrap();
    assert!(r.threats.iter().any(|t| t.id.to_string() == first));
    assert_eq!(v["intake"]["quarantined"], 3);
    assert_eq!(v["first_event"]["time"], "2019-01-09T00:00:00Z");
}

#[test]
fn the_sentence_tells_what_there_is() {
    let mut r = RunReport::default();
    assert_eq!(r.sentence(), "No events were read, so nothing was judged");
    r.verdicts.total = 1;
    assert_eq!(r.sentence(), "Nothing suspicious in 1 event");
    assert_eq!(support::one().sentence(), "1 incident in 10,403 events, of high severity");
    r.first_event = Some(Timestamp::from_micros(123_400_000));
    r.last_event = Some(Timestamp::from_micros(150_000_000));
    assert!(page(&r).contains("Events from +123.4 s to +150.0 s."));
}
