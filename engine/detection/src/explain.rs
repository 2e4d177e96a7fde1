//! Reasons for a verdict: which features pulled the voters' scores up, beside what is usual, and
//! everything that it takes to score the event again.

use crate::block::{Block, History};
use crate::bundle::{Bundle, ClassModels};
use crate::detector::RowScore;
use crate::ensemble::{asked, inputs_hash};
use crate::features::FeatureBatch;
use crate::features::rows::{self, Row};
use ndarray::Array2;
use std::collections::BTreeMap;
use std::sync::Arc;
use threat::verdict::Ballot;
use threat::{
    Body, Contribution, DetectorKind, EntityId, Event, EventClass, Example, Replay, Text,
    Timestamp, Verdict,
};

/// Contributions kept with an example: the ones after the eighth never mattered to a reader.
pub const CONTRIBUTIONS: usize = 8;

/// Bytes of the raw record kept with an example.
pub const RAW_BYTES: usize = 2_048;

/// Why a stored finding does not re-score.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bundle has no models for the class.
    #[error("the bundle has no models for {0:?} events")]
    NoModels(EventClass),
    /// The stored inputs do not fit the bundle's schema.
    #[error("stored inputs have {got} columns, the schema has {expected}")]
    Shape {
        /// Columns of the schema.
        expected: usize,
        /// Columns stored.
        got: usize,
    },
    /// A detector failed.
    #[error(transparent)]
    Detector(#[from] crate::detector::Error),
}

/// The example of row `place` of a feature batch with its verdict.
pub fn example(features: &FeatureBatch, place: usize, verdict: &Verdict, source: &str) -> Example {
    let event = &features.batch.events[features.rows[place] as usize];
    let class = event.class();
    let raw = features.batch.raw(event);
    let shown = &raw[..raw.len().min(RAW_BYTES)];
    let row = features.blocks.iter().find_map(|(_, block, places)| {
        places.iter().position(|&p| p as usize == place).map(|row| (block, row))
    });
    let models = features.bundle.as_ref().and_then(|b| b.classes.get(&class));
    let mut row_words = Row { words: Some(Vec::new()), ..Row::default() };
    rows::fill(event, raw.len(), &features.windows[place], &mut row_words);
    let words = row_words.words.unwrap_or_default();
    Example {
        time: event.time,
        source: source.into(),
        position: event.position,
        raw: String::from_utf8_lossy(shown).into_owned(),
        class,
        summary: summary(event),
        verdict: verdict.clone(),
        contributions: match (row, models) {
            (Some((block, row)), Some(models)) => {
                contributions(models, block, row, verdict, &words)
            }
            _ => Vec::new(),
        },
        replay: row.map(|(block, row)| replay(block, row)).unwrap_or_default(),
    }
}

/// What scoring a row again needs.
pub fn replay(block: &Block, row: usize) -> Replay {
    Replay {
        numeric: block.raw.row(row).to_vec(),
        categories: block.categories.row(row).to_vec(),
        token: block.token[row],
        history: block.history[row].as_slice().to_vec(),
    }
}

/// Shares of the encoded columns in the scores of the voters that took the row for a threat (of all
/// that voted when none did), each voter counting the same.
pub fn contributions(
    models: &ClassModels,
    block: &Block,
    row: usize,
    verdict: &Verdict,
    words: &[Text],
) -> Vec<Contribution> {
    let any = verdict.votes.iter().any(|v| matches!(v.ballot, Ballot::Voted { threat: true, .. }));
    let mut shares: BTreeMap<usize, f32> = BTreeMap::new();
    let mut usual: BTreeMap<usize, f32> = BTreeMap::new();
    for vote in &verdict.votes {
        let counted = match vote.ballot {
            Ballot::Voted { threat, .. } => threat || !any,
            _ => false,
        };
        let Some((model, _)) = models.model(vote.detector).filter(|_| counted) else { continue };
        let explanation = model.explain(block, row);
        usual.extend(&explanation.usual);
        let reasons = explanation.contributions;
        let total: f32 = reasons.iter().map(|(_, c)| c.max(0.0)).sum();
        for (column, c) in reasons.into_iter().filter(|&(_, c)| c > 0.0 && total > 0.0) {
            *shares.entry(column).or_default() += c / total;
        }
    }
    let sum: f32 = shares.values().sum();
    let mut sorted: Vec<(usize, f32)> = shares.into_iter().collect();
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    sorted
        .into_iter()
        .take(CONTRIBUTIONS)
        .map(|(column, share)| {
            let mut told = contribution(models, block, row, column, share / sum, words);
            // How usual it is for the account itself says more than how usual it is for all.
            told.frequency = usual.get(&column).copied().or(told.frequency);
            told
        })
        .collect()
}

fn contribution(
    models: &ClassModels,
    block: &Block,
    row: usize,
    column: usize,
    share: f32,
    words: &[Text],
) -> Contribution {
    let feature = block.schema.column(column).into();
    match column.checked_sub(block.schema.numeric.len()) {
        None => {
            let value = block.raw[(row, column)];
            Contribution {
                feature,
                share,
                observed: Text::from(format!("{value}")),
                value: Some(value),
                baseline: Some(models.encoder.baseline(column)),
                frequency: None,
            }
        }
        Some(category) => Contribution {
            feature,
            share,
            observed: words.get(category).cloned().unwrap_or_else(|| "?".into()),
            value: None,
            baseline: None,
            frequency: Some(models.encoder.frequency(category, block.categories[(row, category)])),
        },
    }
}

/// One row, ready to be scored, made of a stored finding's inputs.
///
/// # Errors
/// When the bundle has no models for the class or its schema is another.
pub fn block_of(bundle: &Bundle, class: EventClass, replay: &Replay) -> Result<Block, Error> {
    let models = bundle.classes.get(&class).ok_or(Error::NoModels(class))?;
    let schema = Arc::clone(&models.schema);
    let got = replay.numeric.len() + replay.categories.len();
    let shape = Error::Shape { expected: schema.width(), got };
    let raw = Array2::from_shape_vec((1, schema.numeric.len()), replay.numeric.clone());
    let categories =
        Array2::from_shape_vec((1, schema.categories.len()), replay.categories.clone());
    let (Ok(raw), Ok(categories)) = (raw, categories) else { return Err(shape) };
    let mut history = History::default();
    for &token in &replay.history {
        history.push(token);
    }
    Ok(Block {
        encoded: models.encoder.encode(raw.view(), categories.view()),
        schema,
        raw,
        categories,
        entity: vec![EntityId(0)],
        token: vec![replay.token],
        history: vec![history],
        time: vec![Timestamp::default()],
    })
}

/// A stored finding scored again: every detector's score, and the hash of the inputs.
///
/// # Errors
/// As [`block_of`], and whatever a detector says.
pub fn rescore(
    bundle: &Bundle,
    class: EventClass,
    replay: &Replay,
) -> Result<(Vec<(DetectorKind, RowScore)>, u64), Error> {
    let block = block_of(bundle, class, replay)?;
    let models = bundle.classes.get(&class).ok_or(Error::NoModels(class))?;
    let mut scores = Vec::new();
    for kind in asked(class) {
        if let Some((model, _)) = models.model(kind) {
            let mut out = Vec::new();
            Arc::clone(model).scorer().score(&block, &mut out)?;
            scores.extend(out.first().map(|&s| (kind, s)));
        }
    }
    Ok((scores, inputs_hash(&block, 0)))
}

/// Who did what to whom, in a line.
pub fn summary(event: &Event) -> String {
    let side = |e: &Option<threat::Endpoint>| match e {
        None => "?".to_owned(),
        Some(threat::Endpoint { host, port: None }) => host.to_string(),
        Some(threat::Endpoint { host, port: Some(port) }) => format!("{host}:{port}"),
    };
    let text = |t: &Option<Text>| t.as_deref().unwrap_or("-").to_owned();
    let what = match &event.body {
        Body::Flow(f) => format!(
            "{} {} {}, {} bytes out, {} in",
            f.protocol.name(),
            text(&f.service),
            f.state.name(),
            f.orig_bytes.unwrap_or(0),
            f.resp_bytes.unwrap_or(0)
        ),
        Body::Http(h) => format!("{} http://{}{}", text(&h.method), text(&h.host), text(&h.uri)),
        Body::Dns(d) => format!("asks {} {}: {}", text(&d.qtype), text(&d.query), text(&d.rcode)),
        Body::Tls(t) => format!("tls to {}", text(&t.server_name)),
        Body::Authentication(a) => format!(
            "{} logon {} as {}",
            text(&a.service),
            a.outcome.name(),
            event.user.as_deref().unwrap_or("?")
        ),
        Body::Finding(f) => format!("alert: {}", f.name),
        Body::File(f) => format!("file {} ({})", text(&f.name), text(&f.mime)),
        Body::Anomaly(a) => format!("oddity: {}", a.name),
        Body::Generic => event.origin.service.to_string(),
    };
    match (&event.src, &event.dst) {
        (None, None) => what,
        _ => format!("{} -> {} {what}", side(&event.src), side(&event.dst)),
    }
}
