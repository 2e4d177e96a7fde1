use super::*;

fn design(columns: usize, rows: &[(&[f64], f64)]) -> Design {
    let mut design = Design::new(columns, rows.len());
    rows.iter().for_each(|(inputs, target)| design.push(inputs.iter().copied(), *target));
    design
}

fn near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 1e-9, "{found:?} {expected:?}");
    }
}

const FREE: Prior = Prior { strength: 0.0, mean: 0.0 };

#[test]
fn a_line_is_found_exactly() {
    // y = 2 + 3 x.
    let rows: [(&[f64], f64); 3] = [(&[1.0, 0.0], 2.0), (&[1.0, 1.0], 5.0), (&[1.0, 3.0], 11.0)];
    near(&design(2, &rows).solve(&[FREE; 2], &[]).unwrap(), &[2.0, 3.0]);
}

#[test]
fn shrinkage_lies_between_data_and_prior() {
    // One column: (Σ x y + s m) / (Σ x² + s) = (2 · 8 + 4 · 1) / (2² + 4).
    let one = design(1, &[(&[2.0], 8.0)]);
    near(&one.solve(&[Prior { strength: 4.0, mean: 1.0 }], &[]).unwrap(), &[2.5]);
}

#[test]
fn weights_count_rows_several_times() {
    // A weighted mean of 1 and 7: (3 · 1 + 1 · 7) / 4.
    let mean = design(1, &[(&[1.0], 1.0), (&[1.0], 7.0)]);
    near(&mean.solve(&[FREE], &[3.0, 1.0]).unwrap(), &[2.5]);
}

#[test]
fn a_burst_is_weighted_down() {
    let targets = [1.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 100.0];
    let rows: Vec<(&[f64], f64)> = targets.iter().map(|y| (&[1.0][..], *y)).collect();
    let level = design(1, &rows);
    let least_squares = level.solve(&[FREE], &[]).unwrap()[0];
    assert!((least_squares - 101.0 / 9.0).abs() < 1e-9);
    // Residuals of eight rows are 10.2 to 12.2 with a median of 101/9, that of the burst is 88.8.
    let bound = 2.5 * 1.4826 * 101.0 / 9.0;
    let weight = bound / (100.0 - 101.0 / 9.0);
    near(&level.solve_robustly(&[FREE], 1).unwrap(), &[(1.0 + 100.0 * weight) / (8.0 + weight)]);
    near(&level.solve_robustly(&[FREE], 0).unwrap(), &[least_squares]);
    assert!(level.solve_robustly(&[FREE], 9).unwrap()[0] < 1.0);
}

#[test]
fn columns_that_depend_on_each_other_are_not_determined() {
    let rows: [(&[f64], f64); 2] = [(&[1.0, 2.0], 1.0), (&[2.0, 4.0], 2.0)];
    assert_eq!(design(2, &rows).solve(&[FREE; 2], &[]), None);
    let ridge = Prior { strength: 1.0, mean: 0.0 };
    assert!(design(2, &rows).solve(&[ridge; 2], &[]).is_some());
}
