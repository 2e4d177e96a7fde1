//! The workspace as its tests see it: its folder, its files, its graph of crates.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The root folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// A file's text.
pub fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// All files below the root by their path from there, without what git does not keep.
pub fn files() -> Vec<String> {
    fn walk(folder: &Path, root: &Path, out: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                let kept = name == ".ci" || name == ".cargo" || !name.starts_with('.');
                if kept && !["target", "sample", "proptest-regressions"].contains(&name) {
                    walk(&path, root, out);
                }
            } else {
                out.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut out = Vec::new();
    walk(&root(), &root(), &mut out);
    out.sort();
    out
}

/// Paths and texts of the Rust files.
pub fn sources() -> Vec<(String, String)> {
    let rust = files().into_iter().filter(|f| f.ends_with(".rs"));
    rust.map(|path| (path.clone(), text(&path))).collect()
}

/// The graph of crates, as resolved for the platform that releases are built for.
pub struct Graph {
    metadata: Metadata,
    needs: BTreeMap<PackageId, Vec<PackageId>>,
}

impl Graph {
    /// Asks cargo.
    pub fn read() -> Self {
        let metadata = MetadataCommand::new()
            .manifest_path(root().join("Cargo.toml"))
            .other_options(
                ["--locked", "--filter-platform", "x86_64-unknown-linux-gnu"].map(Into::into),
            )
            .exec()
            .unwrap();
        let nodes = &metadata.resolve.as_ref().unwrap().nodes;
        let shipped = |kind| matches!(kind, DependencyKind::Normal | DependencyKind::Build);
        let needs = nodes
            .iter()
            .map(|node| {
                let kinds =
                    node.deps.iter().filter(|d| d.dep_kinds.iter().any(|k| shipped(k.kind)));
                (node.id.clone(), kinds.map(|d| d.pkg.clone()).collect())
            })
            .collect();
        Self { metadata, needs }
    }

    /// Every crate of the graph.
    pub fn packages(&self) -> &[Package] {
        &self.metadata.packages
    }

    /// The workspace's own crates by name.
    pub fn members(&self) -> BTreeMap<&str, &Package> {
        let members = self.metadata.workspace_packages();
        members.into_iter().map(|p| (p.name.as_str(), p)).collect()
    }

    /// Names of everything that a member is built from at any depth, itself left out. What only its
    /// tests use does not count.
    pub fn reach(&self, member: &str) -> BTreeSet<&str> {
        let names: BTreeMap<&PackageId, &str> =
            self.packages().iter().map(|p| (&p.id, p.name.as_str())).collect();
        let mut seen = BTreeSet::new();
        let mut open = vec![&self.members()[member].id];
        while let Some(id) = open.pop() {
            for next in &self.needs[id] {
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        seen.into_iter().map(|id| names[id]).collect()
    }
}
