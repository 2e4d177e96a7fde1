//! What the actors of the detection path say to each other.
//!
//! Batches and matrices are shared by reference. The slip of a dealt batch travels with it to the
//! threats actor: when it is dropped there, the shard's credit goes back to whoever deals.

use crate::mailbox::Slip;
use detection::bundle::Bundle;
use detection::features::state::Piece;
use detection::features::{Around, FeatureBatch};
use detection::rules::{CorrelationInput, Matched};
use detection::scorers::BatchScores;
use std::sync::Arc;
use std::time::Duration;
use threat::verdict::Absence;
use threat::{DetectorKind, EventBatch, Verdict};
use tokio::sync::oneshot;

/// To a shard's features actor.
#[derive(Debug)]
pub enum FeaturesMessage {
    /// Describe this.
    Deal(Deal),
    /// Tell what changed of entities since this was last asked: between batches, so that it holds
    /// all that was dealt before and nothing of what comes later. The first one begins the noting
    /// of changes.
    Take(oneshot::Sender<Vec<Piece>>),
    /// Go on with what another process remembered of entities.
    Restore(Vec<Piece>),
}

/// A batch on its way to one shard.
#[derive(Debug)]
pub struct Deal {
    /// The batch; numbered in the order in which the node dealt them.
    pub batch: Arc<EventBatch>,
    /// What the node knows around each of its events.
    pub around: Arc<Vec<Around>>,
    /// The events of this shard.
    pub rows: Vec<u32>,
    /// Shards that get a part of this batch.
    pub parts: usize,
    /// The models to use for it.
    pub bundle: Option<Arc<Bundle>>,
    /// When it was read, on the node's clock.
    pub read_at: Duration,
}

/// A part of a batch with its features and rule matches.
#[derive(Debug)]
pub struct Part {
    /// The features.
    pub features: Arc<FeatureBatch>,
    /// What rules matched, for each row.
    pub matched: Vec<Matched>,
    /// Shards that got a part of this batch.
    pub parts: usize,
    /// When the batch was read.
    pub read_at: Duration,
    /// The shard's credit.
    pub slip: Slip,
}

/// To a shard's ensemble actor.
#[derive(Debug)]
pub enum EnsembleMessage {
    /// Decide on this.
    Decide(Box<Part>),
    /// A detector answered.
    Answered {
        /// The batch.
        ticket: u64,
        /// The detector.
        detector: DetectorKind,
        /// Its answer.
        answer: Result<BatchScores, Absence>,
    },
    /// A detector went down, or came up anew: what it was asked before is lost.
    Lost(DetectorKind),
    /// Look at the deadlines.
    Tick,
}

/// To a detector actor.
#[derive(Debug)]
pub enum DetectorMessage {
    /// Score this.
    Score {
        /// The batch.
        ticket: u64,
        /// Its features.
        features: Arc<FeatureBatch>,
    },
    /// The thread is stuck: leave it behind.
    Abandon,
    /// The thread panicked.
    Panicked(String),
}

/// A decided part of a batch, to the threats actor.
#[derive(Debug)]
pub struct Decided {
    /// The features, for explanations and learning.
    pub features: Arc<FeatureBatch>,
    /// A verdict for each row.
    pub verdicts: Vec<Verdict>,
    /// What correlations want to know, by row.
    pub correlations: Vec<Option<CorrelationInput>>,
    /// Shards that got a part of this batch.
    pub parts: usize,
    /// When the batch was read.
    pub read_at: Duration,
    /// The shard's credit.
    pub slip: Slip,
}
