//! Peers: accounts that do about the same, by k-means (Lloyd 1982, seeded as k-means++ by Arthur,
//! Vassilvitskii 2007) over the square roots of what shares of their rows hold which values.
//!
//! Values are hashed into a fixed number of places, so that the work is bounded whatever the data.

use super::profile::Profile;
use threat::entropy::{Rng, mix64};

/// Places that values are hashed into: enough that two habits rarely fall together.
const PLACES: usize = 128;

/// Groups at most: more are no peer groups but single persons.
const GROUPS: usize = 12;

/// Rounds: assignments of a few thousand accounts settle earlier.
const ROUNDS: usize = 20;

type Point = [f32; PLACES];

/// Shares of rows by place, each kind of column weighing the same.
fn point(profile: &Profile) -> Point {
    let mut point = [0.0f32; PLACES];
    for (number, counts) in profile.kinds.iter().chain([&profile.tokens]).enumerate() {
        for (value, count) in counts.iter() {
            let place = mix64(value ^ mix64(number as u64)) as usize % PLACES;
            point[place] += count as f32 / counts.total as f32;
        }
    }
    point.map(f32::sqrt)
}

fn distance(a: &Point, b: &Point) -> f32 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
}

/// The nearest centre, the first of equals, and how far it is.
fn nearest(point: &Point, centres: &[Point]) -> (usize, f32) {
    let mut best = (0, f32::INFINITY);
    for (i, centre) in centres.iter().enumerate() {
        let d = distance(point, centre);
        if d < best.1 {
            best = (i, d);
        }
    }
    best
}

/// The first centres: each next one drawn by its squared distance to those there are.
fn seeds(points: &[Point], count: usize, rng: &mut Rng) -> Vec<Point> {
    let mut centres = vec![points[rng.below(points.len())]];
    while centres.len() < count {
        let far: Vec<f64> = points.iter().map(|p| f64::from(nearest(p, &centres).1)).collect();
        let total: f64 = far.iter().sum();
        if total <= 0.0 {
            break;
        }
        let mut left = rng.range(0.0, total);
        let drawn = far.iter().position(|d| {
            left -= d;
            left < 0.0
        });
        centres.push(points[drawn.unwrap_or(points.len() - 1)]);
    }
    centres
}

/// The group of each account, numbered from 0. The same accounts and seed give the same groups.
pub fn assign(accounts: &[Profile], seed: u64) -> Vec<u16> {
    let points: Vec<Point> = accounts.iter().map(point).collect();
    if points.is_empty() {
        return Vec::new();
    }
    let wanted = ((points.len() as f64 / 2.0).sqrt() as usize).clamp(1, GROUPS);
    let mut centres = seeds(&points, wanted, &mut Rng::fork(seed, "users/groups"));
    let mut groups = vec![0; points.len()];
    for _ in 0..ROUNDS {
        let next: Vec<usize> = points.iter().map(|p| nearest(p, &centres).0).collect();
        let settled = next == groups;
        groups = next;
        if settled {
            break;
        }
        for (number, centre) in centres.iter_mut().enumerate() {
            let own = || points.iter().zip(&groups).filter(|(_, g)| **g == number).map(|(p, _)| p);
            let size = own().count();
            if size > 0 {
                *centre = [0.0; PLACES];
                own().for_each(|p| centre.iter_mut().zip(p).for_each(|(c, x)| *c += x));
                centre.iter_mut().for_each(|c| *c /= size as f32);
            }
        }
    }
    groups.into_iter().map(|g| g as u16).collect()
}
