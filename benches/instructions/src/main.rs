//! Counts the processor instructions that each interaction costs in the pure parts of the engine, and compares them with
//! counts that are committed: wall time is too noisy where tests run.
//!
//! `iai-callgrind` (gungraun) was not taken: it compares with an earlier run in the target folder, and needs a runner of
//! its own version installed; here the counts stand in the repository, and a change of them in its history.

#![forbid(unsafe_code)]

mod check;
mod parts;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use crate::parts::Part;

/// Counts instructions of the pure parts, for each interaction
#[derive(Debug, Parser)]
#[command(
    after_help = "Example:\n  instructions check --expected benches/instructions/expected.json --traffic t.ndjson \
    --policy examples/shop/policy.toml"
)]
struct Cli {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Do a part of the work once, and say for how many interactions
    #[command(after_help = "Example:\n  instructions run decide --traffic t.ndjson --policy examples/shop/policy.toml")]
    Run {
        /// Which part
        part: Part,
        #[command(flatten)]
        work: Work,
    },
    /// Count with valgrind and compare with a file
    #[command(after_help = "Example:\n  instructions check --expected benches/instructions/expected.json --traffic \
        t.ndjson --policy examples/shop/policy.toml")]
    Check {
        /// The file with the expected counts
        #[arg(long)]
        expected: PathBuf,
        #[command(flatten)]
        work: Work,
    },
    /// Count with valgrind and write the counts to a file
    #[command(after_help = "Example:\n  instructions update --expected benches/instructions/expected.json --traffic \
        t.ndjson --policy examples/shop/policy.toml")]
    Update {
        /// The file with the expected counts
        #[arg(long)]
        expected: PathBuf,
        #[command(flatten)]
        work: Work,
    },
}

/// What the work is done on.
#[derive(Args, Debug)]
struct Work {
    /// CloudEvents, one a line, as `leadfold generate` makes them
    #[arg(long)]
    traffic: PathBuf,
    /// The policy that decides
    #[arg(long)]
    policy: PathBuf,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Verb::Run { part, work } => {
            let read = |file: &PathBuf| {
                std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
            };
            println!("{}", parts::run(part, &read(&work.traffic)?, &read(&work.policy)?)?);
            Ok(())
        }
        Verb::Check { expected, work } => check::compare(&check::read(&expected)?, &check::count(&work)?),
        Verb::Update { expected, work } => check::write(&expected, &check::count(&work)?),
    }
}
