//! The command line: parses, resolves, runs, and turns the result into an exit code.
//!
//! Invariant: this is the only module that prints; flags are resolved once ([`resolve`]), and what is behind them never
//! sees a flag.

pub(crate) mod args;
pub(crate) mod commands;
mod device;
pub(crate) mod exit;
pub(crate) mod failure;
mod files;
mod memory;
pub(crate) mod output;
mod progress;
pub(crate) mod resolve;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use commands::{
    check, claims, data, deviations, doctor, effect, list, plan, report, reproduce, self_test, store,
    train_run, why,
};
use exit::Exit;
use failure::Failure;

/// Runs the program.
pub fn main() -> ExitCode {
    // clap prints usage errors itself and exits with 2.
    let cli = Cli::parse();
    if cli.command.trains() {
        // Before any thread is started. Commands that only read are faster with the allocator as it is.
        crate::device::keep_freed_memory();
    }
    match run(&cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::note(&format!("error: {failure}"));
            failure.exit.into()
        }
    }
}

fn run(cli: &Cli) -> Result<Exit, Failure> {
    let out = resolve::out(cli.out.as_deref());
    match &cli.command {
        Command::List { data, json } => list::run(data.as_deref(), *json, &out),
        Command::Plan { selection, document: true, .. } => plan::document(selection, &out),
        Command::Plan { selection, jobs, power, json, document: false } => {
            plan::run(selection, *jobs, *power, *json, &out)
        }
        Command::TrainRun(asked) => train_run::run(asked, cli.quiet, &out),
        Command::Reproduce { selection, workers, json } => {
            let execution = reproduce::Execution { workers: *workers, json: *json, quiet: cli.quiet };
            reproduce::run(selection, &execution, &out)
        }
        Command::Check { selection, format, self_test, expected } => {
            let run = if *self_test { self_test::run } else { check::run };
            run(selection, *format, expected, &out)
        }
        Command::Accept { selection, reason, new_seeds, expected } => {
            check::accept(selection, reason, *new_seeds, expected, &out)
        }
        Command::Report { selection, format } => report::run(selection, *format, &out),
        Command::Claims(asked) => claims::run(asked, &out),
        Command::Deviations { id, json } => deviations::run(id.as_deref(), *json),
        Command::Effect { selection, workers, record, json } => {
            let execution = reproduce::Execution { workers: *workers, json: *json, quiet: cli.quiet };
            effect::run(selection, &execution, record.as_deref(), &out)
        }
        Command::Why { selection, expected, json } => why::run(selection, *json, expected, &out),
        Command::Doctor(doctor) => doctor::run(doctor),
        Command::Data(command) => data::run(command, cli.out.as_deref(), cli.quiet),
        Command::Store(command) => store::run(command, &out),
    }
}
