//! What the density finds, that explanations add up, and that artifacts are canonical and checked.

use super::*;
use crate::block::History;
use crate::schema::{Category, Group, Numeric};
use ndarray::Array2;
use threat::entropy::Rng;
use threat::{EntityId, Timestamp};

fn schema(volumes: usize, others: usize, categories: usize) -> Arc<Schema> {
    let numeric = |i| Numeric {
        name: format!("n{i}"),
        group: Group::Core,
        unit: "bytes".into(),
        volume: i < volumes,
    };
    let category = |i| Category { name: format!("c{i}"), group: Group::Core };
    Arc::new(Schema {
        name: "test".into(),
        version: 1,
        numeric: (0..volumes + others).map(numeric).collect(),
        categories: (0..categories).map(category).collect(),
        tokens: 0,
    })
}

fn block(schema: &Arc<Schema>, rows: &[Vec<f32>]) -> Block {
    let width = schema.width();
    let flat: Vec<f32> = rows.concat();
    Block {
        schema: Arc::clone(schema),
        raw: Array2::zeros((rows.len(), schema.numeric.len())),
        categories: Array2::zeros((rows.len(), schema.categories.len())),
        encoded: Array2::from_shape_vec((rows.len(), width), flat).unwrap(),
        entity: vec![EntityId(1); rows.len()],
        token: vec![0; rows.len()],
        history: vec![History::default(); rows.len()],
        time: vec![Timestamp::default(); rows.len()],
    }
}

/// Three clusters in three volumes, a fourth column that is noise, two surprisals.
fn benign(count: usize, seed: u64) -> Vec<Vec<f32>> {
    const CENTRES: [[f64; 3]; 3] = [[-1.5, 0.0, 1.0], [0.5, 1.5, -1.0], [1.5, -1.0, 0.5]];
    let mut rng = Rng::new(seed);
    let row = |_| {
        let centre = CENTRES[rng.below(3)];
        let mut row: Vec<f32> = centre.iter().map(|c| (c + 0.2 * rng.normal()) as f32).collect();
        row.push(rng.normal() as f32);
        row.push(rng.exponential(0.15) as f32);
        row.push(rng.exponential(0.15) as f32);
        row
    };
    (0..count).map(row).collect()
}

fn options() -> TrainOptions {
    TrainOptions { seed: 3 }
}

fn trained() -> (Arc<Schema>, Bayes) {
    let schema = schema(3, 1, 2);
    let model = Bayes::train(&block(&schema, &benign(3_000, 1)), &options()).unwrap();
    (schema, model)
}

fn scores(model: &Bayes, block: &Block) -> Vec<f32> {
    let mut out = Vec::new();
    Arc::new(model.clone()).scorer().score(block, &mut out).unwrap();
    let number = |s: &RowScore| match s {
        RowScore::Score(x) => *x,
        RowScore::Abstain => panic!("abstained"),
    };
    out.iter().map(number).collect()
}

/// Share of pairs in which the odd row scores higher.
fn auc(benign: &[f32], odd: &[f32]) -> f64 {
    let wins = odd.iter().flat_map(|o| benign.iter().map(move |b| f64::from(u8::from(o > b))));
    wins.sum::<f64>() / (benign.len() * odd.len()) as f64
}

#[test]
fn rows_between_clusters_and_rare_kinds_stand_out() {
    let (schema, model) = trained();
    let usual = scores(&model, &block(&schema, &benign(1_000, 2)));
    let mut rng = Rng::new(5);
    // Each column alone lies within the benign range: only together they are odd.
    let between: Vec<Vec<f32>> = (0..300)
        .map(|_| {
            let noise = |rng: &mut Rng| 0.2 * rng.normal() as f32;
            vec![-1.5 + noise(&mut rng), 1.5 + noise(&mut rng), 0.5, 0.0, 0.3, 0.3]
        })
        .collect();
    let found = auc(&usual, &scores(&model, &block(&schema, &between)));
    assert!(found > 0.99, "amounts: {found}");
    let mut rare = benign(300, 6);
    rare.iter_mut().for_each(|r| r[5] = 8.0);
    let found = auc(&usual, &scores(&model, &block(&schema, &rare)));
    assert!(found > 0.99, "kinds: {found}");
    let mut noisy = benign(300, 7);
    noisy.iter_mut().for_each(|r| r[3] = 15.0);
    let found = auc(&usual, &scores(&model, &block(&schema, &noisy)));
    assert!((0.4..0.6).contains(&found), "a column that is no volume is not modelled: {found}");
}

#[test]
fn the_prior_empties_needless_components() {
    let (schema, model) = trained();
    let kept = model.components();
    assert!((3..=24).contains(&kept), "{kept} of 48 for three clusters");
    let weight: f64 = model.mixture.weight.iter().sum();
    assert!((weight - 1.0).abs() < 1e-9);
    let rows = block(&schema, &benign(500, 9));
    let mean = scores(&model, &rows).iter().sum::<f32>() / 500.0;
    // Entropy of the truth: ln 3 + 3 (½ ln 2πe·0.04) of clusters, less what the floor costs.
    assert!(mean.is_finite() && mean < 10.0, "{mean}");
}

#[test]
fn explanations_add_up_and_name_the_odd_column() {
    let (schema, model) = trained();
    let mut rows = benign(200, 4);
    rows.push(vec![-1.5, 0.0, 6.0, 0.0, 0.2, 0.1]);
    rows.push(vec![-1.5, 0.0, 1.0, 0.0, 0.2, 9.0]);
    let block = block(&schema, &rows);
    for (row, score) in scores(&model, &block).into_iter().enumerate() {
        let e = model.explain(&block, row);
        assert_eq!(e.score.to_bits(), score.to_bits());
        let sum: f32 = e.contributions.iter().map(|c| c.1).sum();
        assert!((e.base + sum + e.unattributed - score).abs() < 1e-3);
        assert!(e.unattributed.abs() <= 0.05 * score.abs().max(1.0), "{e:?}");
        assert!(e.contributions.windows(2).all(|w| w[0].1 >= w[1].1));
    }
    let amount = model.explain(&block, 200);
    assert_eq!(amount.contributions[0].0, 2, "{amount:?}");
    assert!(amount.path[0].contains("n2 6.00 against"), "{:?}", amount.path);
    let kind = model.explain(&block, 201);
    assert_eq!(kind.contributions[0].0, 5, "{kind:?}");
    assert!(kind.path.iter().any(|l| l.starts_with("c1 is the rarest kind: surprisal 9.00")));
    assert!((kind.contributions[0].1 - 5.0 * (9.0 - model.usual_surprisal())).abs() < 1e-4);
}

#[test]
fn density_is_that_of_the_mixture() {
    let (schema, model) = trained();
    let rows = benign(50, 8);
    let got = scores(&model, &block(&schema, &rows));
    for (row, got) in rows.iter().zip(got) {
        let m = &model.mixture;
        let total: f64 = (0..m.weight.len())
            .map(|k| {
                let column = |d: usize| {
                    let c = m.columns[k * 3 + d];
                    let far = f64::from(row[d]) - c.mean;
                    (-0.5 * far * far / c.variance).exp()
                        / (std::f64::consts::TAU * c.variance).sqrt()
                };
                m.weight[k] * (0..3).map(column).product::<f64>()
            })
            .sum();
        let want = -total.ln() + 5.0 * f64::from(row[4].max(row[5]));
        assert!((f64::from(got) - want).abs() < 2e-3, "{got} {want}");
    }
}

#[test]
fn schemas_without_volumes_or_without_numbers_work() {
    let all = schema(0, 4, 2);
    let model = Bayes::train(&block(&all, &benign(500, 1)), &options()).unwrap();
    assert_eq!(model.content.columns, vec![0, 1, 2, 3]);
    let kinds = schema(0, 0, 6);
    let model = Bayes::train(&block(&kinds, &benign(500, 1)), &options()).unwrap();
    let rows = benign(20, 2);
    for (row, score) in rows.iter().zip(scores(&model, &block(&kinds, &rows))) {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert_eq!(score, 5.0 * most);
    }
    let numbers = schema(6, 0, 0);
    let model = Bayes::train(&block(&numbers, &benign(500, 1)), &options()).unwrap();
    assert!(model.explain(&block(&numbers, &rows), 3).unattributed.abs() < 0.01);
}

#[test]
fn training_repeats_and_artifacts_are_checked() {
    let (schema, model) = trained();
    let bytes = model.encode().unwrap();
    assert_eq!(trained().1.encode().unwrap(), bytes);
    let rows = block(&schema, &benign(100, 3));
    assert_eq!(scores(&Bayes::decode(&bytes).unwrap(), &rows), scores(&model, &rows));
    let broken = |change: &dyn Fn(&mut Artifact)| {
        let mut content = model.content.clone();
        change(&mut content);
        Bayes::decode(&codec::encode(FORMAT, &content).unwrap())
    };
    assert!(broken(&|_| ()).is_ok());
    assert!(broken(&|c| c.statistics.sum[0] = f64::NAN).is_err());
    assert!(broken(&|c| c.statistics.rows[0] = -1.0).is_err());
    assert!(broken(&|c| c.statistics.columns = usize::MAX).is_err());
    assert!(broken(&|c| c.columns[2] = 9).is_err());
    assert!(broken(&|c| c.columns.swap(0, 1)).is_err());
    assert!(broken(&|c| c.rows = 0.0).is_err());
    assert!(broken(&|c| c.numeric = 7).is_err());
    let mut out = Vec::new();
    let narrow = block(&super::tests::schema(2, 0, 0), &[vec![0.0, 0.0]]);
    let got = Arc::new(model).scorer().score(&narrow, &mut out);
    assert!(matches!(got, Err(Error::Width { expected: 6, got: 2 })));
    let few = Bayes::train(&block(&schema, &benign(49, 1)), &options());
    assert!(matches!(few, Err(Error::TooFewRows { needed: 50, got: 49, .. })));
}

#[test]
fn absorbed_rows_become_usual() {
    let (schema, model) = trained();
    let moved = |count, seed| {
        let mut rows = benign(count, seed);
        rows.iter_mut().for_each(|r| r[0] += 1.2);
        block(&schema, &rows)
    };
    let mean = |m: &Bayes| scores(m, &moved(500, 6)).iter().sum::<f32>() / 500.0;
    let before = mean(&model);
    let mut later = model.clone();
    for seed in 20..26 {
        later = later.absorb(&moved(1_000, seed), 0.7).unwrap();
    }
    assert!(mean(&later) < before - 1.0, "{before} to {}", mean(&later));
    assert!(Bayes::decode(&later.encode().unwrap()).is_ok());
    let same = model.absorb(&block(&schema, &[]), 1.0).unwrap();
    assert_eq!(same.encode().unwrap(), model.encode().unwrap());
}
