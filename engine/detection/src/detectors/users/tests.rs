use super::*;
use crate::block::History;
use crate::detector::TrainOptions;
use crate::detectors::tests::auc;
use crate::schema::{ACCOUNT, Category, Group, HOUR, Numeric, RISK, Schema, WEEKDAY};
use ndarray::Array2;
use proptest::prelude::*;
use threat::entropy::Rng;
use threat::{EntityId, Timestamp};

/// Account, host, hour (from 1), day (from 1), risk, token.
type Row = (u64, u64, u64, u64, f32, u16);

fn block(rows: &[Row], days: f64) -> Block {
    let identity = |name: &str| Category { name: name.into(), group: Group::Identity };
    let schema = Schema {
        name: "test".into(),
        version: 1,
        numeric: vec![Numeric {
            name: RISK.into(),
            group: Group::Behavioural,
            unit: "nats".into(),
            volume: false,
        }],
        categories: [ACCOUNT, "account_host", HOUR, WEEKDAY].map(identity).to_vec(),
        tokens: 8,
    };
    let (mut past, mut history) = (BTreeMap::<u64, History>::new(), Vec::new());
    for row in rows {
        let own = past.entry(row.0).or_default();
        history.push(*own);
        own.push(row.5);
    }
    let step = days * 86_400.0 / rows.len() as f64;
    Block {
        schema: Arc::new(schema),
        raw: Array2::from_shape_fn((rows.len(), 1), |(r, _)| rows[r].4),
        categories: Array2::from_shape_fn((rows.len(), 4), |(r, c)| {
            [rows[r].0, rows[r].1, rows[r].2, rows[r].3][c]
        }),
        encoded: Array2::zeros((rows.len(), 0)),
        entity: rows.iter().map(|r| EntityId(r.0)).collect(),
        token: rows.iter().map(|r| r.5).collect(),
        history,
        time: (0..rows.len()).map(|i| Timestamp::default().plus_secs(i as f64 * step)).collect(),
    }
}

/// Accounts 1 to 12: odd ones use hosts 100 and 101 by day, even ones 200 and 201, each half with
/// commands of its own.
fn usual(count: usize, seed: u64) -> Vec<Row> {
    let mut rng = Rng::new(seed);
    (0..count)
        .map(|_| {
            let account = 1 + rng.below(12) as u64;
            let host = if account % 2 == 1 { 100 } else { 200 } + rng.below(2) as u64;
            let token = (1 - account % 2) as u16 * 4 + rng.below(4) as u16;
            (account, host, 10 + rng.below(6) as u64, 1 + rng.below(5) as u64, 0.0, token)
        })
        .collect()
}

fn trained(days: f64) -> Users {
    Users::train(&block(&usual(1_200, 1), days), &TrainOptions { seed: 1 }).unwrap()
}

fn score(model: &Users, rows: &[Row]) -> Vec<RowScore> {
    let mut out = Vec::new();
    Arc::new(model.clone()).scorer().score(&block(rows, 1.0), &mut out).unwrap();
    out
}

fn one(model: &Users, row: Row) -> f32 {
    match score(model, &[row])[..] {
        [RowScore::Score(s)] => s,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn what_an_account_never_did_counts_more_and_less_where_its_peers_do_it() {
    let model = trained(14.0);
    let own = one(&model, (1, 100, 12, 2, 0.0, 2));
    let peers = |host| {
        let account = model.account(1).unwrap();
        let row = block(&[(1, host, 12, 2, 0.0, 2)], 1.0);
        let columns = Columns::of(&row.schema);
        let all = model.evidence(account, &row, &columns, 0);
        (all[0].amount, all[0].own, all[0].peers)
    };
    assert!(one(&model, (1, 200, 12, 2, 0.0, 2)) > own + 3.0, "a host of the other half");
    assert!(one(&model, (1, 999, 12, 2, 0.0, 2)) > own + 3.0, "a host of nobody");
    assert!(one(&model, (1, 100, 3, 2, 0.0, 2)) > own + 1.0, "at night");
    assert!(one(&model, (1, 100, 12, 7, 0.0, 2)) > own + 1.0, "on the seventh day");
    assert!(one(&model, (1, 100, 12, 2, 5.0, 2)) > own + 4.9, "at risk");
    assert!(one(&model, (1, 100, 12, 2, 0.0, 5)) > own + 1.0, "doing what another one does");
    let (theirs, nobodys) = (peers(200), peers(999));
    assert_eq!((theirs.1, nobodys.1, theirs.2), (0, 0, 0), "{theirs:?} {nobodys:?}");
    let half = model.content.accounts.iter().filter(|a| a.id % 2 == 1).map(|a| a.group);
    let other = model.content.accounts.iter().filter(|a| a.id % 2 == 0).map(|a| a.group);
    let other: Vec<u16> = other.collect();
    assert!(half.into_iter().all(|g| !other.contains(&g)), "peers use the same hosts");
}

#[test]
fn hours_count_once_a_day_was_watched_and_days_once_a_week_was() {
    let told = |days: f64, row: Row| {
        one(&trained(days), row) - one(&trained(days), (1, 100, 12, 2, 0.0, 2))
    };
    assert!(told(0.5, (1, 100, 3, 2, 0.0, 2)).abs() < 1e-6);
    assert!(told(2.0, (1, 100, 3, 2, 0.0, 2)) > 1.0);
    assert!(told(2.0, (1, 100, 12, 7, 0.0, 2)).abs() < 1e-6);
}

#[test]
fn strange_rows_stand_out_of_usual_ones() {
    let model = trained(14.0);
    let number = |s: &RowScore| if let RowScore::Score(s) = s { *s } else { f32::NAN };
    let quiet: Vec<f32> = score(&model, &usual(300, 2)).iter().map(number).collect();
    // The same rows, each said to be of an account of the other half.
    let swapped: Vec<Row> =
        usual(300, 3).into_iter().map(|r| (r.0 % 12 + 1, r.1, r.2, r.3, r.4, r.5)).collect();
    let loud: Vec<f32> = score(&model, &swapped).iter().map(number).collect();
    assert!(auc(&quiet, &loud) > 0.98, "{}", auc(&quiet, &loud));
}

#[test]
fn rows_without_an_account_are_abstained_on_and_not_learnt() {
    let model = trained(1.0);
    assert_eq!(score(&model, &[(0, 100, 12, 2, 0.0, 2)]), [RowScore::Abstain]);
    assert_eq!(score(&model, &[(99, 100, 12, 2, 1.5, 2)]), [RowScore::Score(1.5)], "risk alone");
    let nobody: Vec<Row> =
        usual(500, 1).into_iter().map(|r| (0, r.1, r.2, r.3, r.4, r.5)).collect();
    let got = Users::train(&block(&nobody, 1.0), &TrainOptions { seed: 1 });
    assert!(matches!(got, Err(Error::TooFewRows { got: 0, .. })));
    let other = crate::detectors::tests::block(5, 2, |_, _| 0.0);
    assert!(Arc::new(model).scorer().score(&other, &mut Vec::new()).is_err());
}

#[test]
fn artifacts_round_trip_and_are_checked() {
    let model = trained(14.0);
    let bytes = model.encode().unwrap();
    let back = Users::decode(&bytes).unwrap();
    assert_eq!(back.encode().unwrap(), bytes);
    assert_eq!(trained(14.0).encode().unwrap(), bytes, "same rows and seed, same bytes");
    let rows = usual(100, 7);
    assert_eq!(score(&model, &rows), score(&back, &rows));
    let broken = |change: &dyn Fn(&mut Content)| {
        let mut content = model.content.clone();
        change(&mut content);
        Users::decode(&codec::encode(FORMAT, &content).unwrap())
    };
    assert!(broken(&|_| ()).is_ok());
    assert!(broken(&|c| c.accounts.swap(0, 1)).is_err());
    assert!(broken(&|c| c.groups.clear()).is_err());
    assert!(broken(&|c| c.all.tokens.total += 1).is_err());
    assert!(broken(&|c| c.mean = f32::NAN).is_err());
    assert!(broken(&|c| c.kinds.clear()).is_err());
    assert!(Users::decode(&bytes[..bytes.len() - 1]).is_err());
}

#[test]
fn explanations_add_up_and_name_what_is_new() {
    let model = trained(14.0);
    let row = block(&[(1, 999, 3, 2, 2.0, 2)], 1.0);
    let e = model.explain(&row, 0);
    assert_eq!(RowScore::Score(e.score), score(&model, &[(1, 999, 3, 2, 2.0, 2)])[0]);
    let sum: f32 = e.contributions.iter().map(|c| c.1).sum();
    assert!((e.base + sum + e.unattributed - e.score).abs() < 1e-4);
    assert_eq!(e.usual[&2], 0.0, "the host is the second category after one number");
    assert!(
        e.path.iter().any(|l| l.starts_with("account_host: never with this account")),
        "{:?}",
        e.path
    );
    assert!(e.path.iter().any(|l| l.starts_with("account_hour: never")), "{:?}", e.path);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn cutting_changes_no_score(cuts in prop::collection::vec(1usize..60, 1..20)) {
        let model = Arc::new(trained(14.0));
        let block = block(&usual(200, 9), 1.0);
        let (mut whole, mut part, mut pieces) = (Vec::new(), Vec::new(), Vec::new());
        Arc::clone(&model).scorer().score(&block, &mut whole).unwrap();
        let mut scorer = Arc::clone(&model).scorer();
        for cut in cuts.iter().cycle() {
            if pieces.len() == block.len() {
                break;
            }
            let end = (pieces.len() + cut).min(block.len());
            let rows: Vec<usize> = (pieces.len()..end).collect();
            scorer.score(&block.select(&rows), &mut part).unwrap();
            pieces.extend_from_slice(&part);
        }
        prop_assert_eq!(pieces, whole);
    }
}
