//! What people would use instead of Leadfold, doing the same job on the same traffic in the same run, at equal durability.
//!
//! The peers get their documented settings for such a load. Figures of one run belong together; those of different runs
//! don't. Decides nothing by a figure: that is for the reader.

mod postgres;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;

/// Measures an import by Leadfold and by what people would use instead, and prints a table.
#[derive(Debug, Parser)]
struct Args {
    /// The program to measure
    #[arg(long, default_value = "target/release/leadfold")]
    leadfold: PathBuf,
    /// The policy for the traffic
    #[arg(long, default_value = "examples/shop/policy.toml")]
    policy: PathBuf,
    /// How many visitors the traffic has
    #[arg(long, default_value_t = 50_000)]
    visitors: u64,
    /// How many lines the traffic has
    #[arg(long, default_value_t = 500_000)]
    interactions: u64,
    /// How often everything is measured; the table shows every round
    #[arg(long, default_value_t = 3)]
    rounds: u32,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let traffic = folder.path().join("traffic.ndjson");
    let (visitors, interactions) = (args.visitors.to_string(), args.interactions.to_string());
    let generate = ["generate", "--seed", "7", "--visitors", &visitors, "--interactions", &interactions, "-o"];
    run(Command::new(&args.leadfold).args(generate).arg(&traffic))?;
    println!("{interactions} interactions of {visitors} visitors, {} rounds", args.rounds);
    let rows = postgres::read(&traffic)?;
    println!(
        "round | Leadfold, import /s | PostgreSQL, one by one /s | ratio | batches of 500 /s | ratio | bytes each"
    );
    for round in 1..=args.rounds {
        let seconds = import(&args, &traffic, &folder.path().join("data"))?;
        let rate = args.interactions as f64 / seconds;
        let peer = postgres::measure(&rows)?;
        println!(
            "{round:5} | {rate:19.0} | {:24.0} | {:5.1} | {:17.0} | {:5.1} | {:10.0}",
            peer.single,
            rate / peer.single,
            peer.batched,
            rate / peer.batched,
            peer.bytes_each
        );
    }
    Ok(())
}

/// Imports the traffic into a new folder: decided, durable, listing complete. Returns the seconds it took.
fn import(args: &Args, traffic: &Path, data: &Path) -> anyhow::Result<f64> {
    // A folder from an earlier round.
    let _ = std::fs::remove_dir_all(data);
    let leadfold = || {
        let mut command = Command::new(&args.leadfold);
        command.arg("--data").arg(data);
        command
    };
    run(leadfold().args(["policy", "adopt"]).arg(&args.policy))?;
    let started = Instant::now();
    run(leadfold().arg("import").arg(traffic))?;
    Ok(started.elapsed().as_secs_f64())
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot start {command:?}; build it first (`make build`)"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}
