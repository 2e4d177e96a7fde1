//! Measures of a ranking: how well scores tell positives from the others.

/// Positives and all rows at or above each distinct score, from the highest down.
fn steps(scores: &[f32], positive: &[bool]) -> Vec<(usize, usize)> {
    let mut order: Vec<usize> = (0..scores.len().min(positive.len())).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let (mut hits, mut rows) = (0, 0);
    order
        .chunk_by(|&a, &b| scores[a] == scores[b])
        .map(|same| {
            hits += same.iter().filter(|&&r| positive[r]).count();
            rows += same.len();
            (hits, rows)
        })
        .collect()
}

/// Area under the ROC curve; ties count half. 0.5 when there is only one kind of rows.
pub fn roc_auc(scores: &[f32], positive: &[bool]) -> f64 {
    let steps = steps(scores, positive);
    let (hits, rows) = steps.last().copied().unwrap_or_default();
    if hits == 0 || hits == rows {
        return 0.5;
    }
    let (mut area, mut before) = (0.0, (0, 0));
    for step in steps {
        let others = (step.1 - step.0) - (before.1 - before.0);
        area += others as f64 * (step.0 + before.0) as f64 / 2.0;
        before = step;
    }
    area / (hits as f64 * (rows - hits) as f64)
}

/// Mean precision over the positives, each at its own score. 0 without positives.
pub fn average_precision(scores: &[f32], positive: &[bool]) -> f64 {
    let steps = steps(scores, positive);
    let total = steps.last().map_or(0, |s| s.0).max(1) as f64;
    let (mut sum, mut before) = (0.0, 0);
    for (hits, rows) in steps {
        sum += (hits - before) as f64 * hits as f64 / rows as f64;
        before = hits;
    }
    sum / total
}

/// The highest share of positives found by a threshold that at most `max_fpr` of the others reach.
pub fn tpr_at_fpr(scores: &[f32], positive: &[bool], max_fpr: f64) -> f64 {
    let steps = steps(scores, positive);
    let (hits, rows) = steps.last().copied().unwrap_or_default();
    let allowed = max_fpr * (rows - hits) as f64;
    let found = steps.iter().filter(|s| (s.1 - s.0) as f64 <= allowed).map(|s| s.0).max();
    found.unwrap_or(0) as f64 / hits.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_of_a_small_ranking() {
        let scores = [9.0, 8.0, 7.0, 7.0, 1.0];
        let positive = [true, false, true, false, false];
        // Pairs won: 3 + 1.5 of 6.
        assert!((roc_auc(&scores, &positive) - 0.75).abs() < 1e-12);
        assert!((average_precision(&scores, &positive) - (1.0 + 0.5) / 2.0).abs() < 1e-12);
        assert_eq!(tpr_at_fpr(&scores, &positive, 0.0), 0.5);
        assert_eq!(tpr_at_fpr(&scores, &positive, 0.7), 1.0);
        assert_eq!(roc_auc(&scores, &[false; 5]), 0.5);
        assert_eq!(tpr_at_fpr(&[], &[], 0.01), 0.0);
    }
}
