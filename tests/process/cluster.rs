//! Nodes as processes: they agree, survive kill -9 of their leader, and go on after an end of all.

use crate::command::{signal, watchfire};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

pub const LONG: Duration = Duration::from_secs(60);

pub fn run(at: &Path, arguments: &[&str]) -> Output {
    watchfire(at).args(arguments).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command of an operator; what it says, if it succeeds.
fn cluster(at: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut all = vec!["cluster"];
    all.extend(arguments);
    let output = run(at, &all);
    let said = text(&output.stdout);
    if output.status.success() { Ok(said) } else { Err(said + &text(&output.stderr)) }
}

pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(since.elapsed() < LONG, "not within {LONG:?}: {what}");
        sleep(Duration::from_millis(50));
    }
}

/// Three ports after one another that are free now. Tests that run at once look in different
/// thousands.
pub fn ports(thousand: u16) -> u16 {
    let first = thousand * 1_000 + (std::process::id() % 300) as u16 * 3;
    let free = |p: u16| TcpListener::bind(("127.0.0.1", p)).is_ok();
    let found = (first..first + 999).step_by(3).find(|p| (*p..p + 3).all(free));
    found.expect("there are no three free ports")
}

/// A cluster of processes, ended with the test whatever becomes of it.
pub struct Up {
    pub child: Child,
}

impl Up {
    pub fn start(at: &Path, port: u16, more: &[&str]) -> Self {
        let out = File::create(at.join("up.out")).unwrap();
        let error = out.try_clone().unwrap();
        let child = watchfire(at)
            .args(["up", "--port", &port.to_string()])
            .args(more)
            .stdout(out)
            .stderr(error)
            .spawn()
            .unwrap();
        let mut up = Self { child };
        until("ready", || {
            let mut said = String::new();
            File::open(at.join("up.out")).unwrap().read_to_string(&mut said).unwrap();
            assert!(up.child.try_wait().unwrap().is_none(), "it ended: {said}");
            said.contains("ready.").then_some(())
        });
        up
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // The nodes end when it does.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processes whose command line names this node's configuration in this folder.
pub fn processes(at: &Path, name: &str) -> Vec<u32> {
    let config = format!("watchfire-cluster/{name}.toml");
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let id = entry.file_name().to_str().and_then(|n| n.parse().ok());
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let here = std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == at);
        if let (Some(id), true) = (id, here && text(&line).contains(&config)) {
            found.push(id);
        }
    }
    found
}

fn all_status(at: &Path) -> Value {
    let output = run(at, &["cluster", "status", "--output", "json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

pub fn leader(at: &Path) -> Option<String> {
    let all = all_status(at);
    let nodes = all.as_object()?;
    nodes.iter().find(|(_, n)| n["role"] == "leader").map(|(name, _)| name.clone())
}

#[test]
fn a_cluster_survives_its_leader_and_an_end_of_all() {
    let folder = tempfile::tempdir().unwrap();
    let at = &folder.path().canonicalize().unwrap();
    let port = ports(21);
    let up = Up::start(at, port, &[]);
    assert_eq!(cluster(at, &["flag", "first", "1"]).unwrap(), "done\n");
    // Any node tells what it knows of threats, and what to do about a name that it does not know.
    let threats = |arguments: &[&str]| run(at, &[&["threats"], arguments].concat());
    assert_eq!(text(&threats(&["list"]).stdout), "0 of 0; eu-1 knows 0 threats\n");
    let unknown = threats(&["set", "abcdef", "--status", "closed", "--node", "us-1"]);
    assert!(
        text(&unknown.stderr).contains("us-1 knows no threat abcdef; `watchfire threats list`")
    );
    let nobody = threats(&["show", "abcdef", "--node", "xx"]);
    assert!(text(&nobody.stderr).contains("no member is named xx; there are"));
    let known = until("all have compared", || {
        let all = all_status(at);
        let peers = |n: &Value| n["threats"]["peers"].as_object().cloned().unwrap_or_default();
        let equal =
            |n: &Value| peers(n).len() == 2 && peers(n).values().all(|p| p["equal"] == true);
        all.as_object()?.values().all(equal).then_some(all)
    });
    assert_eq!(known["ap-1"]["threats"]["digest"], "0000000000000000");
    // The leader is killed; the others agree on more, and say who is missing.
    let killed = leader(at).unwrap();
    let [process] = processes(at, &killed)[..] else { panic!("which process is it?") };
    let kill = Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap();
    assert!(kill.success());
    until("the others agree", || cluster(at, &["flag", "second", "2"]).ok());
    let said = cluster(at, &["status"]).unwrap_err();
    assert!(said.contains(&format!("{killed:12} unreachable")), "{said}");
    // It comes back as who it was, and catches up by itself.
    let config = format!("watchfire-cluster/{killed}.toml");
    let mut back = watchfire(at)
        .args(["node", "--while-stdin", "--config", &config])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("equal logs on three nodes", || {
        let all = all_status(at);
        let nodes: Vec<&Value> = all.as_object()?.values().collect();
        let digests: BTreeSet<&str> = nodes.iter().filter_map(|n| n["digest"].as_str()).collect();
        let there = nodes.iter().all(|n| n["digest"].is_string());
        (nodes.len() == 3 && there && digests.len() == 1).then_some(())
    });
    assert!(cluster(at, &["status"]).is_ok());
    signal(&back, "TERM");
    assert!(back.wait().unwrap().success());
    // All end, and go on with what they agreed on.
    signal(&up.child, "TERM");
    until("all ended", || {
        let names = ["eu-1", "us-1", "ap-1"];
        names.iter().all(|n| processes(at, n).is_empty()).then_some(())
    });
    drop(up);
    let up = Up::start(at, port, &[]);
    let flags = cluster(at, &["flag"]).unwrap();
    assert_eq!(flags, "first = 1\nsecond = 2\n");
    // However it ends, no node stays behind.
    drop(up);
    until("no process is left", || processes(at, "us-1").is_empty().then_some(()));
}

#[test]
fn what_cannot_be_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let fails = |arguments: &[&str], told: &str| {
        let output = run(at, arguments);
        let error = text(&output.stderr);
        assert!(!output.status.success() && error.contains(told), "{arguments:?}: {error}");
    };
    let works = |arguments: &[&str]| {
        let output = run(at, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    };
    fails(&["ca", "issue", "eu-1", "--region", "eu"], "watchfire ca init");
    let json = |arguments: &[&str]| -> Value {
        let output = run(at, &[arguments, &["--output", "json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let plan = json(&["ca", "init", "test", "--plan"]);
    assert_eq!(plan["plan"], "an authority for test is made, as ca/ca.pem and ca/ca.key");
    assert!(!at.join("ca").exists(), "a plan does nothing");
    fails(&["ca", "init", "Test", "--plan"], "lower-case");
    works(&["ca", "init", "test"]);
    fails(&["ca", "init", "test"], "has an authority already");
    fails(&["ca", "issue", "EU", "--region", "eu"], "lower-case");
    works(&["ca", "issue", "eu-1", "--region", "eu"]);
    let issue = ["ca", "issue", "us-1", "--region", "us"];
    assert!(json(&[&issue[..], &["--plan"]].concat())["plan"].is_string());
    assert!(!at.join("ca/us-1.pem").exists(), "a plan does nothing");
    let issued = json(&issue);
    assert_eq!(
        (&issued["certificate"], &issued["key"]),
        (&"ca/us-1.pem".into(), &"ca/us-1.key".into())
    );
    works(&["config", "template", "3-region", "--out", "etc", "--cluster", "test"]);
    fails(&["config", "template", "3-region", "--out", "etc"], "is there already");
    works(&["config", "check", "etc/us-1.toml"]);
    assert_eq!(json(&["config", "check", "etc/us-1.toml"])["node"], "us-1");
    let whole = json(&["config", "print", "etc/us-1.toml"]);
    assert_eq!(whole["threats"]["retention_days"], 30, "with defaults: {whole}");
    // Certificates beside the configurations, an address of this machine, and nobody there.
    for file in ["ca.pem", "eu-1.pem", "eu-1.key"] {
        std::fs::copy(at.join("ca").join(file), at.join("etc").join(file)).unwrap();
    }
    let port = ports(23);
    let config = std::fs::read_to_string(at.join("etc/eu-1.toml")).unwrap();
    let config = config.replace("0.0.0.0:7800", &format!("127.0.0.1:{port}"));
    std::fs::write(at.join("etc/eu-1.toml"), &config).unwrap();
    fails(&["node", "--config", "etc/eu-1.toml"], "--found");
    std::fs::write(at.join("etc/bad.toml"), config.replace("votes = true", "vote = 1")).unwrap();
    fails(&["config", "check", "etc/bad.toml"], "line 9");
    // The certificate of another node.
    let other = config.replace("name = \"eu-1\"", "name = \"eu-2\"");
    std::fs::write(at.join("etc/other.toml"), other.replace("\"eu-2.", "\"eu-1.")).unwrap();
    fails(&["node", "--config", "etc/other.toml", "--found"], "the certificate is of");
    // A node whose log is lost must not come back as who it was.
    std::fs::create_dir_all(at.join("etc/eu-1")).unwrap();
    let who = r#"{"cluster":"test","name":"eu-1","id":1,"incarnation":3}"#;
    std::fs::write(at.join("etc/eu-1/node.json"), who).unwrap();
    fails(&["node", "--config", "etc/eu-1.toml"], "watchfire cluster remove eu-1");
    fails(&["cluster", "status", "--cluster", "nowhere.toml"], "nowhere.toml");
    // Rotation in two steps.
    fails(&["ca", "rotate", "--finish"], "no rotation is under way");
    let before = std::fs::read(at.join("ca/ca.pem")).unwrap();
    works(&["ca", "rotate", "--plan"]);
    assert_eq!(std::fs::read(at.join("ca/ca.pem")).unwrap(), before, "a plan does nothing");
    works(&["ca", "rotate"]);
    fails(&["ca", "rotate"], "--finish");
    works(&["ca", "issue", "eu-1", "--region", "eu"]);
    works(&["ca", "rotate", "--finish"]);
    let believed = std::fs::read_to_string(at.join("ca/ca.pem")).unwrap();
    assert_eq!(believed.matches("BEGIN CERTIFICATE").count(), 1);
}
