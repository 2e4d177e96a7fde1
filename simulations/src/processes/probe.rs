//! What this host can do to real nodes: each ability is tried, in a namespace and a folder that are
//! gone afterwards.

use super::disk::{Disk, run};
use super::emulator::address;
use super::space::Space;
use super::sys;
use crate::experiment::host_free;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde::Serialize;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where distributions put the library that shifts clocks.
const CLOCKS: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
];

/// How far a clock is shifted to try it, in seconds.
const SHIFT: u64 = 86_400;

/// Memory and disk that a run of nine nodes takes, in MiB.
const ROOM: (u64, u64) = (2_048, 2_048);

/// One thing that a host can do or not.
#[derive(Clone, Debug, Serialize)]
pub struct Ability {
    /// What.
    pub ability: &'static str,
    /// Whether it can.
    pub can: bool,
    /// What was seen, or why it cannot.
    pub seen: String,
    /// Kinds of faults that need it.
    pub serves: &'static str,
    /// What would make it possible.
    pub help: &'static str,
}

/// Tries all abilities.
pub fn all() -> Vec<Ability> {
    let of = |ability, tried: Result<String, String>, serves, help| Ability {
        ability,
        can: tried.is_ok(),
        seen: tried.unwrap_or_else(|reason| reason),
        serves,
        help,
    };
    let every = "the whole world of processes";
    let network = "partition, flap, delay, loss, duplicate, clog";
    let kernel = "a kernel that has it, or a container with CAP_SYS_ADMIN and /dev/net/tun";
    vec![
        of("root", root(), every, "run it with sudo"),
        of("network namespaces", spaces(), every, kernel),
        of("TUN devices", devices(), network, kernel),
        of("processes stop and go on", pauses(), "kill, pause", "procps or a usual /proc"),
        of(
            "power cuts on ext4",
            disks().map(|()| "what was synced stayed, the rest was gone".into()),
            "power-cut, disk-error",
            "loop devices in the kernel, `apt-get install e2fsprogs mount`",
        ),
        of("clocks that jump", clocks(), "clock-step", "`apt-get install libfaketime`"),
        of("groups of processes", groups(), "no kind yet", "a writable /sys/fs/cgroup"),
        of("tracing system calls", traces(), "no kind yet", "`apt-get install strace`"),
        of("free memory", memory(), every, "2 GiB for nine nodes"),
        of("free disk", room(), every, "2 GiB in the folder for temporary files (TMPDIR)"),
    ]
}

fn root() -> Result<String, String> {
    let user = geteuid();
    if user.is_root() { Ok("yes".into()) } else { Err(format!("user {}", user.as_raw())) }
}

fn spaces() -> Result<String, String> {
    Space::open("probe", true).map(|_| "made one".into()).map_err(|e| told(&e))
}

fn devices() -> Result<String, String> {
    let space = Space::open("probe", false).map_err(|e| told(&e))?;
    let device = space.run(|| sys::tun(address(0))).get().map_err(|e| told(&e))?;
    device.map(|_| format!("made one at {}", address(0))).map_err(|e| e.to_string())
}

/// Without the way to this very command.
fn told(error: &super::Error) -> String {
    match error {
        super::Error::Host { what, error } => format!("{what}: {error}"),
        other => other.to_string(),
    }
}

fn pauses() -> Result<String, String> {
    let mut child = Command::new("sleep").arg("10").stdin(Stdio::null()).spawn();
    let child = child.as_mut().map_err(|e| format!("sleep: {e}"))?;
    let process = Pid::from_raw(child.id() as i32);
    let mut seen = Err("it did not stop".into());
    if let Some(process) = process
        && kill_process(process, Signal::STOP).is_ok()
    {
        for _ in 0..100 {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id()));
            // After the name, which is in brackets, comes the state.
            let stat = stat.unwrap_or_default();
            if stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')) {
                seen = Ok("SIGSTOP and SIGCONT".into());
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    let _ended = child.kill();
    let _status = child.wait();
    seen
}

/// A folder for one trial.
struct Trial(PathBuf);

impl Trial {
    fn new(name: &str) -> std::io::Result<Self> {
        let name = format!("watchfire-simulate-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).map(|()| Self(path))
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

/// Cuts the power of a file system: what was synced has to be there, and the rest not.
///
/// # Errors
/// Why it cannot be done, for people.
pub fn disks() -> Result<(), String> {
    let trial = Trial::new("disk").map_err(|e| e.to_string())?;
    let space = Arc::new(Space::open("probe", true).map_err(|e| told(&e))?);
    let tried = || -> Result<(bool, bool), super::Error> {
        let disk = Disk::make(&space, trial.0.join("data"), true)?;
        let folder = disk.folder.clone();
        let write = move || -> std::io::Result<()> {
            let mut kept = File::create(folder.join("kept"))?;
            kept.write_all(b"kept")?;
            kept.sync_all()?;
            File::open(&folder)?.sync_all()?;
            File::create(folder.join("gone"))?.write_all(b"gone")
        };
        let host = |e| super::Error::host("a file on it", e);
        space.run(write).get()?.map_err(host)?;
        disk.fail(&space)?;
        disk.come_back(&space)?;
        let folder = disk.folder.clone();
        let there = move |name: &str| std::fs::read(folder.join(name)).unwrap_or_default();
        let seen = space.run(move || (there("kept") == b"kept", there("gone") == b"gone"));
        seen.get()
    };
    match tried().map_err(|e| told(&e))? {
        (true, false) => Ok(()),
        (false, _) => Err("what was synced was lost with the power".into()),
        (true, true) => Err("what was not synced outlived the power".into()),
    }
}

/// The library that shifts clocks, if there is one that does.
pub fn clock_library() -> Option<PathBuf> {
    let all = CLOCKS.iter().map(PathBuf::from);
    all.filter(|path| path.exists()).find(|path| shifts(path).is_ok())
}

fn clocks() -> Result<String, String> {
    let found = clock_library().map(|path| path.display().to_string());
    found.ok_or_else(|| "libfaketime is not there".into())
}

/// Whether a program's clock is off under it.
fn shifts(library: &Path) -> Result<(), String> {
    let trial = Trial::new("clock").map_err(|e| e.to_string())?;
    let file = trial.0.join("clock");
    std::fs::write(&file, format!("+{SHIFT}.0")).map_err(|e| e.to_string())?;
    let mut date = Command::new("date");
    date.arg("+%s").env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", &file);
    let output = date.stdin(Stdio::null()).output().map_err(|e| format!("date: {e}"))?;
    let told: u64 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let off = told.saturating_sub(now).abs_diff(SHIFT);
    if off < 60 { Ok(()) } else { Err(format!("a clock was off by {off} s")) }
}

fn groups() -> Result<String, String> {
    let all = Path::new("/sys/fs/cgroup");
    let unified = all.join("cgroup.controllers").exists();
    let parts = if unified { vec![""] } else { vec!["cpu", "memory", "freezer"] };
    for part in &parts {
        let group = all.join(part).join(format!("watchfire-simulate-{}", std::process::id()));
        std::fs::create_dir(&group).map_err(|e| format!("{}: {e}", group.display()))?;
        std::fs::remove_dir(&group).map_err(|e| e.to_string())?;
    }
    Ok(if unified { "version 2".into() } else { "version 1: cpu, memory, freezer".into() })
}

fn traces() -> Result<String, String> {
    let mut trace = Command::new("strace");
    trace.args(["-o", "/dev/null", "-e", "trace=fsync", "true"]);
    run(&mut trace).map(|()| "strace of a child".into()).map_err(|e| e.to_string())
}

fn memory() -> Result<String, String> {
    let free = host_free().ok_or("/proc/meminfo does not say")?;
    enough(free >> 20, ROOM.0)
}

fn room() -> Result<String, String> {
    let at = std::env::temp_dir();
    let seen = rustix::fs::statvfs(&at).map_err(|e| format!("{}: {e}", at.display()))?;
    enough((seen.f_bavail * seen.f_frsize) >> 20, ROOM.1)
}

fn enough(free: u64, needed: u64) -> Result<String, String> {
    let seen = format!("{:.1} GiB", free as f64 / 1_024.0);
    if free >= needed { Ok(seen) } else { Err(seen) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_enough_is_told_from_what_is_not() {
        assert_eq!(enough(2_048, 2_048), Ok("2.0 GiB".into()));
        assert_eq!(enough(2_047, 2_048), Err("2.0 GiB".into()));
    }

    #[test]
    fn every_ability_is_tried_and_says_what_it_serves() {
        let all = all();
        assert!(all.iter().all(|a| !a.seen.is_empty() && !a.serves.is_empty()), "{all:#?}");
        assert!(all.iter().all(|a| !a.help.is_empty()));
    }
}
