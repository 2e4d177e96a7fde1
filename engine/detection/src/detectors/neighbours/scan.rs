//! The nearest points to a row, by comparing with all of them: first roughly, in bytes, then
//! exactly those that can be near enough.
//!
//! A byte says in which of 256 equal cells of its column a value lies. Values that are `n` cells
//! apart differ by more than `n - 1` cells, so that the sum of the differences of bytes, which
//! processors take sixteen at a time, gives a lower bound of the distance. It changes no result.

use super::{NEIGHBOUR_COLUMNS, NEIGHBOUR_POINTS};

/// Columns added to a sum at a time.
const QUAD: usize = 4;

/// Points compared at a time: as many as a register holds bytes.
const LANES: usize = 16;

/// Groups of so many points that there may be.
const GROUPS: usize = NEIGHBOUR_POINTS.div_ceil(LANES);

/// The byte of a column's middle.
const MIDDLE: f32 = 128.0;

/// Share of the values, counted from their column's middle, that lie within half of the bytes. The
/// other half is for rows farther out, and keeps sums of four columns from ending at 255 too soon.
const UNCUT: f64 = 0.99;

/// How much a bound gives way, for the rounding of sums of up to [`NEIGHBOUR_COLUMNS`] numbers and
/// of cells: ten times what they can be off.
const SLACK: f32 = 1e-4;

/// Points of a group that are compared one by one; more are compared all together.
const FEW: u8 = 4;

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
    count: usize,
    /// [`QUAD`]s of columns.
    quads: usize,
    /// `groups x quads`: the bytes of a group's points, column after column.
    rough: Vec<[Lanes; QUAD]>,
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
const NOWHERE: Near = Near { distance: f32::INFINITY, point: 0 };

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
        let (count, quads) = (values.len() / width, width.div_ceil(QUAD));
        let mut points = Self { columns, cell, exact: vec![], count, quads, rough: vec![] };
        for group in values.chunks(LANES * width) {
            let at = points.rough.len();
            points.rough.resize(at + quads, [[0; LANES]; QUAD]);
            points.exact.resize(at + quads, [[f32::INFINITY; LANES]; QUAD]);
            for (lane, point) in group.chunks_exact(width).enumerate() {
                let columns = points.exact[at..].as_flattened_mut();
                let filled = quads_of(point);
                columns.iter_mut().zip(filled.as_flattened()).for_each(|(c, &v)| c[lane] = v);
                let (bytes, _) = points.roughly(point);
                let columns = points.rough[at..].as_flattened_mut();
                columns.iter_mut().zip(bytes).for_each(|(column, byte)| column[lane] = byte);
            }
        }
        points
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
        let lost = self.columns.len() as f32 * (1.0 + SLACK);
        ((left / self.cell + lost) as i16).saturating_add(1)
    }

    /// The `K` nearest points, nearest first; of equally far ones those that come first.
    pub(super) fn nearest<const K: usize>(&self, row: &[f32]) -> [Near; K] {
        let (bytes, moved) = self.roughly(row);
        let spread = bytes.map(|byte| [byte; LANES]);
        let bytes = &spread.as_chunks::<QUAD>().0[..self.quads];
        let mut sums = [[0; LANES]; GROUPS];
        let groups = self.rough.chunks_exact(self.quads);
        let sums = &mut sums[..groups.len()];
        sums.iter_mut().zip(groups).for_each(|(sums, group)| *sums = apart(group, bytes));
        let row = &quads_of(row)[..self.quads];
        let exact = |group: usize| &self.exact[group * self.quads..][..self.quads];
        // No more than `K` points are nearer than the farthest of the `K` that seem nearest.
        let (mut seem, mut limit) = ([NOWHERE; K], i16::MAX);
        for (g, sums) in sums.iter().enumerate() {
            if any_below(sums, limit) {
                for (lane, &sum) in sums.iter().take(self.count - g * LANES).enumerate() {
                    let point = (g * LANES + lane) as u32;
                    insert(&mut seem, Near { distance: f32::from(sum), point });
                }
                limit = seem[K - 1].distance as i16;
            }
        }
        let limit = seem.iter().fold(0.0, |most: f32, near| {
            let (group, lane) = (near.point as usize / LANES, near.point as usize % LANES);
            most.max(distance(exact(group), row, lane))
        });
        let (mut best, mut enough) = ([NOWHERE; K], self.enough(limit, moved));
        for (g, sums) in sums.iter().enumerate() {
            if any_below(sums, enough) {
                let worst = best[K - 1].distance;
                let few = sums.iter().map(|&sum| u8::from(sum < enough)).sum::<u8>() <= FEW;
                let all = if few { [0.0; LANES] } else { distances(exact(g), row) };
                if !all.iter().fold(false, |any, &d| any | (d < worst)) {
                    continue;
                }
                for lane in (0..LANES).filter(|&lane| sums[lane] < enough) {
                    let distance = if few { distance(exact(g), row, lane) } else { all[lane] };
                    insert(&mut best, Near { distance, point: (g * LANES + lane) as u32 });
                }
                enough = self.enough(limit.min(best[K - 1].distance), moved);
            }
        }
        best
    }

    /// What [`Self::nearest`] finds, by comparing exactly with all.
    #[cfg(test)]
    pub(super) fn plainly<const K: usize>(&self, row: &[f32]) -> [Near; K] {
        let row = &quads_of(row)[..self.quads];
        let mut best = [NOWHERE; K];
        for (point, at) in (0..self.count).map(|p| (p as u32, p)) {
            let exact = &self.exact[at / LANES * self.quads..][..self.quads];
            insert(&mut best, Near { distance: distance(exact, row, at % LANES), point });
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

/// The sums of differences of a group's bytes. Four columns add up to at most 255, which only makes
/// a bound lower. Written so that every loop becomes one instruction for all lanes, which it does
/// not where it is inlined.
#[inline(never)]
fn apart(group: &[[Lanes; QUAD]], row: &[[Lanes; QUAD]]) -> [i16; LANES] {
    let mut sums = [0; LANES];
    for ([a, b, c, d], [w, x, y, z]) in group.iter().zip(row) {
        let mut four = [0u8; LANES];
        for i in 0..LANES {
            let first = a[i].abs_diff(w[i]).saturating_add(b[i].abs_diff(x[i]));
            let second = c[i].abs_diff(y[i]).saturating_add(d[i].abs_diff(z[i]));
            four[i] = first.saturating_add(second);
        }
        for i in 0..LANES {
            sums[i] += i16::from(four[i]);
        }
    }
    sums
}

fn any_below(sums: &[i16; LANES], limit: i16) -> bool {
    // Without a branch a lane, so that it becomes a comparison of all.
    sums.iter().fold(false, |any, &sum| any | (sum < limit))
}

/// The distance of one point of a group.
fn distance(group: &[[[f32; LANES]; QUAD]], row: &[Quad], lane: usize) -> f32 {
    group.iter().zip(row).fold(0.0, |sum, ([a, b, c, d], [w, x, y, z])| {
        let first = (w - a[lane]).abs() + (x - b[lane]).abs();
        let second = (y - c[lane]).abs() + (z - d[lane]).abs();
        sum + (first + second)
    })
}

/// The distances of all points of a group, with the additions of [`distance`].
#[inline(never)]
fn distances(group: &[[[f32; LANES]; QUAD]], row: &[Quad]) -> [f32; LANES] {
    let mut sums = [0.0; LANES];
    for ([a, b, c, d], &[w, x, y, z]) in group.iter().zip(row) {
        for i in 0..LANES {
            let first = (w - a[i]).abs() + (x - b[i]).abs();
            let second = (y - c[i]).abs() + (z - d[i]).abs();
            sums[i] += first + second;
        }
    }
    sums
}

fn insert<const K: usize>(best: &mut [Near; K], new: Near) {
    if new.distance >= best[K - 1].distance {
        return;
    }
    let at = best.partition_point(|b| b.distance <= new.distance);
    best[at..].rotate_right(1);
    best[at] = new;
}
