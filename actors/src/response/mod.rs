//! What is done with what was found: forecasts of what comes next.

pub mod forecaster;
