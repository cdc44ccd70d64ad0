//! The program: parses the command line, runs one command, and turns its end into an exit code.

mod backup;
mod cli;
mod commands;
mod config;
mod failure;
mod folder;
mod generate;
mod memory;
mod output;
mod remote;
mod serve;
mod settings;
mod source;

use std::io::IsTerminal;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, LogFormat};
use crate::config::Configuration;
use crate::settings::Settings;

/// Allocations cross threads between the stages of an import.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let (cli, configuration) = match Configuration::read() {
        Ok(read) => read,
        Err(error) => return failure::report(&error),
    };
    if cli.command.moves_much() {
        memory::keep_freed();
    }
    start_logging(&cli);
    let ended = Settings::of(&cli.global).and_then(|settings| commands::run(&cli.command, &settings, &configuration));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}

/// Log lines go to standard error; `LEADFOLD_LOG` refines what is shown. Without it and without `-v` there are none,
/// except from a service: a command that fails says why in its own words.
fn start_logging(cli: &Cli) {
    let serves = if let Command::Serve(args) = &cli.command { Some(args) } else { None };
    let level = match (cli.global.verbose, serves.is_some()) {
        (0, false) => "off",
        (0, true) | (1, false) => "info,async_nats=warn",
        (1, true) | (2.., _) => "debug",
    };
    let filter = EnvFilter::try_from_env("LEADFOLD_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let colours = std::io::stderr().is_terminal();
    // Standard error may be closed while a service runs; a line that can't be written must not end it.
    let lines = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_env_filter(filter)
        .log_internal_errors(false);
    match serves.map(|args| args.log_format) {
        None => lines.without_time().init(),
        Some(LogFormat::Text) => lines.init(),
        Some(LogFormat::Json) => lines.json().flatten_event(true).init(),
    }
}
