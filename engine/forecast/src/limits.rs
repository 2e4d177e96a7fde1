//! What this crate bounds, with the reasons.

/// Rows that a series is made of, at most: twenty years of hours, which take 3 MB. A table that has
/// more is no table of counts per hour.
pub const ROWS: usize = 175_200;

/// Steps of a series, at most: rows of which one has a wrong year would otherwise ask for memory
/// for all the hours between.
pub const STEPS: usize = 175_200;

/// Long seasons that models are fitted to, the latest ones: older values tell little about next
/// week, and fitting a quarter of a year of hours stays in single milliseconds.
pub const FITTED_SEASONS: usize = 13;

/// Long seasons that may be forecast ahead: beyond a week there is nothing but the shape of the
/// week and a guess of its level.
pub const HORIZON_SEASONS: usize = 1;

/// Values are at most this large: squares of their sums over a series stay far from overflow.
pub const VALUE: f64 = 1e100;

/// Levels of intervals asked for at once, at most: no picture shows more.
pub const LEVELS: usize = 16;

/// Series that are forecast while they go on, at most: fitting takes some milliseconds each, a
/// second an hour in all.
pub const SUBJECTS: usize = 256;

/// Steps of the long season, at most: a week of five minutes. Finer grids are for rates, not for
/// forecasts of days.
pub const LONG_SEASON: usize = 2_016;
