//! One class of a bundle: its stored form and the rules that its parts keep.

use super::{Artifact, ClassModels, Error, Reference};
use crate::blend::Blend;
use crate::calibration::Calibrator;
use crate::detectors::CATALOGUE;
use crate::encoder::Encoder;
use crate::schema::Schema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use threat::{DetectorKind, EventClass, Timestamp};

/// A class in a bundle's content.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    schema: Schema,
    encoder: Encoder,
    voters: [DetectorKind; 3],
    models: Vec<(Artifact, Calibrator)>,
    ensemble: Blend,
    reference: Reference,
    rows: u64,
    window: (Timestamp, Timestamp),
}

impl ClassModels {
    pub(super) fn store(&self, class: EventClass, seed: u64) -> Result<Stored, Error> {
        let schema_hash = self.schema.hash();
        let models = self.models.iter().map(|(kind, model, calibrator)| {
            let (class, detector) = (class.name(), kind.name());
            let bytes =
                model.encode().map_err(|source| Error::Model { class, detector, source })?;
            let format = CATALOGUE.iter().find(|e| e.kind == *kind).map(|e| e.format);
            let artifact = Artifact {
                kind: *kind,
                format: format.ok_or(Error::Unknown { class, detector, format: 0 })?,
                schema_hash,
                hash: *blake3::hash(&bytes).as_bytes(),
                bytes,
                rows: self.rows,
                window: self.window,
                seed,
                metrics: self.metrics.get(kind).cloned().unwrap_or_default(),
            };
            Ok((artifact, calibrator.clone()))
        });
        Ok(Stored {
            schema: self.schema.as_ref().clone(),
            encoder: self.encoder.clone(),
            voters: self.voters,
            models: models.collect::<Result<_, Error>>()?,
            ensemble: self.ensemble.clone(),
            reference: self.reference.clone(),
            rows: self.rows,
            window: self.window,
        })
    }

    pub(super) fn load(class: EventClass, stored: Stored, seed: u64) -> Result<Self, Error> {
        let schema_hash = stored.schema.hash();
        let mut metrics = std::collections::BTreeMap::new();
        let mut models = Vec::with_capacity(stored.models.len());
        for (artifact, calibrator) in stored.models {
            let origin = (artifact.schema_hash, artifact.rows, artifact.window, artifact.seed);
            if origin != (schema_hash, stored.rows, stored.window, seed) {
                let reason = format!("artifact {} is of another training", artifact.kind.name());
                return Err(Error::Class { class: class.name(), reason });
            }
            models.push((artifact.kind, artifact.open(class)?, calibrator));
            if !artifact.metrics.is_empty() {
                metrics.insert(artifact.kind, artifact.metrics);
            }
        }
        Ok(Self {
            schema: Arc::new(stored.schema),
            encoder: stored.encoder,
            voters: stored.voters,
            models,
            metrics,
            ensemble: stored.ensemble,
            reference: stored.reference,
            rows: stored.rows,
            window: stored.window,
        })
    }

    /// The rules that the parts of a class keep.
    pub(super) fn check(&self, class: EventClass) -> Result<(), Error> {
        let refuse =
            |reason: &str| Err(Error::Class { class: class.name(), reason: reason.to_owned() });
        if !self.encoder.fits(&self.schema) {
            return refuse("the encoder has other columns than the schema");
        }
        if let Some(problem) = self.ensemble.problem() {
            return refuse(problem);
        }
        let [a, b, c] = self.voters;
        if a == b || b == c || a == c {
            return refuse("a voter is named twice");
        }
        if !self.models.is_sorted_by(|a, b| a.0 < b.0) {
            return refuse("the models are not in catalogue order");
        }
        if self.models.iter().any(|(kind, model, _)| model.kind() != *kind) {
            return refuse("a model is of another kind than its place says");
        }
        if self.metrics.keys().any(|k| self.models.iter().all(|m| m.0 != *k)) {
            return refuse("a metric is of no model");
        }
        if self.metrics.values().flat_map(|m| m.values()).any(|v| !v.is_finite()) {
            return refuse("a metric is no number");
        }
        if self.window.0 > self.window.1 {
            return refuse("the training window ends before it begins");
        }
        self.reference.check(self).or_else(|reason| refuse(&reason))
    }

    /// Re-scores the reference rows and compares bit by bit.
    pub(super) fn self_test(&self, class: EventClass) -> Result<(), Error> {
        for (kind, model, _) in &self.models {
            let (class, detector) = (class.name(), kind.name());
            let got = self
                .reference
                .score(&self.schema, &self.encoder, model)
                .map_err(|source| Error::Model { class, detector, source })?;
            let expected = self.reference.expected.get(kind).map_or(&[][..], Vec::as_slice);
            let differs = (0..got.len()).find(|&row| expected.get(row) != Some(&got[row]));
            if let Some(row) = differs {
                let words = |bits: Option<&Option<u32>>| match bits {
                    Some(Some(bits)) => format!("{} ({bits:#010x})", f32::from_bits(*bits)),
                    Some(None) => "abstained".to_owned(),
                    None => "nothing".to_owned(),
                };
                let (expected, got) = (words(expected.get(row)), words(got.get(row)));
                return Err(Error::SelfTest { class, detector, row, expected, got });
            }
        }
        Ok(())
    }
}
