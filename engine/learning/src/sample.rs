//! The rows that a bundle learns from: a bounded, even sample of what was seen, in event order.

use detection::block::{Block, History, Token};
use detection::features::FeatureBatch;
use ndarray::{Array2, ArrayView1};
use std::collections::BTreeMap;
use std::sync::Arc;
use threat::{EntityId, EventClass, Timestamp};

/// Rows kept of each class: past this more rows did not better a forest or mixture in the study,
/// and the sequence model's training stays within seconds.
pub const CLASS_ROWS: usize = 32_768;

/// Rows of one class after which the first bundle is made: enough for a threshold at one in a
/// thousand to be more than a guess.
pub const FIRST_BUNDLE_ROWS: usize = 2_000;

/// A next bundle is made when the rows seen have grown by this factor.
const NEXT_BUNDLE_FACTOR: u64 = 4;

#[derive(Clone, Debug, Default)]
struct Rows {
    schema: Option<Arc<detection::schema::Schema>>,
    numeric: Vec<f32>,
    categories: Vec<u64>,
    entity: Vec<EntityId>,
    token: Vec<Token>,
    history: Vec<History>,
    time: Vec<Timestamp>,
    seen: u64,
    stride: u64,
}

/// Every `stride`-th row of each class; when full, every second one goes and the stride doubles.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    classes: BTreeMap<EventClass, Rows>,
}

impl Sample {
    /// Adds the rows of a batch for which `keep(place in the batch's rows)` holds.
    pub fn add(&mut self, features: &FeatureBatch, keep: impl Fn(usize) -> bool) {
        for (class, block, places) in &features.blocks {
            let rows = self.classes.entry(*class).or_default();
            for (row, &place) in places.iter().enumerate() {
                if keep(place as usize) {
                    rows.add(block, row);
                }
            }
        }
    }

    /// Adds the row at `place` in the batch's rows.
    pub fn add_row(&mut self, features: &FeatureBatch, place: u32) {
        for (class, block, places) in &features.blocks {
            // Places ascend: a block's rows are in the order of the events.
            if let Ok(row) = places.binary_search(&place) {
                return self.classes.entry(*class).or_default().add(block, row);
            }
        }
    }

    /// Rows seen so far of each class.
    pub fn seen(&self) -> BTreeMap<EventClass, u64> {
        self.classes.iter().map(|(&c, r)| (c, r.seen)).collect()
    }

    /// The sample as blocks without encoding.
    pub fn blocks(&self) -> BTreeMap<EventClass, Block> {
        self.classes.iter().filter_map(|(&c, r)| Some((c, r.block()?))).collect()
    }
}

impl Rows {
    fn add(&mut self, block: &Block, row: usize) {
        let stride = self.stride.max(1);
        let wanted = self.seen.is_multiple_of(stride);
        self.seen += 1;
        if !wanted {
            return;
        }
        self.schema.get_or_insert_with(|| Arc::clone(&block.schema));
        extend(&mut self.numeric, block.raw.row(row));
        extend(&mut self.categories, block.categories.row(row));
        self.entity.push(block.entity[row]);
        self.token.push(block.token[row]);
        self.history.push(block.history[row]);
        self.time.push(block.time[row]);
        if self.entity.len() >= CLASS_ROWS {
            self.thin(block.raw.ncols(), block.categories.ncols());
            self.stride = stride * 2;
        }
    }

    fn thin(&mut self, numeric: usize, categories: usize) {
        let n = self.entity.len();
        keep_even(&mut self.numeric, n, numeric);
        keep_even(&mut self.categories, n, categories);
        keep_even(&mut self.entity, n, 1);
        keep_even(&mut self.token, n, 1);
        keep_even(&mut self.history, n, 1);
        keep_even(&mut self.time, n, 1);
    }

    fn block(&self) -> Option<Block> {
        let schema = Arc::clone(self.schema.as_ref()?);
        let n = self.entity.len();
        Some(Block {
            raw: Array2::from_shape_vec((n, schema.numeric.len()), self.numeric.clone()).ok()?,
            categories: Array2::from_shape_vec(
                (n, schema.categories.len()),
                self.categories.clone(),
            )
            .ok()?,
            encoded: Array2::zeros((n, 0)),
            schema,
            entity: self.entity.clone(),
            token: self.token.clone(),
            history: self.history.clone(),
            time: self.time.clone(),
        })
    }
}

fn extend<T: Copy>(to: &mut Vec<T>, from: ArrayView1<'_, T>) {
    to.extend(from.iter().copied());
}

/// Keeps rows 0, 2, 4, ... of `rows` rows of `width` values.
fn keep_even<T: Copy>(values: &mut Vec<T>, rows: usize, width: usize) {
    let kept = rows.div_ceil(2);
    for row in 0..kept {
        values.copy_within(2 * row * width..(2 * row + 1) * width, row * width);
    }
    values.truncate(kept * width);
}

/// Decides when a bundle is due.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    trained_at: u64,
}

impl Plan {
    /// A bundle is due when a class first has [`FIRST_BUNDLE_ROWS`], and again each time it has
    /// grown fourfold, until the sample is full twice over. Answers once for each.
    pub fn due(&mut self, sample: &Sample) -> bool {
        let most = sample.classes.values().map(|r| r.seen).max().unwrap_or(0);
        let next = if self.trained_at == 0 {
            FIRST_BUNDLE_ROWS as u64
        } else {
            self.trained_at * NEXT_BUNDLE_FACTOR
        };
        let due = most >= next && next <= 2 * CLASS_ROWS as u64;
        if due {
            self.trained_at = most;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use detection::features::schemas;

    fn block(rows: usize, from: usize) -> Block {
        let schema = Arc::new(schemas::of(EventClass::Dns));
        Block {
            raw: Array2::from_shape_fn((rows, schema.numeric.len()), |(r, _)| (from + r) as f32),
            categories: Array2::zeros((rows, schema.categories.len())),
            encoded: Array2::zeros((rows, 0)),
            schema,
            entity: vec![EntityId(1); rows],
            token: vec![0; rows],
            history: vec![History::default(); rows],
            time: (0..rows).map(|r| Timestamp::from_micros((from + r) as i64)).collect(),
        }
    }

    #[test]
    fn the_sample_is_even_bounded_and_in_order() {
        let mut rows = Rows::default();
        let total = CLASS_ROWS * 3 + 17;
        let b = block(total, 0);
        for row in 0..total {
            rows.add(&b, row);
        }
        let kept = rows.block().unwrap();
        assert!(kept.len() < CLASS_ROWS && kept.len() >= CLASS_ROWS / 2);
        let step = rows.stride as f32;
        for (i, v) in kept.raw.column(0).iter().enumerate() {
            assert_eq!(*v, i as f32 * step);
        }
    }
}
