//! `watchfire evaluate`: how well the detectors do on labelled data of known formats.

use anyhow::Result;
use clap::Subcommand;
use std::process::ExitCode;

mod outcome;
mod sequences;
mod users;

#[derive(Subcommand)]
pub enum Evaluate {
    /// Judge sessions of event numbers: learnt from normal ones, one session a line
    Sequences(sequences::Args),
    /// Judge blocks of commands: was it the account's owner who typed them?
    Users(users::Args),
}

pub fn run(what: &Evaluate) -> Result<ExitCode> {
    match what {
        Evaluate::Sequences(arguments) => sequences::run(arguments),
        Evaluate::Users(arguments) => users::run(arguments),
    }
}
