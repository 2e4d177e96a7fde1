//! Putting points that lie together into one group: the leaves of a k-d tree (Bentley:
//! "Multidimensional binary search trees used for associative searching", 1975), each split in the
//! column in which its points lie widest.

/// The numbers of the points, `group` of them after one another that lie together; only the last
/// group may have fewer.
pub(super) fn order(values: &[f32], width: usize, group: usize) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..(values.len() / width) as u32).collect();
    split(values, width, group, &mut numbers);
    numbers
}

fn split(values: &[f32], width: usize, group: usize, numbers: &mut [u32]) {
    let groups = numbers.len().div_ceil(group);
    if groups < 2 {
        return;
    }
    let at = |number: u32, column: usize| values[number as usize * width + column];
    let wide = |column: usize| {
        let ends = |(least, most): (f32, f32), &n: &u32| {
            (least.min(at(n, column)), most.max(at(n, column)))
        };
        let (least, most) = numbers.iter().fold((f32::INFINITY, f32::NEG_INFINITY), ends);
        most - least
    };
    let widest = (0..width).map(|c| (c, wide(c))).max_by(|a, b| a.1.total_cmp(&b.1));
    let column = widest.map_or(0, |w| w.0);
    // Ties by number, so that the groups are the same on every machine.
    numbers.sort_unstable_by(|&a, &b| at(a, column).total_cmp(&at(b, column)).then(a.cmp(&b)));
    let (left, right) = numbers.split_at_mut(groups / 2 * group);
    split(values, width, group, left);
    split(values, width, group, right);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_in_one_group_with_its_like() {
        // Four heaps far from one another, dealt out in turn.
        let values: Vec<f32> = (0..64)
            .flat_map(|i| [(i % 2) as f32 * 100.0, (i / 2 % 2) as f32 * 100.0 + i as f32 / 64.0])
            .collect();
        let numbers = order(&values, 2, 16);
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..64).collect::<Vec<u32>>());
        for group in numbers.chunks(16) {
            assert!(group.iter().all(|n| n % 4 == group[0] % 4), "{group:?}");
        }
        assert_eq!(order(&[1.0; 37], 1, 16).len(), 37);
        assert_eq!(order(&[], 3, 16), [0u32; 0]);
    }
}
