//! From features in their own units to the columns that detectors read: numbers by signed log,
//! standardised and clipped, in the mean with their rank among the training rows (`amount`);
//! categories by surprisal, −ln of their smoothed training frequency (`table`).
//!
//! The encoder also keeps what explanations compare with: quantiles of each number and how often
//! each category value occurred. It reads nothing but the row it encodes, so a row encodes to the
//! same bits alone and in a matrix. Logarithms are computed here with basic IEEE operations alone,
//! so that the bits are also the same on every machine. What a column means is the schema's
//! matter, what an encoded row scores the detectors'.

use crate::schema::{Group, Schema};
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

mod amount;
mod table;
use amount::NumericCode;
pub use amount::{BASELINE, CLIP, DEVIATION_FLOOR};
pub use table::CATEGORY_VALUES;
use table::CategoryCode;

/// What was learnt about the columns of one schema from benign rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Encoder {
    numeric: Vec<NumericCode>,
    categories: Vec<CategoryCode>,
    rows: u64,
}

/// The serialised form: columns in schema order, category values sorted by hash.
#[derive(Serialize, Deserialize)]
struct Parts {
    rows: u64,
    numeric: Vec<NumericCode>,
    categories: Vec<table::Parts>,
}

impl From<Encoder> for Parts {
    fn from(e: Encoder) -> Self {
        let categories = e.categories.into_iter().map(CategoryCode::into_parts).collect();
        Self { rows: e.rows, numeric: e.numeric, categories }
    }
}

impl TryFrom<Parts> for Encoder {
    type Error = String;

    fn try_from(parts: Parts) -> Result<Self, String> {
        if let Some(bad) = parts.numeric.iter().find(|n| !n.is_valid()) {
            return Err(format!("numeric column out of its rules: {bad:?}"));
        }
        let categories = parts
            .categories
            .into_iter()
            .map(|c| CategoryCode::from_parts(c, parts.rows))
            .collect::<Result<_, _>>()?;
        Ok(Self { numeric: parts.numeric, categories, rows: parts.rows })
    }
}

impl Encoder {
    /// Learns from benign rows: `raw` is `rows x schema.numeric`, `categories` is
    /// `rows x schema.categories`. Values that are not numbers count as 0. Without rows, every
    /// number encodes to 0 and every category to the surprisal of one value unseen.
    pub fn fit(schema: &Schema, raw: &Array2<f32>, categories: &Array2<u64>) -> Self {
        debug_assert_eq!(raw.ncols(), schema.numeric.len());
        debug_assert_eq!(categories.ncols(), schema.categories.len());
        let numeric = raw.columns().into_iter().map(|c| NumericCode::fit(c.to_vec())).collect();
        let rows = raw.nrows() as u64;
        let categories = categories.columns().into_iter().zip(&schema.categories);
        let categories = categories.map(|(values, c)| match c.group {
            // Without counts every value encodes to 0.
            Group::Identity => CategoryCode::fit(Vec::new()),
            _ => CategoryCode::fit(values.to_vec()),
        });
        let categories = categories.collect();
        Self { numeric, categories, rows }
    }

    /// Encodes rows: `rows x (numeric + categories)`.
    pub fn encode(&self, raw: ArrayView2<f32>, categories: ArrayView2<u64>) -> Array2<f32> {
        let width = self.width();
        let mut out = vec![0.0f32; raw.nrows() * width];
        let raw = raw.as_standard_layout();
        let categories = categories.as_standard_layout();
        if width > 0 {
            let rows = raw.rows().into_iter().zip(categories.rows());
            for ((numbers, values), out) in rows.zip(out.chunks_exact_mut(width)) {
                let (numbers, values) = (numbers.to_slice(), values.to_slice());
                self.encode_row(numbers.unwrap_or(&[]), values.unwrap_or(&[]), out);
            }
        }
        let shape = (raw.nrows(), width);
        Array2::from_shape_vec(shape, out).unwrap_or_else(|_| Array2::zeros(shape))
    }

    /// Encodes one row into `out`, which is [`width`](Self::width) long.
    pub fn encode_row(&self, raw: &[f32], categories: &[u64], out: &mut [f32]) {
        let (numbers, surprisals) = out.split_at_mut(self.numeric.len().min(out.len()));
        for ((out, &x), code) in numbers.iter_mut().zip(raw).zip(&self.numeric) {
            *out = code.encode(x);
        }
        for ((out, &hash), code) in surprisals.iter_mut().zip(categories).zip(&self.categories) {
            *out = code.surprisal(hash);
        }
    }

    /// Encodes one amount of numeric column `column`; 0 for a column that is not numeric.
    pub fn encode_numeric(&self, column: usize, x: f32) -> f32 {
        self.numeric.get(column).map_or(0.0, |n| n.encode(x))
    }

    /// Encoded columns: numeric ones, then one for each category.
    pub fn width(&self) -> usize {
        self.numeric.len() + self.categories.len()
    }

    /// Numeric columns.
    pub fn numeric(&self) -> usize {
        self.numeric.len()
    }

    /// Rows that this was learnt from.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether this encodes rows of `schema`, as far as the number of columns tells.
    pub fn fits(&self, schema: &Schema) -> bool {
        self.numeric.len() == schema.numeric.len()
            && self.categories.len() == schema.categories.len()
    }

    /// The 5, 50 and 95% quantiles of a numeric column's training values, in its own unit; zeros
    /// for a column that is not numeric.
    pub fn baseline(&self, column: usize) -> [f32; 3] {
        self.numeric.get(column).map_or([0.0; 3], |n| n.stored.quantiles)
    }

    /// Share of training rows with that value in category column `column` (counted from the first
    /// category); 0 for an unseen value.
    pub fn frequency(&self, column: usize, hash: u64) -> f32 {
        let count = self.categories.get(column).map_or(0, |c| c.count(hash));
        if self.rows == 0 { 0.0 } else { (count as f64 / self.rows as f64) as f32 }
    }

    /// The most frequent training value of category column `column` (counted from the first
    /// category), the smaller hash of equally frequent ones; `None` when no row was seen.
    pub fn most_frequent(&self, column: usize) -> Option<u64> {
        self.categories.get(column).and_then(CategoryCode::most_frequent)
    }

    /// The amount, in the feature's own unit, that encodes to `encoded` in numeric column
    /// `column`; the constant of a constant column; 0 for a column that is not numeric.
    pub fn decode_numeric(&self, column: usize, encoded: f32) -> f32 {
        self.numeric.get(column).map_or(0.0, |n| n.decode(encoded))
    }
}

/// sign(x)·ln(1 + |x|) of a finite number.
fn signed_log(x: f32) -> f64 {
    ln_from_one(1.0 + f64::from(x.abs())).copysign(f64::from(x))
}

/// ln(y) for a finite `y` ≥ 1, within 1e-11 relative, by basic operations alone: y = m·2^e with m
/// around 1, then ln m = 2·artanh((m − 1)/(m + 1)) by its series.
pub(crate) fn ln_from_one(y: f64) -> f64 {
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    let bits = y.to_bits();
    // Counted from √½, so that m lies in [√½, √2) and small arguments lose nothing.
    let exponent = (bits.wrapping_sub(SQRT_HALF) as i64 >> 52) as i32;
    let m = f64::from_bits(bits.wrapping_sub((exponent as i64 as u64) << 52));
    let s = (m - 1.0) / (m + 1.0);
    let q = s * s;
    let high = q * (1.0 / 9.0 + q * (1.0 / 11.0 + q * (1.0 / 13.0 + q * (1.0 / 15.0))));
    let series = 1.0 + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + high)));
    f64::from(exponent) * std::f64::consts::LN_2 + 2.0 * s * series
}

#[cfg(test)]
mod tests;
