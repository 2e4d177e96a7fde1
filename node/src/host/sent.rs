//! What a sender remembers: how far each of its sources was acknowledged.

use super::cluster_files::{Error, read, write};
use intake::Checkpoint;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// First bytes of a file that tell it from the one that was there before a rotation.
const HEAD_BYTES: u64 = 1_024;

/// How far a source was acknowledged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The source.
    pub source: String,
    /// Where it stands.
    pub at: Checkpoint,
}

/// The name of a file as a source: host, path, and its first bytes, since another file may come to
/// the same path.
///
/// # Errors
/// [`Error::Io`].
pub fn source_name(path: &Path) -> Result<String, Error> {
    let failed = |error| Error::Io { path: path.to_owned(), error };
    let full = path.canonicalize().map_err(failed)?;
    let mut head = Vec::new();
    File::open(path).and_then(|f| f.take(HEAD_BYTES).read_to_end(&mut head)).map_err(failed)?;
    let mark = blake3::hash(&head).to_hex();
    Ok(format!("{}:{}#{}", host(), full.display(), &mark[..8]))
}

/// This host's name.
pub fn host() -> String {
    let name = read(Path::new("/proc/sys/kernel/hostname")).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "host".to_owned() } else { name.to_owned() }
}

fn place(state: &Path, source: &str) -> PathBuf {
    let hash = blake3::hash(source.as_bytes()).to_hex();
    state.join("sent").join(format!("{}.json", &hash[..16]))
}

/// How far a source was acknowledged; nothing if it never was.
///
/// # Errors
/// [`Error`] when what is there cannot be read.
pub fn standing(state: &Path, source: &str) -> Result<Option<Checkpoint>, Error> {
    let path = place(state, source);
    if !path.exists() {
        return Ok(None);
    }
    let stored: Standing = serde_json::from_str(&read(&path)?)
        .map_err(|e| Error::Content { path: path.clone(), reason: e.to_string() })?;
    Ok((stored.source == source).then_some(stored.at))
}

/// Remembers how far a source was acknowledged.
///
/// # Errors
/// [`Error`].
pub fn remember(state: &Path, source: &str, at: &Checkpoint) -> Result<(), Error> {
    let path = place(state, source);
    let standing = Standing { source: source.to_owned(), at: at.clone() };
    let bytes = serde_json::to_vec(&standing)
        .map_err(|e| Error::Content { path: path.clone(), reason: e.to_string() })?;
    write(&path, &bytes, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use intake::{Decoder, Options};
    use threat::SourceId;

    #[test]
    fn what_was_acknowledged_is_remembered_by_source() {
        let folder = tempfile::tempdir().unwrap();
        let mut decoder = Decoder::new(SourceId(0), Options::default());
        decoder.push(b"{\"ts\":1.5,\"a\":2}\n");
        decoder.finish();
        while decoder.next_batch(true).is_some() {}
        let at = decoder.checkpoint();
        assert_eq!(standing(folder.path(), "one").unwrap(), None);
        remember(folder.path(), "one", at).unwrap();
        assert_eq!(standing(folder.path(), "one").unwrap().as_ref(), Some(at));
        assert_eq!(standing(folder.path(), "two").unwrap(), None);
    }

    #[test]
    fn another_file_at_the_same_path_is_another_source() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        std::fs::write(&path, "one").unwrap();
        let one = source_name(&path).unwrap();
        assert_eq!(source_name(&path).unwrap(), one);
        std::fs::write(&path, "two").unwrap();
        assert_ne!(source_name(&path).unwrap(), one);
    }
}
