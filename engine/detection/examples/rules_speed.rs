//! How long rules take per event: `cargo run --release -p detection --example rules_speed [rules]`,
//! where `rules` is a folder of Sigma files to load besides the pack.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement reads files and a clock, and ends at the first error"
)]

use detection::rules::{EventView, RuleSet, WindowField, WindowValues};
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;
use threat::event::{ConnState, Flow, Origin, Protocol, Value};
use threat::{Body, Endpoint, Event, Host, Timestamp};

fn rule_files(folder: &Path, out: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder of rules") {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rule_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "yml") {
            out.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

fn flow() -> Event {
    let flow = Flow {
        protocol: Protocol::Tcp,
        service: Some("ssl".into()),
        state: ConnState::SF,
        duration: Some(1.13),
        orig_bytes: Some(1_596),
        resp_bytes: Some(4_039),
        ..Flow::default()
    };
    let mut e = Event::new(Timestamp::default(), Origin::new("zeek", "conn"), Body::Flow(flow));
    e.src = Some(Endpoint { host: Host::parse("192.168.1.9"), port: Some(62_771) });
    e.dst = Some(Endpoint { host: Host::parse("198.51.100.7"), port: Some(443) });
    e
}

fn process() -> Event {
    let origin = Origin::new("windows", "sysmon");
    let mut e = Event::new(Timestamp::default(), origin, Body::Generic);
    let text = |s: &str| Value::Text(s.into());
    e.extra = vec![
        ("EventID".into(), Value::Int(1)),
        ("Channel".into(), text("Microsoft-Windows-Sysmon/Operational")),
        ("UtcTime".into(), text("2026-01-01 00:00:00.000")),
        ("ProcessId".into(), text("4312")),
        ("Image".into(), text(r"C:\Program Files\Mozilla Firefox\firefox.exe")),
        ("Description".into(), text("Firefox")),
        ("Product".into(), text("Firefox")),
        ("Company".into(), text("Mozilla Corporation")),
        ("OriginalFileName".into(), text("firefox.exe")),
        (
            "CommandLine".into(),
            text(r#""C:\Program Files\Mozilla Firefox\firefox.exe" -contentproc"#),
        ),
        ("CurrentDirectory".into(), text(r"C:\Program Files\Mozilla Firefox\")),
        ("User".into(), text(r"LAB\alice")),
        ("IntegrityLevel".into(), text("Medium")),
        ("ParentImage".into(), text(r"C:\Program Files\Mozilla Firefox\firefox.exe")),
        ("ParentCommandLine".into(), text(r#""C:\Program Files\Mozilla Firefox\firefox.exe""#)),
    ];
    e
}

fn measure(name: &str, set: &RuleSet, event: &Event, rounds: u32) {
    let mut window = WindowValues::default();
    window.set(WindowField::SrcHosts1m, 12.0);
    window.set(WindowField::PairCount, 3.0);
    let mut best = f64::INFINITY;
    let mut hits = 0;
    for _ in 0..5 {
        let start = Instant::now();
        for _ in 0..rounds {
            let view = EventView::new(black_box(event), &window, b"");
            hits = black_box(set.matches(&view)).len();
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds));
    }
    println!("{name}: {best:.0} ns/event, {} rules routed, {hits} hits", set.routed(event));
}

/// The rule engine's own ways through the rules for Windows processes, for comparison.
fn measure_engine(files: &[(String, String)], event: &Event, bloom: bool) {
    let mut engine = rsigma_eval::Engine::new();
    let rules: Vec<_> = files
        .iter()
        .flat_map(|(_, yaml)| rsigma_parser::parse_sigma_yaml(yaml).unwrap().rules)
        .filter(|r| {
            r.logsource.category.as_deref() == Some("process_creation")
                && r.logsource.product.as_deref() == Some("windows")
        })
        .collect();
    engine.set_bloom_prefilter(bloom);
    assert!(engine.add_rules(&rules).is_empty());
    let window = WindowValues::default();
    let start = Instant::now();
    for _ in 0..100 {
        let view = EventView::new(black_box(event), &window, b"");
        black_box(engine.evaluate(&view));
    }
    let nanos = start.elapsed().as_secs_f64() * 1e7;
    println!("process, engine alone, bloom {bloom}: {nanos:.0} ns/event, {} rules", rules.len());
}

fn main() {
    let (pack, problems) = RuleSet::load(true, &[]);
    assert!(problems.is_empty(), "{problems:?}");
    measure("flow, pack", &pack, &flow(), 200_000);
    let Some(folder) = std::env::args().nth(1) else { return };
    let mut files = Vec::new();
    rule_files(Path::new(&folder), &mut files);
    let start = Instant::now();
    let (all, problems) = RuleSet::load(true, &files);
    println!(
        "{} rules loaded in {:.0} ms, {} problems",
        all.rules().count(),
        start.elapsed().as_secs_f64() * 1e3,
        problems.len()
    );
    measure("flow, pack and folder", &all, &flow(), 200_000);
    measure("process, pack and folder", &all, &process(), 500);
    for bloom in [false, true] {
        measure_engine(&files, &process(), bloom);
    }
}
