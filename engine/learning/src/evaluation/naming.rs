//! Which of the labelled attacks a row looks like, and how surely: the labelled posterior over the
//! binned columns of a row. `unknown` wins where no label has seen such a row.

use detection::block::Block;
use detection::detectors::bayes::posterior::{Belief, Error, PIECES, Posterior};

/// Bins of a column: tenths of the labelled rows.
const BINS: usize = 10;

/// Learnt from labelled attacks.
#[derive(Debug)]
pub struct Namer {
    posterior: Posterior,
    /// Least value of each bin but the first, column by column.
    edges: Vec<Vec<f32>>,
}

impl Namer {
    /// Learns from the rows of an encoded block and the label of each. Columns beyond [`PIECES`]
    /// are left out.
    ///
    /// # Errors
    /// [`Error`], when there are more labels than the posterior holds.
    pub fn learn(block: &Block, labels: &[&str]) -> Result<Self, Error> {
        let columns = block.encoded.columns().into_iter().take(PIECES);
        let edges: Vec<Vec<f32>> = columns
            .map(|column| {
                let mut sorted = column.to_vec();
                sorted.sort_unstable_by(f32::total_cmp);
                let mut edges: Vec<f32> = (1..BINS)
                    .filter_map(|i| sorted.get(i * sorted.len() / BINS))
                    .copied()
                    .collect();
                edges.dedup();
                edges
            })
            .collect();
        let bins = edges.iter().map(|e| e.len() as u32 + 1).collect();
        let mut namer = Self { posterior: Posterior::new(bins)?, edges };
        for (row, label) in labels.iter().enumerate() {
            let evidence = namer.evidence(block, row);
            namer.posterior.observe(label, &evidence)?;
        }
        Ok(namer)
    }

    fn evidence(&self, block: &Block, row: usize) -> Vec<u32> {
        let values = block.encoded.row(row);
        let bin = |(edges, value): (&Vec<f32>, &f32)| edges.partition_point(|e| e <= value) as u32;
        self.edges.iter().zip(values).map(bin).collect()
    }

    /// The likeliest name of a row of an encoded block.
    ///
    /// # Errors
    /// [`Error::Pieces`] when the block has other columns.
    pub fn name(&self, block: &Block, row: usize) -> Result<Option<Belief>, Error> {
        let beliefs = self.posterior.posterior(&self.evidence(block, row))?;
        Ok(beliefs.into_iter().next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use detection::block::History;
    use detection::schema::{Category, Group, Schema};
    use ndarray::Array2;
    use std::sync::Arc;
    use threat::{EntityId, Timestamp};

    fn block(rows: usize, value: impl Fn(usize, usize) -> f32) -> Block {
        let category = |c| Category { name: format!("c{c}"), group: Group::Core };
        let schema = Schema {
            name: "test".into(),
            version: 1,
            numeric: vec![],
            categories: (0..3).map(category).collect(),
            tokens: 0,
        };
        Block {
            schema: Arc::new(schema),
            raw: Array2::zeros((rows, 0)),
            categories: Array2::zeros((rows, 3)),
            encoded: Array2::from_shape_fn((rows, 3), |(r, c)| value(r, c)),
            entity: vec![EntityId(0); rows],
            token: vec![0; rows],
            history: vec![History::default(); rows],
            time: vec![Timestamp::default(); rows],
        }
    }

    #[test]
    fn rows_get_the_name_of_what_they_look_like() {
        // A scan is high in the first column and low in the second, a theft the reverse.
        let taught = block(200, |r, c| ((r + c) % 2) as f32 * 9.0 + (r % 7) as f32 * 0.1);
        let labels: Vec<&str> =
            (0..200).map(|r| if r % 2 == 0 { "theft" } else { "scan" }).collect();
        let namer = Namer::learn(&taught, &labels).unwrap();
        let asked = block(3, |r, c| [[0.3, 9.2, 0.1], [9.1, 0.2, 9.3], [0.1, 0.1, 9.6]][r][c]);
        let told: Vec<Belief> = (0..3).map(|r| namer.name(&asked, r).unwrap().unwrap()).collect();
        assert_eq!((told[0].class.as_str(), told[1].class.as_str()), ("theft", "scan"));
        // What goes with neither is less sure.
        assert!(told[2].mean < told[1].mean.min(told[0].mean), "{told:?}");
    }
}
