//! Forecasts without I/O: a series of counts or rates in, points with calibrated intervals out.
//!
//! The way of a forecast: rows become a [`Series`]; [`Model::fit`] fits the [`members`], measures
//! each on past origins, mixes or chooses, and keeps the residuals; [`Model::forecast`] gives a
//! [`Forecast`] from any later state of the series. As values come, [`online`] adapts the intervals
//! and watches the errors. [`windows`] says when it may get too much, [`needs`] what it costs,
//! [`mod@backtest`] how good all this would have been.
//!
//! Everything is a function of its arguments: the same series gives the same bytes. Several series
//! are not modelled together, and nothing but its own past explains a series.

pub mod backtest;
pub mod forecast;
pub mod forecaster;
pub mod forecasters;
pub mod history;
pub mod limits;
mod linear;
pub mod member;
pub mod members;
mod mix;
pub mod model;
pub mod needs;
pub mod online;
pub mod scale;
pub mod series;
pub mod shift;
pub mod spread;
mod stats;
pub mod strength;
mod validation;
pub mod windows;

pub use backtest::backtest;
pub use forecast::{Band, Forecast, Method};
pub use forecaster::Forecaster;
pub use forecasters::{Forecasters, Outlook};
pub use history::{History, Measure, Subject};
pub use members::Kind;
pub use model::{Model, Settings};
pub use online::Online;
pub use series::{Grid, Seasons, Series, Treatment};
