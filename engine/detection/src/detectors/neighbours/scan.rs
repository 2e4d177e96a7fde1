//! The nearest points to a row: groups of points that lie together are ruled out by the box around
//! them, the points of the others by a rough comparison, and what is left is compared exactly.
//!
//! Boxes and rough comparisons are in bytes. A byte says in which of 256 equal cells of its column
//! a value lies. Values that are `n` cells apart differ by more than `n - 1` cells, so that the sum
//! of the differences of bytes, which processors take by the dozen, gives a lower bound of the
//! distance. It changes no result.

use super::{NEIGHBOUR_COLUMNS, NEIGHBOUR_POINTS};

mod sums;
mod together;
use sums::{Sums, any_below, outside};

/// Columns added to a sum at a time.
const QUAD: usize = 4;

/// Points compared at a time: as many as a register of AVX2 holds bytes, or two of SSE2.
const LANES: usize = 32;

/// Groups of so many points that there may be.
const GROUPS: usize = NEIGHBOUR_POINTS.div_ceil(LANES);

/// Boxes are compared as many at a time as points.
const BLOCKS: usize = GROUPS.div_ceil(LANES);

/// The byte of a column's middle.
const MIDDLE: f32 = 128.0;

/// Share of the values, counted from their column's middle, that lie within half of the bytes. The
/// other half is for rows farther out, and keeps sums of four columns from ending at 255 too soon.
const UNCUT: f64 = 0.99;

/// How much a bound gives way, for the rounding of sums of up to [`NEIGHBOUR_COLUMNS`] numbers and
/// of cells: ten times what they can be off.
const SLACK: f32 = 1e-4;

/// Points of a group that are compared one by one; more are compared all together.
const FEW: usize = 5;

type Quad = [f32; QUAD];
type Lanes = [u8; LANES];

/// Points, exactly and roughly. Columns are filled up with what is the same for all.
#[derive(Debug)]
pub(super) struct Points {
    columns: Vec<Column>,
    /// Width of a cell.
    cell: f32,
    /// `groups x quads`: a group's points, column after column, filled up with infinities.
    exact: Vec<[[f32; LANES]; QUAD]>,
    /// Number of each point, in the order of the groups.
    numbers: Vec<u32>,
    /// [`QUAD`]s of columns.
    quads: usize,
    /// `groups x quads`: the bytes of a group's points, column after column.
    rough: Vec<[Lanes; QUAD]>,
    /// `blocks x quads`: the least and the greatest bytes of a block's groups, column after column.
    boxes: Vec<[[Lanes; QUAD]; 2]>,
    sums: Sums,
}

/// Where the points lie in a column.
#[derive(Clone, Copy, Debug)]
struct Column {
    least: f32,
    middle: f32,
    most: f32,
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
        let columns: Vec<Column> = (0..width).map(|c| Column::of(values, width, c)).collect();
        let mut away: Vec<f32> = values
            .chunks_exact(width)
            .flat_map(|point| point.iter().zip(&columns).map(|(v, c)| (v - c.middle).abs()))
            .collect();
        away.sort_unstable_by(f32::total_cmp);
        let reach = away.get((away.len() as f64 * UNCUT) as usize).copied().unwrap_or(0.0);
        let cell = (2.0 * reach / MIDDLE).max(1e-6);
        let quads = width.div_ceil(QUAD);
        let numbers = together::order(values, width, LANES);
        let blocks = numbers.len().div_ceil(LANES).div_ceil(LANES);
        let boxes = vec![[[[u8::MAX; LANES]; QUAD], [[0; LANES]; QUAD]]; blocks * quads];
        let (exact, rough, sums) = (Vec::new(), Vec::new(), Sums::fastest());
        let mut points = Self { columns, cell, exact, numbers, quads, rough, boxes, sums };
        for (g, group) in points.numbers.clone().chunks(LANES).enumerate() {
            let at = points.rough.len();
            points.rough.resize(at + quads, [[0; LANES]; QUAD]);
            points.exact.resize(at + quads, [[f32::INFINITY; LANES]; QUAD]);
            for (lane, &number) in group.iter().enumerate() {
                let point = &values[number as usize * width..][..width];
                let columns = points.exact[at..].as_flattened_mut();
                let filled = quads_of(point);
                columns.iter_mut().zip(filled.as_flattened()).for_each(|(c, &v)| c[lane] = v);
                let (bytes, _) = points.roughly(point);
                let columns = points.rough[at..].as_flattened_mut();
                columns.iter_mut().zip(bytes).for_each(|(column, byte)| column[lane] = byte);
                points.widen(g, &bytes);
            }
        }
        points
    }

    /// Widens a group's box to a point's bytes.
    fn widen(&mut self, group: usize, bytes: &[u8; NEIGHBOUR_COLUMNS]) {
        let (block, lane) = (group / LANES, group % LANES);
        let quads = &mut self.boxes[block * self.quads..][..self.quads];
        for ([least, most], bytes) in quads.iter_mut().zip(bytes.as_chunks::<QUAD>().0) {
            for ((least, most), &byte) in least.iter_mut().zip(most).zip(bytes) {
                least[lane] = least[lane].min(byte);
                most[lane] = most[lane].max(byte);
            }
        }
    }

    /// The cells of a row that is moved to where the points lie, and how far it had to be moved:
    /// so much farther is every point.
    fn roughly(&self, row: &[f32]) -> ([u8; NEIGHBOUR_COLUMNS], f32) {
        let mut bytes = [0; NEIGHBOUR_COLUMNS];
        let (scale, mut moved) = (1.0 / self.cell, 0.0);
        for ((byte, &v), c) in bytes.iter_mut().zip(row).zip(&self.columns) {
            let inside = v.clamp(c.least, c.most);
            moved += (v - inside).abs();
            // The conversion rounds down and ends at 0 and 255.
            *byte = ((inside - c.middle) * scale + MIDDLE) as u8;
        }
        (bytes, moved)
    }

    /// The sum of differences of bytes from which on no point is nearer than `limit`.
    fn enough(&self, limit: f32, moved: f32) -> i16 {
        let left = limit * (1.0 + SLACK) - moved * (1.0 - SLACK);
        let lost = self.columns.len() as f32 * SLACK;
        ((left / self.cell + lost) as i16).saturating_add(1)
    }

    /// The `K` nearest points, nearest first; of equally far ones those that come first.
    pub(super) fn nearest<const K: usize>(&self, row: &[f32]) -> [Near; K] {
        let (bytes, moved) = self.roughly(row);
        let spread = bytes.map(|byte| [byte; LANES]);
        let bytes = &spread.as_chunks::<QUAD>().0[..self.quads];
        let row = &quads_of(row)[..self.quads];
        let far = self.boxes(bytes);
        let far = &far.as_flattened()[..self.numbers.len().div_ceil(LANES)];
        // The points of the nearest box say how near there are some at least.
        let mut best = [NOWHERE; K];
        let first = (0..far.len()).min_by_key(|&g| far[g]).unwrap_or_default();
        self.compare(first, row, |_| true, &mut best);
        let mut limit = best[K - 1].distance;
        let mut enough = self.enough(limit, moved);
        let mut sums = [[i16::MAX; LANES]; GROUPS];
        let sums = &mut sums[..far.len()];
        let groups = self.rough.chunks_exact(self.quads).zip(far);
        for (sums, (group, _)) in sums.iter_mut().zip(groups).filter(|g| *g.1.1 < enough) {
            *sums = (self.sums.apart)(group, bytes);
        }
        // No more than `K` points are nearer than the farthest of the `K` that seem nearest.
        limit = limit.min(self.seemingly::<K>(sums, row));
        enough = self.enough(limit, moved);
        best = [NOWHERE; K];
        for (g, sums) in sums.iter().enumerate() {
            if any_below(sums, enough) {
                self.compare(g, row, |lane| sums[lane] < enough, &mut best);
                enough = self.enough(limit.min(best[K - 1].distance), moved);
            }
        }
        best
    }

    /// How far the boxes of the groups are at least, in cells.
    fn boxes(&self, bytes: &[[Lanes; QUAD]]) -> [[i16; LANES]; BLOCKS] {
        let mut far = [[0; LANES]; BLOCKS];
        let blocks = self.boxes.chunks_exact(self.quads);
        far.iter_mut().zip(blocks).for_each(|(far, block)| *far = outside(block, bytes));
        far
    }

    /// The distance of the farthest of the `K` points with the least sums.
    fn seemingly<const K: usize>(&self, sums: &[[i16; LANES]], row: &[Quad]) -> f32 {
        let (mut seem, mut limit) = ([NOWHERE; K], i16::MAX);
        for (g, sums) in sums.iter().enumerate() {
            if any_below(sums, limit) {
                let left = self.numbers.len() - g * LANES;
                for (lane, &sum) in sums.iter().take(left).enumerate() {
                    let point = (g * LANES + lane) as u32;
                    insert(&mut seem, Near { distance: f32::from(sum), point });
                }
                limit = seem[K - 1].distance as i16;
            }
        }
        seem.iter().fold(0.0, |most: f32, near| {
            let (group, lane) = (near.point as usize / LANES, near.point as usize % LANES);
            most.max(distance(self.exactly(group), row, lane))
        })
    }

    /// Compares a row with those points of a group that can be near, by their lanes.
    fn compare<const K: usize>(
        &self,
        group: usize,
        row: &[Quad],
        near: impl Fn(usize) -> bool,
        best: &mut [Near; K],
    ) {
        let numbers = self.numbers.chunks(LANES).nth(group).unwrap_or_default();
        let lanes = || (0..numbers.len()).filter(|&lane| near(lane));
        let few = lanes().count() <= FEW;
        let all = if few { [0.0; LANES] } else { (self.sums.distances)(self.exactly(group), row) };
        for lane in lanes() {
            let distance = if few { distance(self.exactly(group), row, lane) } else { all[lane] };
            insert(best, Near { distance, point: numbers[lane] });
        }
    }

    fn exactly(&self, group: usize) -> &[[[f32; LANES]; QUAD]] {
        &self.exact[group * self.quads..][..self.quads]
    }

    /// What [`Self::nearest`] finds, by comparing exactly with all.
    #[cfg(test)]
    pub(super) fn plainly<const K: usize>(&self, row: &[f32]) -> [Near; K] {
        let row = &quads_of(row)[..self.quads];
        let mut best = [NOWHERE; K];
        for (at, &point) in self.numbers.iter().enumerate() {
            let distance = distance(self.exactly(at / LANES), row, at % LANES);
            insert(&mut best, Near { distance, point });
        }
        best
    }
}

impl Column {
    fn of(values: &[f32], width: usize, column: usize) -> Self {
        let mut all: Vec<f32> = values.iter().skip(column).step_by(width).copied().collect();
        all.sort_unstable_by(f32::total_cmp);
        let at = |place: usize| all.get(place).copied().unwrap_or(0.0);
        Self { least: at(0), middle: at(all.len() / 2), most: at(all.len().saturating_sub(1)) }
    }
}

fn quads_of(row: &[f32]) -> [Quad; NEIGHBOUR_COLUMNS / QUAD] {
    let mut quads = [[0.0; QUAD]; NEIGHBOUR_COLUMNS / QUAD];
    quads.as_flattened_mut()[..row.len()].copy_from_slice(row);
    quads
}

/// The distance of one point of a group.
fn distance(group: &[[[f32; LANES]; QUAD]], row: &[Quad], lane: usize) -> f32 {
    group.iter().zip(row).fold(0.0, |sum, ([a, b, c, d], [w, x, y, z])| {
        let first = (w - a[lane]).abs() + (x - b[lane]).abs();
        let second = (y - c[lane]).abs() + (z - d[lane]).abs();
        sum + (first + second)
    })
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
