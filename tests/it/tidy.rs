//! How files look. Formatting, the length of functions, missing documentation, `unwrap` and the
//! engine's forbidden calls are rustfmt's and clippy's; here is what those cannot see.

use crate::workspace::{Graph, files, sources, text};

/// Lines of a file, at most: what a reader keeps in mind.
const LINES: usize = 400;

/// Columns of a line, at most; rustfmt leaves comments and strings alone.
const COLUMNS: usize = 100;

/// Files that may be longer, with the reason. None is.
const LONGER: &[(&str, &str)] = &[];

/// Places of one machine, of one person's work, or of a service that code must not name. Each is
/// written in two parts, so that this file does not name it either.
const FOREIGN: &[(&str, &str)] = &[
    ("/wo", "rk/"),
    ("/tm", "p/"),
    ("/ro", "ot/"),
    ("/ho", "me/"),
    ("/Us", "ers/"),
    ("C:\\\\Us", "ers"),
    ("sub", "agent"),
    ("work", "tree"),
    ("this se", "ssion"),
    ("previous se", "ssion"),
    ("index.cra", "tes.io"),
    ("static.cra", "tes.io"),
    ("local", "host:"),
    ("TO", "DO"),
    ("FIX", "ME"),
    ("X", "XX"),
];

/// Files that may hold such a word, with the reason.
const MAY_NAME: &[(&str, &str, &str)] = &[
    ("tests/it/tidy.rs", "/home/", "the entries of this very list"),
    (
        "simulations/src/traffic/writers/auth_log.rs",
        "/home/",
        "a working directory in sudo's record",
    ),
    ("simulations/tests/golden/auth.log", "/home/", "a working directory in sudo's record"),
    ("simulations/tests/golden/auth-5424.log", "/home/", "a working directory in sudo's record"),
];

/// Calls that touch the host, which `src` and `node/src/host` alone may make.
const HOST: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    "std::env::",
    "std::fs::",
    "File::open",
    "File::create",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "thread::sleep",
];

/// Files elsewhere that touch the host, with the reason.
const TOUCHES_HOST: &[(&str, &str)] = &[
    ("store/src/file.rs", "opens, locks and replaces the database's file"),
    ("store/src/journal.rs", "opens the journal's file"),
    ("cluster/src/consensus/network.rs", "tokio's clock, which simulations pause"),
    ("cluster/src/consensus/node.rs", "tokio's clock, which simulations pause"),
    ("cluster/src/consensus/standing.rs", "tokio's clock, which simulations pause"),
    ("cluster/src/control.rs", "tokio's clock, which simulations pause"),
    ("cluster/src/coordinator/clock.rs", "tokio's clock, which simulations pause"),
    ("cluster/src/fabric/dial.rs", "tokio's clock, which simulations pause"),
    ("cluster/src/fabric/listen.rs", "tokio's clock, which simulations pause"),
    ("cluster/src/fabric/writer.rs", "tokio's clock, which simulations pause"),
    ("cluster/src/member.rs", "tokio's clock, which simulations pause"),
    ("cluster/src/member/standing.rs", "tokio's clock, which simulations pause"),
    ("cluster/src/replication.rs", "tokio's clock, which simulations pause"),
    ("cluster/src/replication/answers.rs", "tokio's clock, which simulations pause"),
    ("cluster/src/replication/fold.rs", "tokio's clock, which simulations pause"),
    ("cluster/src/replication/gossip.rs", "tokio's clock, which simulations pause"),
    ("simulations/src/bench.rs", "a measurement paces its load by the clock"),
    ("simulations/src/experiment/stop.rs", "reads how much memory is left, and how long it took"),
    ("simulations/src/in_process/clients.rs", "tokio's clock, which the world steps"),
    ("simulations/src/in_process/trust.rs", "certificates are believed by the host's clock"),
    ("simulations/src/in_process/net.rs", "tokio's clock, which the world steps"),
    ("simulations/src/processes/cluster.rs", "real nodes have real files"),
    ("simulations/src/processes/disk.rs", "file systems whose power is cut"),
    ("simulations/src/processes/emulator.rs", "packets are carried in real time"),
    ("simulations/src/processes/faults.rs", "a clock is shifted by a file"),
    ("simulations/src/processes/harness.rs", "faults come at real times"),
    ("simulations/src/processes/node.rs", "processes and their logs"),
    ("simulations/src/processes/probe.rs", "tries what the host can do"),
    ("simulations/src/processes/seen.rs", "a journal of what happens in real time"),
    ("simulations/src/processes/sys.rs", "sets up a network"),
    ("simulations/src/processes/watch.rs", "reads the memory of processes"),
    ("simulations/src/processes.rs", "measures how long it takes to set up"),
];

/// Engine files that use a hash map, with the reason that its order has no effect.
const HASHES: &[(&str, &str)] = &[
    ("engine/detection/src/features/table.rs", "hashed by a fixed function, never iterated"),
    ("engine/detection/src/rules/gate.rs", "the rule crate's own map, looked up by name"),
];

fn told(wrong: &[String]) {
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Not shipped: tests, examples and the tests of the house.
fn is_test(path: &str) -> bool {
    path.starts_with("tests/")
        || path.contains("/tests/")
        || path.contains("/examples/")
        || path.ends_with("tests.rs")
}

/// The part of a file before its unit tests.
fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default()
}

#[test]
fn files_are_short() {
    let long = |(path, text): &(String, String)| {
        let lines = text.lines().count();
        let fits = lines <= LINES || LONGER.iter().any(|(p, _)| p == path);
        (!fits).then(|| format!("{path}: {lines} lines"))
    };
    told(&sources().iter().filter_map(long).collect::<Vec<_>>());
}

#[test]
fn lines_are_short_and_end_cleanly() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        for (n, line) in text.lines().enumerate() {
            if line.chars().count() > COLUMNS {
                wrong.push(format!("{path}:{}: {} columns", n + 1, line.chars().count()));
            }
            if line.ends_with(char::is_whitespace) || line.contains('\t') {
                wrong.push(format!("{path}:{}: a tab, or white space at the end", n + 1));
            }
        }
        if !text.ends_with('\n') || text.ends_with("\n\n") {
            wrong.push(format!("{path}: does not end with one line end"));
        }
    }
    told(&wrong);
}

#[test]
fn every_module_says_what_it_is() {
    let silent = |(path, text): (String, String)| {
        let unit_tests = path.ends_with("/tests.rs") || path.ends_with("_tests.rs");
        (!unit_tests && !text.starts_with("//! ")).then_some(path)
    };
    told(&sources().into_iter().filter_map(silent).collect::<Vec<_>>());
}

#[test]
fn files_speak_of_the_project_alone() {
    let kinds = [".rs", ".toml", ".md", ".yml", ".js", ".css", ".log", ".txt", "/run"];
    let mut wrong = Vec::new();
    for path in files().into_iter().filter(|f| kinds.iter().any(|k| f.ends_with(k))) {
        let text = text(&path);
        for (a, b) in FOREIGN {
            let word = format!("{a}{b}");
            let excused = MAY_NAME.iter().any(|(p, w, _)| *p == path && *w == word);
            let line = text.lines().position(|l| l.contains(&word));
            if let (Some(line), false) = (line, excused) {
                wrong.push(format!("{path}:{}: {word}", line + 1));
            }
        }
    }
    told(&wrong);
}

#[test]
fn a_silenced_lint_has_its_reason() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        for open in ["#[allow(", "#![allow(", "#[expect(", "#![expect("] {
            for (at, _) in text.match_indices(open) {
                let attribute = text[at..].split(")]").next().unwrap_or_default();
                // In a comment or a string it is no attribute.
                let starts = text[..at].lines().last().is_none_or(|l| l.trim().is_empty());
                let line = text[..at].lines().count();
                if (starts || text[..at].ends_with('\n')) && !attribute.contains("reason") {
                    wrong.push(format!("{path}:{}: {open}", line + 1));
                }
            }
        }
    }
    told(&wrong);
}

#[test]
fn every_member_has_the_lints_of_the_workspace() {
    let root = text("Cargo.toml");
    for lint in ["missing_docs", "unsafe_code", "unwrap_used", "expect_used", "too_many_lines"] {
        assert!(root.contains(&format!("\n{lint} = ")), "the workspace does not set {lint}");
    }
    let lines = text("clippy.toml") + &text("engine/clippy.toml");
    assert_eq!(lines.matches("too-many-lines-threshold = 70\n").count(), 2);
    for (name, package) in Graph::read().members() {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{name} has lints of its own");
    }
}

#[test]
fn the_host_is_touched_in_its_place_alone() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let may = path.starts_with("src/") || path.starts_with("node/src/host/") || is_test(&path);
        let excused = TOUCHES_HOST.iter().any(|(p, _)| *p == path);
        let calls = HOST.iter().filter(|call| shipped(&text).contains(**call));
        match (may, excused) {
            (true, _) => {}
            (false, true) => assert!(calls.count() > 0, "{path} needs no excuse any more"),
            (false, false) => wrong.extend(calls.map(|call| format!("{path}: {call}"))),
        }
    }
    told(&wrong);
}

#[test]
fn the_order_of_hash_maps_has_no_effect() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let hashes = shipped(&text).contains("HashMap") || shipped(&text).contains("HashSet");
        let excused = HASHES.iter().any(|(p, _)| *p == path);
        if path.starts_with("engine/") && !is_test(&path) && hashes && !excused {
            wrong.push(path);
        }
    }
    told(&wrong);
}
