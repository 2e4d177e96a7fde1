use super::*;
use crate::detectors::tests::{auc, block, scores};
use threat::entropy::Rng;

/// Attacks where two columns are both large or both small, which no single split tells.
fn labelled(rows: usize, seed: u64) -> (Block, Vec<bool>) {
    let mut rng = Rng::new(seed);
    let values: Vec<[f32; 3]> =
        (0..rows).map(|_| std::array::from_fn(|_| rng.normal() as f32)).collect();
    let attack = values.iter().map(|v| (v[0] > 0.0) == (v[1] > 0.0)).collect();
    (block(rows, 3, |r, c| values[r][c]), attack)
}

fn model() -> (Arc<Labelled>, Block, Vec<bool>) {
    let (train, attack) = labelled(2_000, 1);
    let (test, truth) = labelled(500, 2);
    (Arc::new(Labelled::train(&train, &attack).unwrap()), test, truth)
}

#[test]
fn attacks_are_told_by_what_no_column_tells_alone() {
    let (model, test, truth) = model();
    let all = scores(model, &test);
    let side = |attack| {
        let kept = all.iter().zip(&truth).filter(move |(_, t)| **t == attack);
        kept.map(|(s, _)| *s).collect::<Vec<f32>>()
    };
    assert!(auc(&side(false), &side(true)) > 0.97);
}

#[test]
fn same_rows_give_the_same_bytes_and_bytes_the_same_model() {
    let (model, test, _) = model();
    let (train, attack) = labelled(2_000, 1);
    let bytes = model.encode().unwrap();
    assert_eq!(Labelled::train(&train, &attack).unwrap().encode().unwrap(), bytes);
    let back = Arc::new(Labelled::decode(&bytes).unwrap());
    assert_eq!(scores(back, &test), scores(model, &test));
}

#[test]
fn an_explanation_adds_up_and_names_the_columns_that_matter() {
    let (model, test, _) = model();
    let mut parts = [0.0f32; 3];
    for row in 0..50 {
        let e = model.explain(&test, row);
        assert!(e.unattributed.abs() < 1e-3 * (1.0 + e.score.abs()), "{e:?}");
        e.contributions.iter().for_each(|c| parts[c.0] += c.1.abs());
        assert_eq!(e.path.len(), SHOWN);
    }
    assert!(parts[0] > 5.0 * parts[2] && parts[1] > 5.0 * parts[2], "{parts:?}");
}

#[test]
fn kinds_are_read_by_their_share_of_attacks() {
    let mut rows = block(1_000, 1, |_, _| 0.0);
    let schema = Arc::make_mut(&mut rows.schema);
    schema.categories =
        vec![crate::schema::Category { name: "k".into(), group: crate::schema::Group::Core }];
    rows.categories = ndarray::Array2::from_shape_fn((1_000, 1), |(r, _)| (r % 4) as u64);
    let attack: Vec<bool> = (0..1_000).map(|r| r % 4 == 3).collect();
    let model = Arc::new(Labelled::train(&rows, &attack).unwrap());
    rows.categories[(0, 0)] = 99;
    let all = scores(Arc::<Labelled>::clone(&model), &rows);
    assert!(all[3] > 3.0 && all[1] < -3.0, "{:?}", &all[..4]);
    assert!(all[0] < all[3]);
}

#[test]
fn too_little_and_too_broken_is_refused() {
    let (train, mut attack) = labelled(300, 1);
    attack.fill(false);
    assert!(matches!(Labelled::train(&train, &attack), Err(Error::TooFewRows { got: 0, .. })));
    let (model, ..) = model();
    let mut bad: Labelled = codec::decode(FORMAT, &model.encode().unwrap()).unwrap();
    bad.trees[0].nodes.truncate(2);
    assert!(Labelled::decode(&bad.encode().unwrap()).is_err());
    let narrow = block(3, 2, |_, _| 0.0);
    let mut out = vec![];
    assert!(matches!(model.scorer().score(&narrow, &mut out), Err(Error::Width { .. })));
}
