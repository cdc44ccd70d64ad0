//! The program: parses the command line, runs one command, and turns its end into an exit code.

mod cli;
mod commands;
mod failure;
mod folder;
mod generate;
mod output;
mod settings;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::cli::Cli;
use crate::settings::Settings;

/// Allocations cross threads between the stages of an import.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging(cli.global.verbose);
    let ended = Settings::of(&cli.global).and_then(|settings| commands::run(&cli.command, &settings));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}

/// Log lines go to standard error; `LEADFOLD_LOG` refines what is shown. Without it and without `-v` there are none:
/// a command that fails says why in its own words.
fn start_logging(verbose: u8) {
    let level = match verbose {
        0 => "off",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("LEADFOLD_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colours).without_time();
    lines.with_env_filter(filter).init();
}
