//! Three nodes of three regions, each a process of its own that a test can end and start again.

use crate::cluster::{text, until};
use crate::command::{signal, watchfire};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// The nodes.
pub const NAMES: [&str; 3] = ["eu-1", "us-1", "ap-1"];

/// Fails a sync with EIO while a file is there.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
static int bad(void) { const char *f = getenv("FAULT"); return f && access(f, F_OK) == 0; }
#define SYNC(name) int name(int fd) { \
    if (bad()) { errno = EIO; return -1; } \
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, #name); \
    return real(fd); }
SYNC(fsync)
SYNC(fdatasync)
"#;

/// Three free ports of the 34th thousand, for each caller in this process other ones.
fn ports() -> u16 {
    static CALLERS: AtomicU16 = AtomicU16::new(0);
    let first = 34_000 + CALLERS.fetch_add(1, Ordering::Relaxed) % 8 * 120;
    let start = first + (std::process::id() % 30) as u16 * 3;
    let free = |p: u16| TcpListener::bind(("127.0.0.1", p)).is_ok();
    let found = (start..first + 118).step_by(3).find(|p| (*p..p + 3).all(free));
    found.expect("there are no three free ports")
}

/// Three nodes of three regions, each a process.
pub struct World {
    folder: tempfile::TempDir,
    pub nodes: BTreeMap<&'static str, Child>,
    /// What `FAULT` syncs fail by, where there is a C compiler.
    pub shim: Option<PathBuf>,
    /// Flags that were acknowledged.
    flags: BTreeSet<String>,
}

impl Drop for World {
    fn drop(&mut self) {
        for node in self.nodes.values_mut() {
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

/// Runs a command to its end; what it says.
pub fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{said}");
    said
}

impl World {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        done(watchfire(at).args(["config", "template", "3-region", "--cluster", "prod"]));
        done(watchfire(at).args(["ca", "init", "prod", "--folder", "."]));
        let port = ports();
        for name in NAMES {
            let region = name.split('-').next().unwrap();
            done(watchfire(at).args(["ca", "issue", name, "--region", region, "--folder", "."]));
            let path = at.join(format!("{name}.toml"));
            let mut config = fs::read_to_string(&path).unwrap();
            for (here, other) in (port..).zip(NAMES) {
                let address = format!("127.0.0.1:{here}");
                config = config.replace(&format!("{other}.example.net:7800"), &address);
                if other == name {
                    config = config.replace("0.0.0.0:7800", &address);
                }
            }
            // The founder, too, can join anew.
            let others: Vec<String> =
                (port..port + 3).map(|p| format!("\"127.0.0.1:{p}\"")).collect();
            let seeds = format!("seeds = [{}]", others.join(", "));
            let line = config.lines().find(|l| l.starts_with("seeds = ")).unwrap().to_owned();
            fs::write(&path, config.replace(&line, &seeds)).unwrap();
        }
        done(watchfire(at).args(["ca", "issue", "me", "--operator", "--folder", "."]));
        let nodes: Vec<String> = (port..port + 3).map(|p| format!("\"127.0.0.1:{p}\"")).collect();
        let operator = format!(
            "nodes = [{}]\n[tls]\nauthorities = \"ca.pem\"\ncertificate = \"me.pem\"\n\
             key = \"me.key\"\n",
            nodes.join(", ")
        );
        fs::write(at.join("operator.toml"), operator).unwrap();
        let shim = compile(at);
        let flags = BTreeSet::new();
        let mut world = Self { folder, nodes: BTreeMap::new(), shim, flags };
        done(world.command("eu-1").args(["--found", "--end-when-ready"]));
        for name in NAMES {
            world.run(name);
        }
        for name in NAMES {
            world.ready(name);
        }
        world
    }

    pub fn at(&self) -> &Path {
        self.folder.path()
    }

    pub fn data(&self, name: &str) -> PathBuf {
        self.at().join(name)
    }

    pub fn command(&self, name: &str) -> Command {
        let mut command = watchfire(self.at());
        command.args(["node", "--config", &format!("{name}.toml")]).stdin(Stdio::null());
        if let Some(shim) = &self.shim {
            command.env("LD_PRELOAD", shim).env("FAULT", self.at().join(format!("{name}.fault")));
        }
        command
    }

    pub fn run(&mut self, name: &'static str) {
        let command = self.command(name);
        self.spawn(name, command);
    }

    pub fn spawn(&mut self, name: &'static str, mut command: Command) {
        let out = File::create(self.at().join(format!("{name}.out"))).unwrap();
        let error = out.try_clone().unwrap();
        self.nodes.insert(name, command.stdout(out).stderr(error).spawn().unwrap());
    }

    pub fn said(&self, name: &str) -> String {
        fs::read_to_string(self.at().join(format!("{name}.out"))).unwrap()
    }

    pub fn ready(&mut self, name: &str) {
        until("ready", || {
            let said = self.said(name);
            let ended = self.nodes.get_mut(name).unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{name} ended: {said}");
            said.contains("ready: ").then_some(())
        });
    }

    /// Waits until a node has ended by itself, with an error; gives what it said.
    pub fn ends(&mut self, name: &str) -> String {
        let status =
            until("the node ends", || self.nodes.get_mut(name).unwrap().try_wait().unwrap());
        let said = self.said(name);
        assert_eq!(status.code(), Some(1), "{name}: {said}");
        said
    }

    pub fn stop(&mut self, name: &str) {
        let node = self.nodes.get_mut(name).unwrap();
        signal(node, "TERM");
        assert!(until("the node ends", || node.try_wait().unwrap()).success());
    }

    pub fn cluster(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = watchfire(self.at());
        command.arg("cluster").args(arguments).args(["--cluster", "operator.toml"]);
        let output = command.output().unwrap();
        let said = text(&output.stdout);
        if output.status.success() { Ok(said) } else { Err(said + &text(&output.stderr)) }
    }

    /// Has a command acknowledged.
    pub fn agree(&mut self, flag: &str) {
        until("the others agree", || self.cluster(&["flag", flag, "1"]).ok());
        self.flags.insert(flag.to_owned());
    }

    pub fn status(&self) -> Value {
        let mut command = watchfire(self.at());
        command.args(["cluster", "status", "--output", "json", "--cluster", "operator.toml"]);
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap_or_default()
    }

    /// Waits until all three know the same, and all that was acknowledged.
    pub fn alike(&self) {
        until("all know the same", || {
            let all = self.status();
            let all: Vec<&Value> = all.as_object()?.values().collect();
            let same = |key: &str| {
                let values: BTreeSet<&str> = all.iter().filter_map(|n| n[key].as_str()).collect();
                all.iter().all(|n| n[key].is_string()) && values.len() == 1
            };
            (all.len() == 3 && same("digest")).then_some(())
        });
        let flags = self.cluster(&["flag"]).unwrap();
        for flag in &self.flags {
            assert!(flags.contains(&format!("{flag} = 1")), "{flag} is lost: {flags}");
        }
    }

    pub fn who(&self, name: &str) -> (u64, u64) {
        let who = fs::read(self.data(name).join("node.json")).unwrap();
        let who: Value = serde_json::from_slice(&who).unwrap();
        (who["id"].as_u64().unwrap(), who["incarnation"].as_u64().unwrap())
    }
}

/// The shim, where there is a compiler.
fn compile(at: &Path) -> Option<PathBuf> {
    let (source, shim) = (at.join("shim.c"), at.join("shim.so"));
    fs::write(&source, SHIM).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).arg(&shim).arg(&source).arg("-ldl");
    let made = cc.stderr(Stdio::null()).status().is_ok_and(|s| s.success());
    made.then_some(shim)
}
