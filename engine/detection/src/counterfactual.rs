//! What would have had to be different: a small set of feature changes after which an event would
//! not be a threat (after Wachter, Mittelstadt, Russell: "Counterfactual explanations without
//! opening the black box", 2018).
//!
//! The search moves one column after another to what is ordinary, the benign median or the most
//! frequent value, the column that contributed most first, until the verdict flips. Then it takes
//! back every change that was not needed, and moves each number as far back as the verdict allows,
//! so that the answer tells where the border is. The answer is minimal in that no single change of
//! it can be left out (while evaluations last), not that no other answer is smaller. Who scores,
//! and by which quorum, is the caller's matter.

use crate::encoder::Encoder;
use serde::{Deserialize, Serialize};

/// Evaluations that one search may spend: each scores one row with all voters, about 10 µs, and a
/// schema of a hundred columns needs about two a column.
pub const EVALUATIONS: usize = 256;

/// Halvings that bring a number near the border: to a thirtieth of the way, on the scale of its
/// encoded column; finer borders would pretend to an exactness that no reader needs.
const HALVINGS: usize = 5;

/// A feature's value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Of a numeric column, in its own unit.
    Number(f32),
    /// Of a category column: the hash of its value.
    Category(u64),
}

/// A change of one feature.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The encoded column: numeric ones first, then categories.
    pub column: usize,
    /// What the event has.
    pub from: Value,
    /// What it would have had to have.
    pub to: Value,
}

/// Finds changes that make the event benign, those of the greatest contributors first.
///
/// `raw` and `categories` are the event's row; `order` names encoded columns, the greatest
/// contributors first, and the columns that it leaves out are tried last; `threat` says whether a
/// row is still a threat. An empty list means that the row is none as it is; `None` that moving
/// every column does not flip the verdict or that [`EVALUATIONS`] did not suffice.
pub fn search(
    encoder: &Encoder,
    raw: &[f32],
    categories: &[u64],
    order: &[usize],
    mut threat: impl FnMut(&[f32], &[u64]) -> bool,
) -> Option<Vec<Change>> {
    let mut row = Row { raw: raw.to_vec(), categories: categories.to_vec() };
    let mut left = EVALUATIONS;
    let mut is_threat = |row: &Row| {
        left = left.checked_sub(1)?;
        Some(threat(&row.raw, &row.categories))
    };
    if !is_threat(&row)? {
        return Some(Vec::new());
    }
    let width = raw.len() + categories.len();
    let mut tried = vec![false; width];
    let mut changes: Vec<Change> = Vec::new();
    let mut benign = false;
    for column in order.iter().copied().filter(|&c| c < width).chain(0..width) {
        if std::mem::replace(&mut tried[column], true) {
            continue;
        }
        let (Some(from), Some(to)) = (row.get(column), ordinary(encoder, raw.len(), column)) else {
            continue;
        };
        if from == to {
            continue;
        }
        row.set(column, to);
        changes.push(Change { column, from, to });
        if !is_threat(&row)? {
            benign = true;
            break;
        }
    }
    if !benign {
        return None;
    }
    prune(&mut row, &mut changes, &mut is_threat);
    for change in &mut changes {
        retreat(encoder, &mut row, change, &mut is_threat);
    }
    Some(changes)
}

/// Takes changes back, the least contributors first, again and again until each is needed. Out of
/// evaluations, what is left flips the verdict all the same.
fn prune(row: &mut Row, changes: &mut Vec<Change>, threat: &mut impl FnMut(&Row) -> Option<bool>) {
    loop {
        let before = changes.len();
        for at in (0..before).rev() {
            let Change { column, from, to } = changes[at];
            row.set(column, from);
            if threat(row) == Some(false) {
                changes.remove(at);
            } else {
                row.set(column, to);
            }
        }
        if changes.len() == before {
            return;
        }
    }
}

/// Moves a changed number back towards what the event has, to the last place tried at which the
/// row is benign.
fn retreat(
    encoder: &Encoder,
    row: &mut Row,
    change: &mut Change,
    threat: &mut impl FnMut(&Row) -> Option<bool>,
) {
    let (Value::Number(from), Value::Number(to)) = (change.from, change.to) else {
        return;
    };
    let column = change.column;
    let mut far = encoder.encode_numeric(column, from);
    let mut near = encoder.encode_numeric(column, to);
    for _ in 0..HALVINGS {
        let middle = (far + near) / 2.0;
        let value = Value::Number(encoder.decode_numeric(column, middle));
        row.set(column, value);
        match threat(row) {
            Some(false) if near != far => (near, change.to) = (middle, value),
            Some(true) => far = middle,
            _ => break,
        }
    }
    row.set(column, change.to);
}

/// The ordinary value of an encoded column.
pub fn ordinary(encoder: &Encoder, numeric: usize, column: usize) -> Option<Value> {
    match column.checked_sub(numeric) {
        None => Some(Value::Number(encoder.baseline(column)[1])),
        Some(category) => encoder.most_frequent(category).map(Value::Category),
    }
}

/// The row as changed so far.
struct Row {
    raw: Vec<f32>,
    categories: Vec<u64>,
}

impl Row {
    fn get(&self, column: usize) -> Option<Value> {
        match column.checked_sub(self.raw.len()) {
            None => self.raw.get(column).copied().map(Value::Number),
            Some(c) => self.categories.get(c).copied().map(Value::Category),
        }
    }

    fn set(&mut self, column: usize, value: Value) {
        let numeric = self.raw.len();
        match value {
            Value::Number(x) => self.raw[column] = x,
            Value::Category(hash) => self.categories[column - numeric] = hash,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Category, Group, Numeric, Schema};
    use ndarray::Array2;
    use proptest::prelude::{any, prop, prop_assert, proptest};

    const NUMERIC: usize = 4;

    /// Medians are 50, the most frequent category is 7.
    fn encoder() -> Encoder {
        let numeric = (0..NUMERIC).map(|i| Numeric {
            name: format!("n{i}"),
            group: Group::Core,
            unit: "count".into(),
            volume: true,
        });
        let categories = (0..2).map(|i| Category { name: format!("c{i}"), group: Group::Core });
        let schema = Schema {
            name: "test".into(),
            version: 1,
            numeric: numeric.collect(),
            categories: categories.collect(),
            tokens: 0,
        };
        let raw = Array2::from_shape_fn((101, NUMERIC), |(r, _)| r as f32);
        Encoder::fit(&schema, &raw, &Array2::from_shape_fn((101, 2), |(r, _)| 7 * u64::from(r > 9)))
    }

    const RAW: [f32; NUMERIC] = [900.0, 1.0, 800.0, 50.0];
    const KINDS: [u64; 2] = [3, 7];

    #[test]
    fn only_what_is_needed_is_changed() {
        // A threat while both column 2 is large and the first category is odd.
        let rule = |raw: &[f32], kinds: &[u64]| raw[2] > 100.0 && kinds[0] == 3;
        let found = search(&encoder(), &RAW, &KINDS, &[0, 1, 2, 4], rule).unwrap();
        assert_eq!((found.len(), found[0].column), (1, 2));
        assert_eq!(found[0].from, Value::Number(800.0));
        // The answer lies at the border, not at the median.
        let Value::Number(to) = found[0].to else { panic!("{found:?}") };
        assert!((85.0..=100.0).contains(&to), "{to}");
        // The category alone, when it contributed most.
        let found = search(&encoder(), &RAW, &KINDS, &[4, 0], rule).unwrap();
        assert_eq!(found, [Change { column: 4, from: Value::Category(3), to: Value::Category(7) }]);
    }

    #[test]
    fn several_changes_and_columns_beyond_the_order() {
        let rule = |raw: &[f32], kinds: &[u64]| raw[0] > 100.0 || kinds[0] == 3;
        let found = search(&encoder(), &RAW, &KINDS, &[0, 99, 0], rule).unwrap();
        assert_eq!(found.iter().map(|c| c.column).collect::<Vec<_>>(), [0, 4]);
    }

    #[test]
    fn benign_rows_need_nothing_and_stubborn_ones_get_no_answer() {
        assert_eq!(search(&encoder(), &RAW, &KINDS, &[0], |_, _| false), Some(vec![]));
        assert_eq!(search(&encoder(), &RAW, &KINDS, &[0], |_, _| true), None);
    }

    #[test]
    fn evaluations_are_bounded() {
        let mut asked = 0;
        let wide = vec![1.0f32; 2_000];
        let schema = Schema {
            name: "wide".into(),
            version: 1,
            numeric: (0..2_000)
                .map(|i| Numeric {
                    name: format!("n{i}"),
                    group: Group::Core,
                    unit: "count".into(),
                    volume: false,
                })
                .collect(),
            categories: vec![],
            tokens: 0,
        };
        let encoder = Encoder::fit(&schema, &Array2::zeros((70, 2_000)), &Array2::zeros((70, 0)));
        let answer = search(&encoder, &wide, &[], &[], |_, _| {
            asked += 1;
            true
        });
        assert_eq!((answer, asked), (None, EVALUATIONS));
    }

    proptest! {
        #[test]
        fn an_answer_flips_the_verdict_and_no_change_of_it_is_idle(
            need in any::<[bool; 6]>(),
            least in 1usize..4,
            order in prop::collection::vec(0usize..8, 0..9),
        ) {
            // A threat while fewer than `least` of the needed columns are ordinary.
            let rule = |raw: &[f32], kinds: &[u64]| {
                let ordinary = raw.iter().map(|&x| x == 50.0).chain(kinds.iter().map(|&k| k == 7));
                ordinary.zip(need).filter(|&(o, n)| o && n).count() < least
            };
            if let Some(found) = search(&encoder(), &RAW, &KINDS, &order, rule) {
                for left_out in 0..=found.len() {
                    let mut row = Row { raw: RAW.to_vec(), categories: KINDS.to_vec() };
                    for (i, c) in found.iter().enumerate() {
                        if i != left_out {
                            row.set(c.column, c.to);
                        }
                    }
                    let threat = rule(&row.raw, &row.categories);
                    prop_assert!(threat == (left_out < found.len()), "{found:?}");
                }
            }
        }
    }
}
