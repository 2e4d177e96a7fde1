//! The file around the database: its folder, its lock, and a first creation that a power cut cannot
//! leave half done.

use crate::{Error, Result};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Only the owner may look at the state: examples hold raw log lines.
const FOLDER_MODE: u32 = 0o700;

/// Bytes of the lock file that are read to name its holder.
const HOLDER_BYTES: u64 = 32;

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The folder of `path`.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

/// Makes the folder of `path` if it is not there.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    let folder = folder(path);
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(Error::files(folder))
}

/// Holds the state for this process until dropped. The kernel lets go when the process dies,
/// however it dies.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held for its lock")] File);

impl Lock {
    /// Takes the lock of the database at `path`, or says who has it.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let name = beside(path, ".lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&name)
            .map_err(Error::files(&name))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = (&file).take(HOLDER_BYTES).read_to_string(&mut holder);
                let holder = match holder.trim().parse::<u32>() {
                    Ok(pid) => format!("process {pid}"),
                    Err(_) => "another process".into(),
                };
                return Err(Error::InUse { path: path.to_owned(), holder });
            }
            Err(TryLockError::Error(e)) => return Err(Error::files(&name)(e)),
        }
        // Only there to name us to others: the lock itself is what counts.
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(Error::files(&name))?;
        Ok(Self(file))
    }
}

/// Lets `create` make the database under a temporary name, then syncs it, gives it its name and
/// syncs the folder. A cut before the end leaves no file of that name. Call with the lock held.
pub(crate) fn create(path: &Path, create: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let new = beside(path, ".new");
    match fs::remove_file(&new) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::files(&new)(e)),
        _ => {}
    }
    create(&new)?;
    File::open(&new).and_then(|f| f.sync_all()).map_err(Error::files(&new))?;
    fs::rename(&new, path).map_err(Error::files(path))?;
    let folder = folder(path);
    File::open(folder).and_then(|f| f.sync_all()).map_err(Error::files(folder))
}
