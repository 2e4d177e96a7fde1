//! Learning from known-good data before anything is judged: `watchfire train` and `--baseline`.

use crate::host::Place;
use crate::inputs::{Error as InputError, Input, Next};
use detection::bundle::Bundle;
use detection::features::{Featurizer, Limits, Surroundings};
use intake::Options;
use learning::{Sample, Settings};
use std::sync::Arc;
use threat::SourceId;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("{name}: {source}")]
    Input {
        /// Which.
        name: String,
        /// Why.
        source: InputError,
    },
    /// Training failed.
    #[error(transparent)]
    Training(#[from] learning::Error),
    /// Training panicked.
    #[error("training panicked")]
    Panicked,
}

/// Reads all of `places` and learns from every event in them.
///
/// # Errors
/// When a file cannot be read, or there is too little in them.
pub async fn bundle(
    places: &[Place],
    options: &Options,
    settings: Settings,
) -> Result<(Bundle, u64), Error> {
    let mut surroundings = Surroundings::default();
    let mut featurizer = Featurizer::new(Limits::per_shard(1));
    let mut sample = Sample::default();
    let mut events = 0;
    for (number, place) in places.iter().enumerate() {
        let named = |source| Error::Input { name: place.to_string(), source };
        let id = SourceId(number as u32);
        let mut input = Input::once(id, place, options).map_err(named)?;
        while matches!(input.advance(true).await.map_err(named)?, Next::Ready) {
            let Some(batch) = input.deal() else { continue };
            let batch = Arc::new(batch);
            let around = surroundings.observe(&batch);
            let rows = (0..batch.events.len() as u32).collect();
            let features = featurizer.extract(&batch, rows, &around, None);
            sample.add(&features, |_| true);
            events += batch.events.len() as u64;
        }
    }
    let blocks = sample.blocks();
    let made = tokio::task::spawn_blocking(move || learning::train(&blocks, &settings)).await;
    let bundle = made.map_err(|_| Error::Panicked)??;
    Ok((bundle, events))
}
