//! What a node of a cluster has on disk: its configuration and credentials, and who it is.

use super::clock::{Clock as _, SystemClock};
use crate::membership::config::{NodeConfig, OperatorConfig, Tls};
use cluster::fabric::{Credentials, authority};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use threat::Timestamp;

/// The file that says who a node is.
const WHO: &str = "node.json";

/// The files of consensus that must not be lost while a node is who it is: its votes and log, and
/// what the log does not have any more.
const PROMISES: [&str; 2] = ["raft.redb", "state.redb"];

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read or written.
    #[error("{path}: {error}", path = .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It does not say what it should.
    #[error("{path}: {reason}", path = .path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file of consensus is gone, and what the node promised with it.
    #[error(
        "{path} says that this is node {id} ({name}), but {file} is not there: what the node \
         promised is lost, and it must not come back as the same. Remove it from another node \
         (`watchfire cluster remove {name}`), delete the folder, and start it again: it joins anew",
        path = .path.display()
    )]
    Lost {
        /// The file that says who it is.
        path: PathBuf,
        /// Its id.
        id: u64,
        /// Its name.
        name: String,
        /// What is gone.
        file: &'static str,
    },
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> Error {
    let path = path.to_owned();
    move |error| Error::Io { path: path.clone(), error }
}

/// Makes a folder and those above it.
///
/// # Errors
/// [`Error::Io`].
pub fn folder(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(io_error(path))
}

/// Reads a text file.
///
/// # Errors
/// [`Error::Io`].
pub fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(io_error(path))
}

/// Writes a file so that it is there whole or not at all, also after a power cut. `secret` ones are
/// for their owner alone.
///
/// # Errors
/// [`Error::Io`].
pub fn write(path: &Path, content: &[u8], secret: bool) -> Result<(), Error> {
    let failed = io_error(path);
    let new = path.with_extension("new");
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(&failed)?;
    let mode = if secret { 0o600 } else { 0o644 };
    // One that is left from a crash may have other rights.
    let _ = fs::remove_file(&new);
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&new).map_err(&failed)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(&failed)?;
    fs::rename(&new, path).map_err(&failed)?;
    File::open(folder).and_then(|f| f.sync_all()).map_err(&failed)
}

/// Reads a node's configuration. Paths in it are seen from its folder.
///
/// # Errors
/// [`Error::Io`], [`Error::Content`] with line and column.
pub fn node_config(path: &Path) -> Result<NodeConfig, Error> {
    let content = |reason| Error::Content { path: path.to_owned(), reason };
    let config = NodeConfig::parse(&read(path)?).map_err(|e| content(e.to_string()))?;
    let mut config = config;
    let folder = path.parent().unwrap_or(Path::new("."));
    config.data = folder.join(&config.data);
    let detection = &mut config.detection;
    for path in detection.rules.iter_mut().chain(&mut detection.output) {
        *path = folder.join(&path);
    }
    resolve(&mut config.tls, folder);
    Ok(config)
}

/// Reads an operator's configuration.
///
/// # Errors
/// As [`node_config`].
pub fn operator_config(path: &Path) -> Result<OperatorConfig, Error> {
    let content = |reason| Error::Content { path: path.to_owned(), reason };
    let mut config = OperatorConfig::parse(&read(path)?).map_err(|e| content(e.to_string()))?;
    resolve(&mut config.tls, path.parent().unwrap_or(Path::new(".")));
    Ok(config)
}

fn resolve(tls: &mut Tls, folder: &Path) {
    for path in [&mut tls.authorities, &mut tls.certificate, &mut tls.key] {
        *path = folder.join(&path);
    }
}

/// Reads certificates and the key.
///
/// # Errors
/// [`Error::Io`], [`Error::Content`].
pub fn credentials(tls: &Tls) -> Result<Credentials, Error> {
    let (authorities, key) = (read(&tls.authorities)?, read(&tls.key)?);
    let certificate = read(&tls.certificate)?;
    Credentials::of_pem(&authorities, &certificate, &key)
        .map_err(|e| Error::Content { path: tls.certificate.clone(), reason: e.to_string() })
}

/// Now, for stamps of what people say.
pub fn wall() -> Timestamp {
    SystemClock::start().wall()
}

/// Now, for certificates.
pub fn now() -> SystemTime {
    let wall = wall();
    let micros = u64::try_from(wall.micros()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + std::time::Duration::from_micros(micros)
}

/// A number that nobody can guess, from the host's entropy.
pub fn random() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// Who a node is, as its folder says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The cluster.
    pub cluster: String,
    /// Its name.
    pub name: String,
    /// Its id in the cluster.
    pub id: u64,
    /// How often its state was opened.
    pub incarnation: u64,
}

/// Who the node of this folder is; nothing for a new folder.
///
/// # Errors
/// [`Error::Lost`] when its log or its state is gone, [`Error::Content`] when it is another node.
pub fn who(config: &NodeConfig) -> Result<Option<Who>, Error> {
    let path = config.data.join(WHO);
    if !path.exists() {
        return Ok(None);
    }
    let content = |reason: String| Error::Content { path: path.clone(), reason };
    let who: Who = serde_json::from_str(&read(&path)?).map_err(|e| content(e.to_string()))?;
    if (&who.cluster, &who.name) != (&config.cluster, &config.name) {
        let (cluster, name) = (&who.cluster, &who.name);
        return Err(content(format!(
            "the folder is of node {name} of cluster {cluster}, the configuration of {} of {}",
            config.name, config.cluster
        )));
    }
    if let Some(file) = PROMISES.into_iter().find(|file| !config.data.join(file).exists()) {
        return Err(Error::Lost { path, id: who.id, name: who.name, file });
    }
    Ok(Some(who))
}

/// Notes who the node is.
///
/// # Errors
/// [`Error::Io`].
pub fn is(config: &NodeConfig, who: &Who) -> Result<(), Error> {
    let path = config.data.join(WHO);
    let content =
        |e: serde_json::Error| Error::Content { path: path.clone(), reason: e.to_string() };
    write(&path, &serde_json::to_vec_pretty(who).map_err(content)?, false)
}

/// Writes a certificate and its key beside each other.
///
/// # Errors
/// [`Error::Io`].
pub fn write_made(certificate: &Path, key: &Path, made: &authority::Made) -> Result<(), Error> {
    write(key, made.key.as_bytes(), true)?;
    write(certificate, made.certificate.as_bytes(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_of_one_node_and_loses_nothing_quietly() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = crate::membership::config::tests::config("eu", "eu-1");
        config.data = folder.path().join("data");
        assert_eq!(who(&config).unwrap(), None);
        let me = Who { cluster: "demo".into(), name: "eu-1".into(), id: 4, incarnation: 2 };
        is(&config, &me).unwrap();
        assert!(matches!(who(&config), Err(Error::Lost { id: 4, .. })));
        fs::write(config.data.join(PROMISES[0]), b"x").unwrap();
        assert!(matches!(who(&config), Err(Error::Lost { file: "state.redb", .. })));
        fs::write(config.data.join(PROMISES[1]), b"x").unwrap();
        assert_eq!(who(&config).unwrap(), Some(me));
        config.name = "eu-2".into();
        assert!(matches!(who(&config), Err(Error::Content { .. })));
    }

    #[test]
    fn a_secret_is_for_its_owner_and_no_half_file_is_left() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in/a.key");
        write(&path, b"one", true).unwrap();
        write(&path, b"two", true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert_ne!(random(), random());
    }
}
