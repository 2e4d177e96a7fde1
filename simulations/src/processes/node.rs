//! One real node: its namespace, its disk and its process.

use super::disk::Disk;
use super::space::Space;
use super::{Error, sys};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a node may take to end when it is told to.
const END_TIME: Duration = Duration::from_secs(15);

/// A node.
pub struct Node {
    /// Its name.
    pub name: String,
    /// Where it lives.
    pub space: Arc<Space>,
    /// Its state.
    pub disk: Disk,
    /// Grows with each start.
    pub life: u32,
    /// What else its process is told by the environment.
    pub environment: Vec<(String, PathBuf)>,
    executable: PathBuf,
    folder: PathBuf,
    child: Option<Child>,
}

impl Node {
    /// One that does not run. Its configuration is `NAME.toml` in the folder.
    pub fn new(name: &str, space: Arc<Space>, disk: Disk, executable: &Path) -> Self {
        let folder = disk.folder.parent().unwrap_or(Path::new(".")).to_owned();
        let (name, executable) = (name.to_owned(), executable.to_owned());
        let (life, environment, child) = (0, Vec::new(), None);
        Self { name, space, disk, life, environment, executable, folder, child }
    }

    /// Starts its process. `founds` makes the first node of a cluster of it.
    ///
    /// # Errors
    /// [`Error::Host`].
    pub fn start(&mut self, founds: bool) -> Result<(), Error> {
        let log = self.log_file().map_err(|e| Error::host("a node's log", e))?;
        let errors = log.try_clone().map_err(|e| Error::host("a node's log", e))?;
        let mut command = Command::new(&self.executable);
        command.arg("node").arg("--config").arg(self.folder.join(format!("{}.toml", self.name)));
        if founds {
            command.arg("--found");
        }
        command.envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        // Ctrl-C is for the harness alone, which ends its nodes.
        command.process_group(0);
        sys::end_with_parent(&mut command);
        let child = self.space.run(move || command.spawn()).get()?;
        self.child = Some(child.map_err(|e| Error::host("a node's process", e))?);
        self.life += 1;
        Ok(())
    }

    fn log_file(&self) -> std::io::Result<File> {
        File::options().create(true).append(true).open(self.log())
    }

    /// The file of what it says.
    pub fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    /// What it has said.
    pub fn said(&self) -> String {
        let bytes = std::fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Its process, while there is one.
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether it runs or stands still.
    pub const fn is_there(&self) -> bool {
        self.child.is_some()
    }

    /// How it ended, if it did by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().ok().flatten()?;
        self.child = None;
        Some(status)
    }

    /// Ends it without notice.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ended_before = child.kill();
            let _status = child.wait();
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let process = self.process().and_then(|id| Pid::from_raw(id as i32));
        if let Some(process) = process {
            let _ended = kill_process(process, signal);
        }
    }

    /// Waits until it has ended after it was told to; whether it did.
    pub fn ends(&mut self) -> bool {
        let since = Instant::now();
        while self.child.is_some() && self.ended().is_none() {
            if since.elapsed() > END_TIME {
                self.kill();
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
