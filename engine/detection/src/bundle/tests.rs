use super::*;
use crate::blend::{Blend, Tails};
use crate::block::Block;
use crate::calibration::CALIBRATION_ROWS;
use crate::detector::TrainOptions;
use crate::detectors::{forest, neighbours, tests as shared};
use ndarray::Array2;
use proptest::prelude::{any, prop, prop_assert, proptest};
use std::sync::OnceLock;
use threat::entropy::Rng;

const SEED: u64 = 3;

fn rows(count: usize, seed: u64) -> Block {
    let mut rng = Rng::new(seed);
    shared::block(count, 5, |_, _| rng.exponential(50.0) as f32)
}

fn class() -> ClassModels {
    let mut train = rows(300, 1);
    let encoder = Encoder::fit(&train.schema, &train.raw, &train.categories);
    train.encoded = encoder.encode(train.raw.view(), train.categories.view());
    let mut held_out = rows(200, 2);
    held_out.encoded = encoder.encode(held_out.raw.view(), held_out.categories.view());
    let options = TrainOptions { seed: SEED };
    let trained: [Arc<dyn Model>; 2] =
        [forest::train(&train, &options).unwrap(), neighbours::train(&train, &options).unwrap()];
    let models: Vec<_> = trained
        .into_iter()
        .map(|m| {
            let scores = shared::scores(Arc::clone(&m), &held_out);
            (m.kind(), m, Calibrator::fit(&scores).unwrap())
        })
        .collect();
    let (forest, near) = (DetectorKind::Forest, DetectorKind::Neighbours);
    let tails = |i| Tails { voters: vec![(forest, i as f32 / 20.0), (near, 9.0)], labelled: None };
    let said: Vec<Tails> = (0..CALIBRATION_ROWS).map(tails).collect();
    let auc = BTreeMap::from([("auc".to_owned(), 0.97)]);
    ClassModels {
        schema: Arc::clone(&train.schema),
        reference: Reference::record(&held_out, &encoder, &models).unwrap(),
        encoder,
        voters: [DetectorKind::Forest, DetectorKind::Bayes, DetectorKind::Neighbours],
        metrics: BTreeMap::from([(DetectorKind::Forest, auc)]),
        models,
        ensemble: Blend::fit(vec![(forest, 1.0)], 0.0, &said).unwrap(),
        rows: train.len() as u64,
        window: (train.time[0], train.time[299]),
    }
}

fn bundle() -> Bundle {
    let classes = BTreeMap::from([(EventClass::Flow, class()), (EventClass::Generic, class())]);
    Bundle::new(4, SEED, "300 rows of a test", classes).unwrap()
}

fn bytes() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| bundle().encode().unwrap())
}

#[test]
fn a_bundle_comes_back_whole() {
    let (made, back) = (bundle(), Bundle::decode(bytes()).unwrap());
    assert_eq!((back.version, back.seed, back.hash), (4, SEED, made.hash));
    assert_eq!(back.created_from, "300 rows of a test");
    assert_eq!(back.id().to_le_bytes(), back.hash[..8]);
    assert_eq!(back.encode().unwrap(), bytes());
    let (was, is) = (&made.classes[&EventClass::Flow], &back.classes[&EventClass::Flow]);
    assert_eq!((&is.encoder, &is.metrics), (&was.encoder, &was.metrics));
    assert_eq!((&is.reference, &is.ensemble), (&was.reference, &was.ensemble));
    assert_eq!((is.rows, is.window, is.voters), (was.rows, was.window, was.voters));
    assert_eq!(is.reference.rows.len(), 50);
    assert_eq!(
        is.model(DetectorKind::Forest).unwrap().1,
        was.model(DetectorKind::Forest).unwrap().1
    );
    assert!(is.model(DetectorKind::Bayes).is_none());
    println!("bundle of two classes: {} bytes", bytes().len());
}

/// Where a bundle lies that an earlier build wrote.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/bundle-1.bin");

/// A bundle of an earlier build loads, and its reference rows score to the same bits. When a format
/// changes on purpose, its version grows and `--ignored write_golden` writes the file anew.
#[test]
#[expect(clippy::disallowed_methods, reason = "a golden file is read by its test")]
fn a_stored_bundle_still_loads_and_scores_the_same() {
    let golden = std::fs::read(GOLDEN).unwrap();
    let bundle = Bundle::decode(&golden).unwrap();
    assert_eq!(bundle.encode().unwrap(), golden);
    let flow = &bundle.classes[&EventClass::Flow];
    assert_eq!((flow.models.len(), flow.reference.rows.len()), (2, 50));
}

#[test]
#[ignore = "writes the golden file"]
#[expect(clippy::disallowed_methods, reason = "a golden file is written by its test")]
fn write_golden() {
    let classes = BTreeMap::from([(EventClass::Flow, class())]);
    let bundle = Bundle::new(1, SEED, "golden", classes).unwrap();
    std::fs::write(GOLDEN, bundle.encode().unwrap()).unwrap();
}

#[test]
fn training_twice_gives_equal_bytes() {
    assert_eq!(bundle().encode().unwrap(), bytes());
}

#[test]
fn every_altered_byte_of_the_head_and_any_cut_is_refused() {
    for at in 0..64 {
        for bit in 0..8 {
            let mut altered = bytes().to_vec();
            altered[at] ^= 1 << bit;
            assert!(Bundle::decode(&altered).is_err(), "byte {at} bit {bit}");
        }
    }
    for end in (0..bytes().len()).step_by(997) {
        assert!(Bundle::decode(&bytes()[..end]).is_err(), "cut at {end}");
    }
    let mut longer = bytes().to_vec();
    longer.push(0);
    assert!(Bundle::decode(&longer).is_err());
}

proptest! {
    #[test]
    fn any_altered_byte_is_refused(at in any::<prop::sample::Index>(), change in 1u8..) {
        let mut altered = bytes().to_vec();
        let at = at.index(altered.len());
        altered[at] ^= change;
        prop_assert!(Bundle::decode(&altered).is_err(), "byte {}", at);
    }
}

/// The bytes of a content that was altered by someone who can compute hashes.
fn resealed(change: impl FnOnce(&mut Stored)) -> Vec<u8> {
    let sealed: Sealed = codec::decode(FORMAT, bytes()).unwrap();
    let mut stored: Stored = codec::decode(FORMAT, &sealed.content).unwrap();
    change(&mut stored);
    let content = codec::encode(FORMAT, &stored).unwrap();
    let hash = *blake3::hash(&content).as_bytes();
    codec::encode(FORMAT, &Sealed { hash, content }).unwrap()
}

/// Alters the flow class and gives the reason of the refusal.
fn refusal(change: impl FnOnce(&mut ClassModels)) -> String {
    let mut class = class();
    change(&mut class);
    let classes = BTreeMap::from([(EventClass::Flow, class)]);
    Bundle::new(1, SEED, "", classes).unwrap_err().to_string()
}

#[test]
fn a_self_test_that_differs_names_class_detector_and_row() {
    let reason = refusal(|c| {
        let scores = c.reference.expected.get_mut(&DetectorKind::Neighbours).unwrap();
        scores[7] = scores[7].map(|bits| bits ^ 1);
    });
    assert!(reason.starts_with("class flow, detector neighbours: reference row 7 "), "{reason}");
    let abstained = refusal(|c| {
        c.reference.expected.get_mut(&DetectorKind::Forest).unwrap()[0] = None;
    });
    assert!(abstained.contains("forest") && abstained.ends_with("expected abstained"));
}

#[test]
fn altered_content_under_a_right_hash_is_refused() {
    let other_seed = Bundle::decode(&resealed(|s| s.seed += 1)).unwrap_err().to_string();
    assert!(other_seed.contains("another training"), "{other_seed}");
    let long = resealed(|s| s.created_from = "x".repeat(DESCRIPTION_BYTES + 1));
    assert!(matches!(Bundle::decode(&long), Err(Error::Description(_))));
    assert!(Bundle::decode(&resealed(|_| ())).is_ok());
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let reason = refusal(|c| c.voters[1] = DetectorKind::Forest);
    assert!(reason.contains("named twice"), "{reason}");
    let reason = refusal(|c| c.models.swap(0, 1));
    assert!(reason.contains("catalogue order"), "{reason}");
    let reason = refusal(|c| c.window = (c.window.1, c.window.0));
    assert!(reason.contains("window"), "{reason}");
    let reason = refusal(|c| {
        c.metrics.insert(DetectorKind::Forest, BTreeMap::from([("auc".into(), f64::NAN)]));
    });
    assert!(reason.contains("no number"), "{reason}");
    let reason = refusal(|c| c.reference.rows[3].raw.clear());
    assert!(reason.contains("other columns"), "{reason}");
    let reason = refusal(|c| {
        let narrow = shared::block(100, 2, |r, _| r as f32);
        c.encoder = Encoder::fit(&narrow.schema, &narrow.raw, &Array2::zeros((100, 0)));
    });
    assert!(reason.contains("encoder"), "{reason}");
    let mut changed = bundle();
    changed.version += 1;
    assert!(matches!(changed.encode(), Err(Error::Hash(_))));
}
