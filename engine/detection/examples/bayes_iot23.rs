//! How well the hybrid Bayes model finds the malicious flows of an IoT-23 capture that it never
//! saw, learnt from the benign flows of the five others: `cargo run --release -p detection
//! --example bayes_iot23`.
//!
//! Eight volumes of a flow as standardised logs, and five kinds by surprisal, encoded here on their
//! own, so that the model is measured apart from everything else.
#![expect(clippy::disallowed_methods, reason = "an example reads files")]
#![expect(clippy::unwrap_used, reason = "an example ends at the first error")]

use detection::block::{Block, History};
use detection::detector::{Model, RowScore, TrainOptions};
use detection::detectors::bayes::Bayes;
use detection::schema::{Category, Group, Numeric, Schema};
use ndarray::Array2;
use std::collections::BTreeMap;
use std::sync::Arc;
use threat::{EntityId, Timestamp};

const CAPTURES: [&str; 6] = [
    "CTU-Honeypot-Capture-4-1",
    "CTU-Honeypot-Capture-5-1",
    "CTU-Honeypot-Capture-7-1",
    "CTU-Malware-Capture-20-1",
    "CTU-Malware-Capture-8-1",
    "CTU-Malware-Capture-42-1",
];
/// Duration, bytes each way, missed bytes, packets and IP bytes each way.
const VOLUMES: [usize; 8] = [8, 9, 10, 14, 16, 17, 18, 19];
const KINDS: usize = 5;
/// Of the history's letters the rarest counts: whole histories are often new on a new device.
const HISTORY: usize = 3;

struct Flow {
    volumes: Vec<f64>,
    kinds: [String; KINDS],
    malicious: bool,
}

fn flow(line: &str) -> Flow {
    let fields: Vec<&str> = line.split(',').collect();
    let mut letters: Vec<char> = fields[15].chars().collect();
    letters.sort_unstable();
    letters.dedup();
    let port = match fields[5].parse::<u32>().unwrap_or(0) {
        p if p < 1024 => p.to_string(),
        p if p < 49_152 => "registered".into(),
        _ => "high".into(),
    };
    let text = |i: usize| fields[i].to_string();
    Flow {
        volumes: VOLUMES.map(|i| fields[i].parse().unwrap_or(0.0f64).ln_1p()).to_vec(),
        kinds: [text(6), text(7), text(11), letters.into_iter().collect(), port],
        malicious: fields[21].to_lowercase().starts_with("mal"),
    }
}

/// Means and deviations of the volumes, and how often each kind occurs.
struct Encoder {
    scale: Vec<(f64, f64)>,
    counts: [BTreeMap<String, f64>; KINDS],
    rows: f64,
}

impl Encoder {
    fn learn(flows: &[&Flow]) -> Self {
        let rows = flows.len() as f64;
        let scale = |v: usize| {
            let mean = flows.iter().map(|f| f.volumes[v]).sum::<f64>() / rows;
            let squares = flows.iter().map(|f| (f.volumes[v] - mean).powi(2)).sum::<f64>();
            (mean, (squares / rows).sqrt())
        };
        let mut counts: [BTreeMap<String, f64>; KINDS] = Default::default();
        for flow in flows {
            for (i, (counts, kind)) in counts.iter_mut().zip(&flow.kinds).enumerate() {
                if i == HISTORY {
                    for letter in kind.chars() {
                        *counts.entry(letter.to_string()).or_default() += 1.0;
                    }
                } else {
                    *counts.entry(kind.clone()).or_default() += 1.0;
                }
            }
        }
        Self { scale: (0..VOLUMES.len()).map(scale).collect(), counts, rows }
    }

    fn encode(&self, flow: &Flow) -> Vec<f32> {
        let volumes = flow.volumes.iter().zip(&self.scale).map(|(x, (mean, deviation))| {
            if *deviation > 0.0 { ((x - mean) / deviation) as f32 } else { (x - mean) as f32 }
        });
        let surprisal = |counts: &BTreeMap<String, f64>, kind: &str| {
            let seen = counts.get(kind).copied().unwrap_or(0.0);
            -((seen + 0.5) / (self.rows + 0.5 * (counts.len() + 1) as f64)).ln() as f32
        };
        let kinds = flow.kinds.iter().zip(&self.counts).enumerate().map(|(i, (kind, counts))| {
            if i == HISTORY {
                let letters = kind.chars().map(|l| surprisal(counts, &l.to_string()));
                letters.fold(0.0, f32::max)
            } else {
                surprisal(counts, kind)
            }
        });
        volumes.chain(kinds).collect()
    }

    fn block(&self, schema: &Arc<Schema>, flows: &[&Flow]) -> Block {
        let encoded: Vec<f32> = flows.iter().flat_map(|f| self.encode(f)).collect();
        let rows = flows.len();
        Block {
            raw: Array2::zeros((rows, VOLUMES.len())),
            categories: Array2::zeros((rows, KINDS)),
            encoded: Array2::from_shape_vec((rows, schema.width()), encoded).unwrap(),
            schema: Arc::clone(schema),
            entity: vec![EntityId(1); rows],
            token: vec![0; rows],
            history: vec![History::default(); rows],
            time: vec![Timestamp::default(); rows],
        }
    }
}

fn schema() -> Arc<Schema> {
    let numeric = |v: &usize| Numeric {
        name: format!("volume_{v}"),
        group: Group::Core,
        unit: "log".into(),
        volume: true,
    };
    let category = |c| Category { name: format!("kind_{c}"), group: Group::Core };
    Arc::new(Schema {
        name: "iot-23".into(),
        version: 1,
        numeric: VOLUMES.iter().map(numeric).collect(),
        categories: (0..KINDS).map(category).collect(),
        tokens: 0,
    })
}

/// Area under the ROC curve, ties counted half, and the share found when 1% of benign flows alarm.
fn judge(scored: &[(f32, bool)]) -> (f64, f64) {
    let mut benign: Vec<f32> = scored.iter().filter(|s| !s.1).map(|s| s.0).collect();
    benign.sort_by(f32::total_cmp);
    let limit = benign[benign.len() - 1 - benign.len() / 100];
    let (mut wins, mut found, mut all) = (0.0, 0.0, 0.0);
    for (score, _) in scored.iter().filter(|s| s.1) {
        let under = benign.partition_point(|b| b < score);
        wins += (under + benign.partition_point(|b| b <= score)) as f64 / 2.0;
        found += f64::from(u8::from(*score > limit));
        all += 1.0;
    }
    (wins / (all * benign.len() as f64), found / all)
}

fn main() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/iot-23");
    let mut captures: Vec<Vec<Flow>> = Vec::new();
    for name in CAPTURES {
        let Ok(text) = std::fs::read_to_string(format!("{folder}/{name}-labeled.csv")) else {
            println!("no IoT-23 captures here");
            return;
        };
        captures.push(text.lines().skip(1).map(flow).collect());
    }
    let schema = schema();
    for held_out in 3..CAPTURES.len() {
        let others = (0..CAPTURES.len()).filter(|&c| c != held_out);
        let benign: Vec<&Flow> =
            others.flat_map(|c| &captures[c]).filter(|f| !f.malicious).collect();
        let encoder = Encoder::learn(&benign);
        let test: Vec<&Flow> = captures[held_out].iter().collect();
        for seed in 1..=3 {
            let learnt = encoder.block(&schema, &benign);
            let model = Bayes::train(&learnt, &TrainOptions { seed }).unwrap();
            let components = model.components();
            let mut out = Vec::new();
            let test_block = encoder.block(&schema, &test);
            Arc::new(model).scorer().score(&test_block, &mut out).unwrap();
            let number = |s: &RowScore| if let RowScore::Score(x) = s { *x } else { f32::MIN };
            let scored: Vec<(f32, bool)> =
                out.iter().map(number).zip(test.iter().map(|f| f.malicious)).collect();
            let (auc, found) = judge(&scored);
            println!(
                "{} seed {seed}: {components} components, AUC {auc:.4}, TPR at 1% FPR {found:.3}",
                CAPTURES[held_out]
            );
        }
    }
}
