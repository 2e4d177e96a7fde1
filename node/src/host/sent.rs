//! What a sender remembers: how far each of its sources was acknowledged, by which cluster.

use super::cluster_files::{Error, operator_config, read, write};
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

/// Where it is remembered how far the cluster of an operator's configuration acknowledged sources.
/// Its authorities tell it from a cluster of the same name and place that was there before: that
/// one's word is nothing to it. With others it is sent all once more, and leaves out what it has.
///
/// # Errors
/// [`Error`] when the configuration or the authorities cannot be read.
pub fn folder(state: &Path, operator: &Path) -> Result<PathBuf, Error> {
    let authorities = read(&operator_config(operator)?.tls.authorities)?;
    let mark = blake3::hash(authorities.as_bytes()).to_hex();
    Ok(state.join("sent").join(&mark[..16]))
}

fn place(folder: &Path, source: &str) -> PathBuf {
    let hash = blake3::hash(source.as_bytes()).to_hex();
    folder.join(format!("{}.json", &hash[..16]))
}

/// How far a source was acknowledged; nothing if it never was.
///
/// # Errors
/// [`Error`] when what is there cannot be read.
pub fn standing(folder: &Path, source: &str) -> Result<Option<Checkpoint>, Error> {
    let path = place(folder, source);
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
pub fn remember(folder: &Path, source: &str, at: &Checkpoint) -> Result<(), Error> {
    let path = place(folder, source);
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

    /// `watchfire up` in an empty folder is another cluster of the same name at the same ports.
    #[test]
    fn another_cluster_has_acknowledged_nothing() {
        let at = tempfile::tempdir().unwrap();
        let config = at.path().join("operator.toml");
        let tls = "authorities = \"ca.pem\"\ncertificate = \"b\"\nkey = \"c\"\n";
        std::fs::write(&config, format!("nodes = [\"a:1\"]\n[tls]\n{tls}")).unwrap();
        let of = |authorities: &str| {
            std::fs::write(at.path().join("ca.pem"), authorities).unwrap();
            super::folder(at.path(), &config).unwrap()
        };
        let (one, two) = (of("one"), of("two"));
        let nothing = Decoder::new(SourceId(0), Options::default());
        remember(&one, "log", nothing.checkpoint()).unwrap();
        assert_eq!(standing(&two, "log").unwrap(), None);
        assert!(standing(&of("one"), "log").unwrap().is_some());
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
