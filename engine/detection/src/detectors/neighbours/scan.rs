//! The nearest points to a row: a rough comparison with all points rules out nearly all of them,
//! and the others are compared exactly.
//!
//! The rough comparison is in bytes: a value is rounded to one of 256 places of its column, and how
//! much all values of a point were moved by it is kept. Differences of bytes, of which processors
//! add up dozens at a time, are too great by no more than what a row and a point were rounded, so
//! they give a lower bound of the distance. It changes no result.

use super::{NEIGHBOUR_COLUMNS, NEIGHBOUR_POINTS};

mod sums;
use sums::{Apart, Compared, Eight, Sums, place};

/// Columns that are added up at a time: their bytes make a word.
const EIGHT: usize = 8;

/// [`EIGHT`]s that a row has at most.
const EIGHTS: usize = NEIGHBOUR_COLUMNS / EIGHT;

/// Points compared roughly at a time: there are registers for their sums, and a few to work with.
const LANES: usize = 32;

/// Groups of so many points that there may be.
const GROUPS: usize = NEIGHBOUR_POINTS.div_ceil(LANES);

/// The byte of a column's middle.
const MIDDLE: f32 = 128.0;

/// Share of the values, counted from their column's middle, that have a byte of their own. The rest
/// ends at the first or the last: a few values far out would make all places wide.
const UNCUT: f64 = 0.999;

/// How much a bound gives way, for the rounding of sums of up to [`NEIGHBOUR_COLUMNS`] numbers and
/// of places: ten times what they can be off.
const SLACK: f32 = 1e-4;

/// Points, exactly and roughly.
#[derive(Debug)]
pub(super) struct Points {
    columns: Vec<Column>,
    /// Width of a byte's place.
    cell: f32,
    /// `points x eights of columns`, filled up with zeros.
    exact: Vec<[f32; EIGHT]>,
    /// `groups x eights of columns in which points differ`.
    rough: Vec<Eight>,
    /// How much each point of a group was rounded, in places, upwards; where there is no point,
    /// less than nothing, so that it is far from everything.
    rounded: Vec<Sums>,
    apart: Apart,
}

/// Where the points lie in a column.
#[derive(Clone, Copy, Debug)]
struct Column {
    least: f32,
    middle: f32,
    most: f32,
    /// Its byte of a row. A column in which points do not differ has none: it is given the next
    /// one's, and written before it.
    byte: usize,
}

/// A row that was moved to where the points lie, in bytes.
#[derive(Debug)]
struct Rough {
    words: [u64; EIGHTS],
    /// How far it had to be moved: so much farther is every point.
    moved: f32,
    /// How far its values were rounded, in places.
    rounded: f32,
}

/// A point and how far it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Near {
    pub distance: f32,
    pub point: u32,
}

/// Nothing found yet. Models have at least `K` points.
const NOWHERE: Near = Near { distance: f32::INFINITY, point: u32::MAX };

impl Points {
    /// Lays out `points x width` values.
    pub(super) fn new(values: &[f32], width: usize) -> Self {
        let mut differing = 0;
        let mut columns: Vec<Column> = (0..width).map(|c| Column::of(values, width, c)).collect();
        for column in &mut columns {
            column.byte = differing;
            differing += usize::from(column.least < column.most);
        }
        let mut away: Vec<f32> = values
            .chunks_exact(width)
            .flat_map(|point| point.iter().zip(&columns).map(|(v, c)| (v - c.middle).abs()))
            .collect();
        away.sort_unstable_by(f32::total_cmp);
        let reach = away.get((away.len() as f64 * UNCUT) as usize).copied().unwrap_or(0.0);
        let (count, eights) = (values.len() / width, differing.div_ceil(EIGHT).max(1));
        let groups = count.div_ceil(LANES);
        let mut points = Self {
            columns,
            cell: (reach / MIDDLE).max(1e-6),
            exact: Vec::with_capacity(count * width.div_ceil(EIGHT)),
            rough: vec![Eight::default(); groups * eights],
            rounded: vec![[i16::MIN; LANES]; groups],
            apart: sums::fastest(),
        };
        for (at, point) in values.chunks_exact(width).enumerate() {
            points.exact.extend(&eights_of(point)[..width.div_ceil(EIGHT)]);
            let (group, (register, word)) = (at / LANES, place(at % LANES));
            let rough = points.roughly(point);
            points.rounded[group][at % LANES] = rough.rounded.ceil() as i16;
            let words = points.rough[group * eights..][..eights].iter_mut().zip(rough.words);
            words.for_each(|(eight, bytes)| eight[register][word] = bytes);
        }
        points
    }

    /// A row in bytes.
    fn roughly(&self, row: &[f32]) -> Rough {
        let mut bytes = [[0; EIGHT]; EIGHTS];
        let (scale, mut moved, mut rounded) = (1.0 / self.cell, 0.0, 0.0);
        for (&v, c) in row.iter().zip(&self.columns) {
            let inside = v.clamp(c.least, c.most);
            moved += (v - inside).abs();
            let place = ((inside - c.middle) * scale + MIDDLE).clamp(0.0, f32::from(u8::MAX));
            let byte = (place + 0.5) as u8;
            rounded += (place - f32::from(byte)).abs();
            bytes.as_flattened_mut()[c.byte] = byte;
        }
        Rough { words: bytes.map(u64::from_le_bytes), moved, rounded }
    }

    /// The sum of differences of bytes from which on no point is nearer than `limit`.
    fn enough(&self, limit: f32, row: &Rough) -> i16 {
        let left = limit * (1.0 + SLACK) - row.moved * (1.0 - SLACK);
        let lost = row.rounded + self.columns.len() as f32 * SLACK;
        ((left / self.cell + lost) as i16).saturating_add(1)
    }

    /// The `K` nearest points, nearest first; of equally far ones those that come first.
    pub(super) fn nearest<const K: usize>(&self, row: &[f32]) -> [Near; K] {
        let rough = self.roughly(row);
        let row = &eights_of(row)[..self.columns.len().div_ceil(EIGHT)];
        let mut groups = [Compared::default(); GROUPS];
        let groups = &mut groups[..self.rounded.len()];
        (self.apart)(&self.rough, &rough.words, &self.rounded, groups);
        // No more than `K` points are nearer than the farthest of `K` that seem near.
        let limit = seemingly::<K>(groups)
            .into_iter()
            .fold(0.0, |most: f32, point| most.max(self.distance(point, row)));
        let mut enough = self.enough(limit, &rough);
        let mut best = [NOWHERE; K];
        for (group, compared) in groups.iter().enumerate() {
            if compared.least >= enough {
                continue;
            }
            for (lane, _) in compared.sums.iter().enumerate().filter(|(_, sum)| **sum < enough) {
                let point = group * LANES + lane;
                let distance = self.distance(point, row);
                insert(&mut best, Near { distance, point: point as u32 });
            }
            enough = self.enough(limit.min(best[K - 1].distance), &rough);
        }
        best
    }

    /// How far a point is from a row.
    fn distance(&self, point: usize, row: &[[f32; EIGHT]]) -> f32 {
        // Eight sums, so that a processor of any kind adds in the same order.
        let mut sums = [0.0; EIGHT];
        for (point, row) in self.exact[point * row.len()..].iter().zip(row) {
            for i in 0..EIGHT {
                sums[i] += (row[i] - point[i]).abs();
            }
        }
        let [a, b, c, d, e, f, g, h] = sums;
        ((a + e) + (b + f)) + ((c + g) + (d + h))
    }

    /// What [`Self::nearest`] finds, by comparing exactly with all.
    #[cfg(test)]
    pub(super) fn plainly<const K: usize>(&self, row: &[f32]) -> [Near; K] {
        let row = &eights_of(row)[..self.columns.len().div_ceil(EIGHT)];
        let mut best = [NOWHERE; K];
        for point in 0..self.exact.len() / row.len() {
            let distance = self.distance(point, row);
            insert(&mut best, Near { distance, point: point as u32 });
        }
        best
    }
}

impl Column {
    fn of(values: &[f32], width: usize, column: usize) -> Self {
        let mut all: Vec<f32> = values.iter().skip(column).step_by(width).copied().collect();
        all.sort_unstable_by(f32::total_cmp);
        let at = |place: usize| all.get(place).copied().unwrap_or(0.0);
        let (least, most) = (at(0), at(all.len().saturating_sub(1)));
        Self { least, middle: at(all.len() / 2), most, byte: 0 }
    }
}

/// `K` points with small sums: of the groups in which the least is smallest.
fn seemingly<const K: usize>(groups: &[Compared]) -> [usize; K] {
    let near = smallest::<K>(groups.iter().map(|group| group.least).enumerate());
    let points =
        near.into_iter().filter_map(|g| Some((g, groups.get(g)?))).flat_map(|(g, group)| {
            group.sums.iter().enumerate().map(move |(lane, &sum)| (g * LANES + lane, sum))
        });
    smallest(points)
}

/// Which `K` numbers are the smallest; `usize::MAX` for those that there are not.
fn smallest<const K: usize>(numbers: impl Iterator<Item = (usize, i16)>) -> [usize; K] {
    let mut least = [(usize::MAX, i16::MAX); K];
    for (which, number) in numbers {
        if number < least[K - 1].1 {
            let at = least.partition_point(|l| l.1 <= number);
            least[at..].rotate_right(1);
            least[at] = (which, number);
        }
    }
    least.map(|l| l.0)
}

/// A row by [`EIGHT`] columns, filled up with zeros.
fn eights_of(row: &[f32]) -> [[f32; EIGHT]; EIGHTS] {
    let mut eights = [[0.0; EIGHT]; EIGHTS];
    eights.as_flattened_mut()[..row.len()].copy_from_slice(row);
    eights
}

fn insert<const K: usize>(best: &mut [Near; K], new: Near) {
    let before = |a: &Near, b: &Near| {
        a.distance < b.distance || a.distance == b.distance && a.point < b.point
    };
    if !before(&new, &best[K - 1]) {
        return;
    }
    let at = best.partition_point(|b| before(b, &new));
    best[at..].rotate_right(1);
    best[at] = new;
}
