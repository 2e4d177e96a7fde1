//! The unit of rollout: for each class of events its schema, encoder, models and calibrations,
//! under one version and one hash.
//!
//! A bundle's bytes are canonical, so training twice from the same rows and seed gives the same
//! hash. Loading refuses any altered byte, decodes each model through the catalogue, and re-scores
//! reference rows: a node whose arithmetic differs finds out before it judges a real event. How
//! bundles travel and which one is active is decided elsewhere.

use crate::blend::Blend;
use crate::calibration::Calibrator;
use crate::detector::{self, Model};
use crate::detectors::CATALOGUE;
use crate::encoder::Encoder;
use crate::schema::Schema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use threat::{DetectorKind, EventClass, Timestamp, codec};

mod class;
mod reference;
pub use reference::{REFERENCE_ROWS, Reference, ReferenceRow};

/// Version of the sealed frame's bytes and of its payload's.
const FORMAT: u8 = 2;

/// Bytes of the words that say what a bundle was trained from: a line, not a report.
pub const DESCRIPTION_BYTES: usize = 1_024;

/// Why a bundle could not be made or loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not such a frame.
    #[error("bundle: {0}")]
    Codec(#[from] codec::Error),
    /// The content is not what its hash names.
    #[error("{0} does not match its hash")]
    Hash(String),
    /// The words that say what it was trained from are too long.
    #[error("description of {0} bytes is over the limit of {DESCRIPTION_BYTES}")]
    Description(usize),
    /// A class's parts do not fit together.
    #[error("class {class}: {reason}")]
    Class {
        /// Which class.
        class: &'static str,
        /// What does not fit.
        reason: String,
    },
    /// No detector of this build reads the artifact.
    #[error("class {class}: this build has no detector {detector} of format {format}")]
    Unknown {
        /// Which class.
        class: &'static str,
        /// Which detector.
        detector: &'static str,
        /// Its artifact's format.
        format: u8,
    },
    /// A detector refused its artifact or the reference rows.
    #[error("class {class}, detector {detector}: {source}")]
    Model {
        /// Which class.
        class: &'static str,
        /// Which detector.
        detector: &'static str,
        /// Why.
        source: detector::Error,
    },
    /// A reference row scores differently here than where the bundle was made.
    #[error(
        "class {class}, detector {detector}: reference row {row} scores {got}, expected {expected}"
    )]
    SelfTest {
        /// Which class.
        class: &'static str,
        /// Which detector.
        detector: &'static str,
        /// Which reference row.
        row: usize,
        /// The score in the bundle, or `abstained`.
        expected: String,
        /// The score here.
        got: String,
    },
}

/// One model as it is stored: everything that says what it is and where it came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Artifact {
    /// Which detector.
    pub kind: DetectorKind,
    /// Version of `bytes`.
    pub format: u8,
    /// Hash of the schema that it reads.
    pub schema_hash: [u8; 32],
    /// The model in its own canonical form.
    pub bytes: Vec<u8>,
    /// blake3 of `bytes`.
    pub hash: [u8; 32],
    /// Rows that it learnt from.
    pub rows: u64,
    /// Event time of the first and the last of them.
    pub window: (Timestamp, Timestamp),
    /// Seed of the training.
    pub seed: u64,
    /// What was measured of it, by name.
    pub metrics: BTreeMap<String, f64>,
}

impl Artifact {
    /// Decodes the model through the catalogue, having checked the hash.
    pub fn open(&self, class: EventClass) -> Result<Arc<dyn Model>, Error> {
        let (class, detector) = (class.name(), self.kind.name());
        if blake3::hash(&self.bytes) != self.hash {
            return Err(Error::Hash(format!("artifact {detector} of class {class}")));
        }
        let entry = CATALOGUE
            .iter()
            .find(|e| e.kind == self.kind && e.format == self.format)
            .ok_or(Error::Unknown { class, detector, format: self.format })?;
        let model = (entry.decode)(&self.bytes);
        let model = model.map_err(|source| Error::Model { class, detector, source })?;
        if model.kind() == self.kind {
            Ok(model)
        } else {
            let reason = format!("artifact {detector} holds a {}", model.kind().name());
            Err(Error::Class { class, reason })
        }
    }
}

/// Everything that scores one class of events.
#[derive(Clone, Debug)]
pub struct ClassModels {
    /// The class's features.
    pub schema: Arc<Schema>,
    /// From features to the columns that the models read.
    pub encoder: Encoder,
    /// The three voters of the class. One without a model abstains.
    pub voters: [DetectorKind; 3],
    /// The models with their calibrations, in catalogue order.
    pub models: Vec<(DetectorKind, Arc<dyn Model>, Calibrator)>,
    /// What was measured of each model, by name; finite.
    pub metrics: BTreeMap<DetectorKind, BTreeMap<String, f64>>,
    /// How the tails become one answer.
    pub ensemble: Blend,
    /// Rows with their expected scores.
    pub reference: Reference,
    /// Rows that the models learnt from.
    pub rows: u64,
    /// Event time of the first and the last of them.
    pub window: (Timestamp, Timestamp),
}

impl ClassModels {
    /// The model and calibration of a detector, if the class has one.
    pub fn model(&self, kind: DetectorKind) -> Option<(&Arc<dyn Model>, &Calibrator)> {
        self.models.iter().find(|m| m.0 == kind).map(|m| (&m.1, &m.2))
    }

    /// Rows a day over the training window; `None` when it is too short to tell (under a minute).
    pub fn events_per_day(&self) -> Option<f64> {
        let seconds = self.window.1.since(self.window.0);
        (seconds >= 60.0).then(|| self.rows as f64 * 86_400.0 / seconds)
    }
}

/// All models, thresholds' calibrations and schemas under one version.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// Grows with every bundle of a cluster.
    pub version: u32,
    /// blake3 of the canonical content.
    pub hash: [u8; 32],
    /// What each class of events is scored with.
    pub classes: BTreeMap<EventClass, ClassModels>,
    /// What it was trained from, in words.
    pub created_from: String,
    /// Seed of the training.
    pub seed: u64,
}

/// A bundle's canonical content.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    seed: u64,
    created_from: String,
    classes: BTreeMap<EventClass, class::Stored>,
}

/// A bundle's bytes: the content as bytes, and their hash.
#[derive(Serialize, Deserialize)]
struct Sealed {
    hash: [u8; 32],
    content: Vec<u8>,
}

impl Bundle {
    /// Puts trained classes together, checks that they fit, runs the self-test and computes the
    /// hash.
    pub fn new(
        version: u32,
        seed: u64,
        created_from: impl Into<String>,
        classes: BTreeMap<EventClass, ClassModels>,
    ) -> Result<Self, Error> {
        let mut bundle =
            Self { version, hash: [0; 32], classes, created_from: created_from.into(), seed };
        bundle.check()?;
        bundle.hash = *blake3::hash(&bundle.content()?).as_bytes();
        Ok(bundle)
    }

    /// The first eight bytes of the hash: names the bundle in a verdict.
    pub fn id(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.hash;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// The canonical bytes. Refused when the bundle was changed after its hash was computed.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let content = self.content()?;
        if blake3::hash(&content) != self.hash {
            return Err(Error::Hash("bundle".into()));
        }
        Ok(codec::encode(FORMAT, &Sealed { hash: self.hash, content })?)
    }

    /// Loads a bundle: verifies every hash, decodes every model, checks that the parts fit and
    /// runs the self-test.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let Sealed { hash, content } = codec::decode(FORMAT, bytes)?;
        if blake3::hash(&content) != hash {
            return Err(Error::Hash("bundle".into()));
        }
        let stored: Stored = codec::decode(FORMAT, &content)?;
        let classes = stored.classes.into_iter();
        let classes =
            classes.map(|(class, s)| Ok((class, ClassModels::load(class, s, stored.seed)?)));
        let bundle = Self {
            version: stored.version,
            hash,
            classes: classes.collect::<Result<_, Error>>()?,
            created_from: stored.created_from,
            seed: stored.seed,
        };
        bundle.check()?;
        Ok(bundle)
    }

    /// Re-scores the reference rows of every class and compares bit by bit.
    pub fn self_test(&self) -> Result<(), Error> {
        self.classes.iter().try_for_each(|(&class, models)| models.self_test(class))
    }

    fn check(&self) -> Result<(), Error> {
        if self.created_from.len() > DESCRIPTION_BYTES {
            return Err(Error::Description(self.created_from.len()));
        }
        self.classes.iter().try_for_each(|(&class, models)| models.check(class))?;
        self.self_test()
    }

    fn content(&self) -> Result<Vec<u8>, Error> {
        let classes = self.classes.iter();
        let classes = classes.map(|(&class, m)| Ok((class, m.store(class, self.seed)?)));
        let stored = Stored {
            version: self.version,
            seed: self.seed,
            created_from: self.created_from.clone(),
            classes: classes.collect::<Result<_, Error>>()?,
        };
        Ok(codec::encode(FORMAT, &stored)?)
    }
}

#[cfg(test)]
mod tests;
