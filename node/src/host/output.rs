//! The findings file: appended to, and cut back after a kill to what was acknowledged.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

/// A file that findings are appended to, or standard output.
#[derive(Debug)]
pub struct Output {
    name: String,
    file: Option<File>,
    length: u64,
}

impl Output {
    /// Writes to standard output.
    pub fn stdout() -> Self {
        Self { name: "-".into(), file: None, length: 0 }
    }

    /// A fresh file at `path`; what was there is replaced.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        Ok(Self { name: path.display().to_string(), file: Some(file), length: 0 })
    }

    /// Goes on with the file at `path`, of which `length` bytes were acknowledged: what was written
    /// after them is cut off, since it will be told again.
    ///
    /// # Errors
    /// When it cannot be opened or cut.
    pub fn resume(path: &Path, length: u64) -> io::Result<Self> {
        let mut file =
            OpenOptions::new().create(true).write(true).read(true).truncate(false).open(path)?;
        let length = length.min(file.metadata()?.len());
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        Ok(Self { name: path.display().to_string(), file: Some(file), length })
    }

    /// Its path, or `-`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes written so far.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Appends lines; a file is synced, so that the store never knows of lines that are not there.
    ///
    /// # Errors
    /// When writing or syncing fails; neither is tried again.
    pub fn append(&mut self, lines: &str) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let written = match &mut self.file {
            Some(file) => file.write_all(lines.as_bytes()).and_then(|()| synced(file)),
            None => {
                let mut out = io::stdout().lock();
                out.write_all(lines.as_bytes()).and_then(|()| out.flush())
            }
        };
        let name = if self.file.is_some() { &self.name } else { "standard output" };
        written.map_err(|e| io::Error::new(e.kind(), format!("{name}: {e}")))?;
        self.length += lines.len() as u64;
        Ok(())
    }
}

/// Syncs a file; a pipe or a terminal that was named has nothing to sync.
fn synced(file: &File) -> io::Result<()> {
    match file.sync_data() {
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_with_the_name_and_a_pipe_needs_no_sync() {
        let full = Path::new("/dev/full");
        if !full.exists() {
            println!("skipped: no /dev/full here");
            return;
        }
        let error = Output::create(full).unwrap().append("one\n").unwrap_err();
        assert!(error.to_string().starts_with("/dev/full: No space"), "{error}");
        Output::create(Path::new("/dev/null")).unwrap().append("one\n").unwrap();
    }

    #[test]
    fn lines_that_were_not_acknowledged_are_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("findings.ndjson");
        let mut output = Output::create(&path).unwrap();
        output.append("one\n").unwrap();
        let acknowledged = output.length();
        output.append("two\n").unwrap();
        drop(output);
        let mut output = Output::resume(&path, acknowledged).unwrap();
        output.append("three\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\nthree\n");
    }
}
