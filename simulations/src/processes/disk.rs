//! Where a node keeps its state: a plain folder, or a file system of its own on a loop device,
//! whose power can be cut.

use super::space::Space;
use super::{Error, sys};
use rustix::mount::{UnmountFlags, unmount};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a disk. The file is sparse: only what is written takes room.
const SIZE: u64 = 512 << 20;

/// Tries to let go of a folder that a process that just ended may still hold.
const TRIES: u32 = 50;

/// A node's disk.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Where it is seen.
    pub folder: PathBuf,
    /// What holds it, if it is a file system of its own.
    image: Option<PathBuf>,
}

impl Disk {
    /// Makes the disk of a node. With `own` it is a file system of its own, which only the space
    /// and its processes see.
    ///
    /// # Errors
    /// [`Error::Host`].
    pub fn make(space: &Arc<Space>, folder: PathBuf, own: bool) -> Result<Self, Error> {
        std::fs::create_dir_all(&folder).map_err(|e| Error::host("a folder", e))?;
        let image = own.then(|| folder.with_extension("img"));
        let disk = Self { folder, image };
        disk.format(space)?;
        Ok(disk)
    }

    /// Whether its power can be cut.
    pub const fn has_power(&self) -> bool {
        self.image.is_some()
    }

    fn format(&self, space: &Arc<Space>) -> Result<(), Error> {
        let Some(image) = &self.image else { return Ok(()) };
        let made = File::create(image).and_then(|file| file.set_len(SIZE));
        made.map_err(|e| Error::host("the file of a disk", e))?;
        let mut command = Command::new("mkfs.ext4");
        // No table is filled in later: that would be work of the kernel in the middle of a run.
        command.args(["-q", "-F", "-E", "lazy_itable_init=1,nodiscard"]).arg(image);
        run(&mut command).map_err(|e| Error::host("mkfs.ext4", e))?;
        self.mount(space)
    }

    fn mount(&self, space: &Arc<Space>) -> Result<(), Error> {
        let Some(image) = self.image.clone() else { return Ok(()) };
        let folder = self.folder.clone();
        let mount = move || run(Command::new("mount").args(["-o", "loop"]).arg(image).arg(folder));
        space.run(mount).get()?.map_err(|e| Error::host("mount -o loop", e))
    }

    /// Fails: every write from now on does, and what was not made durable is gone.
    ///
    /// # Errors
    /// [`Error::Host`].
    pub fn fail(&self, space: &Arc<Space>) -> Result<(), Error> {
        let folder = self.folder.clone();
        let cut = move || File::open(folder).and_then(sys::shut_down);
        space.run(cut).get()?.map_err(|e| Error::host("the end of a file system", e))
    }

    /// Comes back after [`Disk::fail`], with what was durable. No process may use it.
    ///
    /// # Errors
    /// [`Error::Host`].
    pub fn come_back(&self, space: &Arc<Space>) -> Result<(), Error> {
        let folder = self.folder.clone();
        space.run(move || leave(&folder)).get()?.map_err(|e| Error::host("umount", e))?;
        self.mount(space)
    }

    /// Is empty again. No process may use it.
    ///
    /// # Errors
    /// [`Error::Host`].
    pub fn lose(&self, space: &Arc<Space>) -> Result<(), Error> {
        let folder = self.folder.clone();
        if self.has_power() {
            space.run(move || leave(&folder)).get()?.map_err(|e| Error::host("umount", e))?;
            return self.format(space);
        }
        let empty = std::fs::remove_dir_all(&folder).and_then(|()| std::fs::create_dir(&folder));
        empty.map_err(|e| Error::host("an empty folder", e))
    }
}

fn leave(folder: &Path) -> io::Result<()> {
    let mut last = Ok(());
    for _ in 0..TRIES {
        last = unmount(folder, UnmountFlags::empty()).map_err(io::Error::from);
        if last.is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    last
}

/// Runs a command to its end; what it complained about is in the error.
pub fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(said.trim().to_owned()))
}
