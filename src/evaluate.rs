//! `watchfire evaluate`: how well do the detectors tell labelled data apart?

use anyhow::Result;
use clap::Subcommand;
use std::process::ExitCode;

mod tabular;

#[derive(Subcommand)]
pub enum Evaluate {
    /// Learn from one table, judge another, and compare with its labels
    Tabular(tabular::Args),
}

pub fn run(what: Evaluate) -> Result<ExitCode> {
    match what {
        Evaluate::Tabular(arguments) => tabular::run(&arguments),
    }
}
