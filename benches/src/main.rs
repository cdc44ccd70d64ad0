//! How fast an import and a running service are, beside what the machine can do in the same run.
//!
//! Starts the program as a user would, on a file of generated traffic, and measures the ceilings that the parts stand on:
//! RocksDB writing as many bytes with the same syncs, a scan of them, and JSON decoding of the same lines. Figures of one
//! run belong together; those of different runs don't. Decides nothing by a figure: that is for the reader.

mod audits;
mod ceilings;
mod feed;
mod growth;
mod http;
mod import;
mod latency;
mod models;
mod page;
mod parts;
mod peers;
mod plot;
mod results;
mod running;
mod scoring;
mod sizes;
mod suite;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Parser, ValueEnum};

/// Measures the program, its ceilings and its peers, and prints tables.
///
/// Example: benches --leadfold target/release/leadfold --interactions 200000 --visitors 20000 --rounds 1
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The program to measure
    #[arg(long, default_value = "target/release/leadfold")]
    pub(crate) leadfold: PathBuf,
    /// The policy for the traffic
    #[arg(long, default_value = "examples/shop/policy.toml")]
    pub(crate) policy: PathBuf,
    /// How many visitors the traffic has
    #[arg(long, default_value_t = 200_000)]
    pub(crate) visitors: u64,
    /// How many lines the traffic has
    #[arg(long, default_value_t = 2_000_000)]
    pub(crate) interactions: u64,
    /// How often everything is measured; the table shows every round
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: u32,
    /// About how many leads the traffic makes, of ten interactions each; stands for --visitors and --interactions
    #[arg(long)]
    leads: Option<u64>,
    /// About how many leads each size has that is compared
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000, 1_000_000, 5_000_000])]
    pub(crate) sizes: Vec<u64>,
    /// How many interactions a lead has there; ten of five million need 80 GB
    #[arg(long, default_value_t = 10)]
    pub(crate) per_lead: u64,
    /// The program that starts what people would use instead; without it there are no peers in the table
    #[arg(long)]
    pub(crate) peers: Option<PathBuf>,
    /// How long each measurement of a peer lasts at most, in seconds
    #[arg(long, default_value_t = 8)]
    pub(crate) peer_seconds: u32,
    /// The folder that the tables, the figures and the plots are written to
    #[arg(long, default_value = "bench-results")]
    pub(crate) out: PathBuf,
    /// What to measure
    #[arg(long, value_enum, default_value = "all")]
    what: What,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Import, feeds, audits, reading and latency, side by side with ceilings and peers, as a table and plots.
    All,
    /// How each path changes with the number of leads, as a table and a plot.
    Growth,
    /// An import of a file.
    Import,
    /// A service fed by NATS.
    Feed,
    /// A service fed over HTTP.
    Http,
    /// How long it takes from an interaction to the listing.
    Latency,
    /// What scoring costs an import: without rules, with the policy's own, with a hundred.
    Scoring,
    /// Replay and verification.
    Audits,
    /// How long a page of the listing takes, at rest and under load.
    Page,
    /// How fast both read models are made, and what they answer in, beside PostgreSQL over the same data.
    Models,
    /// How time and memory of each question grow with the number of leads.
    Sizes,
}

fn main() -> anyhow::Result<()> {
    let mut args = Args::parse();
    if let Some(leads) = args.leads {
        // A visitor of that many interactions has about three leads in five.
        (args.visitors, args.interactions) = (leads.saturating_mul(3) / 5, leads.saturating_mul(10));
    }
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let traffic = folder.path().join("traffic.ndjson");
    suite::check(&args)?;
    if args.what != What::Sizes && args.what != What::Growth {
        import::generate(&args.leadfold, &traffic, args.visitors, args.interactions)?;
        println!("{} interactions of {} visitors, {} rounds", args.interactions, args.visitors, args.rounds);
    }
    match args.what {
        What::All => suite::measure(&args, &traffic, folder.path()),
        What::Growth => growth::measure(&args, folder.path()),
        What::Import => imports(&args, &traffic, folder.path()),
        What::Feed => feed::measure(&args, &traffic),
        What::Http => http::measure(&args, &traffic),
        What::Latency => latency::measure(&args, &traffic),
        What::Scoring => scoring::measure(&args, &traffic, folder.path()),
        What::Audits => audits::measure(&args, &traffic, folder.path()),
        What::Page => page::measure(&args, &traffic),
        What::Models => models::measure(&args, &traffic, folder.path()),
        What::Sizes => sizes::measure(&args, folder.path()),
    }
}

fn imports(args: &Args, traffic: &Path, folder: &Path) -> anyhow::Result<()> {
    println!("round | import /s | CPU s | peak MiB | bytes each | RocksDB /s | ratio | scan /s | JSON decode /s");
    for round in 1..=args.rounds {
        let import = import::measure(&args.leadfold, &args.policy, traffic, folder)?;
        let bytes = import.log_bytes / import.records.max(1);
        let written = ceilings::rocksdb(&folder.join("ceiling"), import.records, bytes)?;
        let decoded = ceilings::json(traffic)?;
        let rate = args.interactions as f64 / import.seconds;
        println!(
            "{round:5} | {rate:9.0} | {:5.1} | {:8.0} | {bytes:10} | {:10.0} | {:5.2} | {:7.0} | {decoded:14.0}",
            import.cpu_seconds,
            import.peak_bytes as f64 / f64::from(1 << 20),
            written.writes,
            rate / written.writes,
            written.scans,
        );
    }
    Ok(())
}
