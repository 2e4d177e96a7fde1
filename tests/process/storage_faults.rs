//! Disks that fill up, fail, rot and get lost, under nodes of a cluster: the node ends and says
//! what to do, the others go on, and it comes back by what it said.

use crate::cluster::{LONG, until};
use crate::nodes::{NAMES, World, done};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

impl World {
    /// A node ended: the others go on, and it comes back as who it was.
    fn comes_back(&mut self, name: &'static str, flag: &str) {
        let (id, incarnation) = self.who(name);
        self.agree(flag);
        self.run(name);
        self.ready(name);
        self.alike();
        assert_eq!(self.who(name), (id, incarnation + 1));
    }

    /// A node's promises are lost: it is removed, and joins as another.
    fn joins_anew(&mut self, name: &'static str, flag: &str) {
        let (id, _) = self.who(name);
        self.agree(flag);
        until("it is removed", || self.cluster(&["remove", name]).ok());
        let _ = fs::remove_dir_all(self.data(name));
        self.run(name);
        self.ready(name);
        self.alike();
        assert!(self.who(name).0 > id);
    }
}

/// Flips a bit of every 64th byte of a file.
fn spoil(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes.iter_mut().skip(40).step_by(64).for_each(|b| *b ^= 4);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_failed_sync_ends_the_node_and_it_comes_back() {
    let mut world = World::start();
    if world.shim.is_none() {
        eprintln!("skipped: there is no C compiler, so no sync can be made to fail");
        return;
    }
    for (n, name) in (0..).zip(NAMES) {
        let fault = world.at().join(format!("{name}.fault"));
        fs::write(&fault, "").unwrap();
        // Whoever has something to write finds out; the others agree.
        world.agree(&format!("while-{n}"));
        let said = world.ends(name);
        assert!(said.contains("the disk failed, this node ends"), "{said}");
        fs::remove_file(&fault).unwrap();
        world.comes_back(name, &format!("after-{n}"));
    }
}

#[test]
fn a_corrupt_file_is_refused_and_what_it_says_helps() {
    let mut world = World::start();
    world.agree("first");
    for (file, name) in [("threats.redb", "us-1"), ("events.redb", "ap-1")] {
        world.stop(name);
        let path = world.data(name).join(file);
        spoil(&path);
        world.run(name);
        let said = world.ends(name);
        assert!(said.contains(file) && said.contains("corrupt"), "{said}");
        assert!(said.contains("Move it away and start the node again"), "{said}");
        fs::rename(&path, path.with_extension("bad")).unwrap();
        world.comes_back(name, file);
    }
    for (file, name) in [("raft.redb", "eu-1"), ("state.redb", "us-1")] {
        world.stop(name);
        spoil(&world.data(name).join(file));
        world.run(name);
        let said = world.ends(name);
        assert!(said.contains(file) && said.contains("corrupt"), "{said}");
        assert!(said.contains(&format!("watchfire cluster remove {name}")), "{said}");
        world.joins_anew(name, file);
    }
}

#[test]
fn a_lost_folder_is_no_way_back_as_who_one_was() {
    let mut world = World::start();
    world.agree("first");
    let name = "ap-1";
    // Its applied state alone: what the log had before it cannot be made up for.
    world.stop(name);
    let state = world.data(name).join("state.redb");
    fs::rename(&state, state.with_extension("kept")).unwrap();
    world.run(name);
    let said = world.ends(name);
    assert!(said.contains("state.redb is not there"), "{said}");
    fs::rename(state.with_extension("kept"), &state).unwrap();
    // What was added to the log last.
    let journal = world.data(name).join("raft.journal");
    fs::rename(&journal, journal.with_extension("kept")).unwrap();
    world.run(name);
    let said = world.ends(name);
    assert!(said.contains("raft.journal is gone"), "{said}");
    assert!(said.contains(&format!("watchfire cluster remove {name}")), "{said}");
    fs::rename(journal.with_extension("kept"), &journal).unwrap();
    world.comes_back(name, "back");
    let (id, _) = world.who(name);
    let mut node = world.nodes.remove(name).unwrap();
    node.kill().unwrap();
    node.wait().unwrap();
    fs::rename(world.data(name), world.at().join("lost")).unwrap();
    world.run(name);
    let said = world.ends(name);
    assert!(said.contains(&format!("watchfire cluster remove {name}")), "{said}");
    world.agree("second");
    until("it is removed", || world.cluster(&["remove", name]).ok());
    let _ = fs::remove_dir_all(world.data(name));
    world.run(name);
    world.ready(name);
    world.alike();
    assert!(world.who(name).0 > id);
}

/// A mount namespace that stays while this is there, with a small disk at a folder.
struct SmallDisk {
    holder: Child,
    /// Where commands run: the folder that the disk is in.
    folder: PathBuf,
}

impl SmallDisk {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mount = format!("mount -t tmpfs -o size={size} tmpfs \"$0\" && : > \"$0/.there\"");
        let mut holder = Command::new("unshare");
        holder.args(["-Urm", "sh", "-c", &format!("{mount} && cat")]).arg(at);
        let holder = holder.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let folder = at.parent()?.to_owned();
        let mut disk = Self { holder: holder.spawn().ok()?, folder };
        let since = Instant::now();
        loop {
            if disk.holder.try_wait().ok()?.is_some() || since.elapsed() > LONG {
                return None;
            }
            let there = disk.inside("test").arg("-e").arg(at.join(".there")).status();
            if there.is_ok_and(|s| s.success()) {
                return Some(disk);
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// A command that sees the disk.
    fn inside(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        let target = self.holder.id().to_string();
        command.args(["-t", &target, "-U", "-m", "--preserve-credentials", "--"]);
        // Its own folder is that of the namespace.
        command.args(["sh", "-c", "cd \"$0\" && exec \"$@\""]).arg(&self.folder).arg(program);
        command.stderr(Stdio::null());
        command
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[test]
fn a_full_disk_ends_the_node_and_it_comes_back_when_there_is_room() {
    let mut world = World::start();
    let name = "us-1";
    world.stop(name);
    let data = world.data(name);
    let kept = world.at().join("kept");
    fs::rename(&data, &kept).unwrap();
    let Some(disk) = SmallDisk::mount(&data, "48m") else {
        eprintln!("skipped: no small disk can be mounted here");
        return;
    };
    done(disk.inside("cp").arg("-a").arg(kept.join(".")).arg(&data));
    let inside = |world: &World| {
        let plain = world.command(name);
        let mut command = disk.inside(plain.get_program());
        command.args(plain.get_args()).stdin(Stdio::null());
        command
    };
    world.spawn(name, inside(&world));
    world.ready(name);
    world.alike();
    let fill = data.join("fill");
    let _full = disk
        .inside("dd")
        .args(["if=/dev/zero", "bs=64k"])
        .arg(format!("of={}", fill.display()))
        .status();
    // What is agreed on needs room in its files sooner or later; the others have it.
    let since = Instant::now();
    let mut n = 0;
    while world.nodes.get_mut(name).unwrap().try_wait().unwrap().is_none() {
        assert!(since.elapsed() < LONG, "it does not notice: {}", world.said(name));
        world.agree(&format!("full-{n}"));
        n += 1;
    }
    let said = world.ends(name);
    assert!(said.contains("the disk failed, this node ends"), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    world.agree("others");
    done(disk.inside("rm").arg(&fill));
    world.spawn(name, inside(&world));
    world.ready(name);
    world.alike();
}
