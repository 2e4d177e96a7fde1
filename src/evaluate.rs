//! `watchfire evaluate`: how well do the detectors tell labelled data apart?

use anyhow::Result;
use clap::Subcommand;
use std::process::ExitCode;

mod outcome;
mod sequences;
mod tabular;
mod users;

#[derive(Subcommand)]
pub enum Evaluate {
    /// Learn from one table, judge another, and compare with its labels
    Tabular(tabular::Args),
    /// Judge sessions of event numbers: learnt from normal ones, one session a line
    Sequences(sequences::Args),
    /// Judge blocks of commands: was it the account's owner who typed them?
    Users(users::Args),
}

pub fn run(what: &Evaluate) -> Result<ExitCode> {
    match what {
        Evaluate::Tabular(arguments) => tabular::run(arguments),
        Evaluate::Sequences(arguments) => sequences::run(arguments),
        Evaluate::Users(arguments) => users::run(arguments),
    }
}
