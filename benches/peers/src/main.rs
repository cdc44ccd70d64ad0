//! Starts what people would use instead of Leadfold, one peer at a time, and measures it on given traffic.
//!
//! `benches --peers` starts this program for each peer between its own measurements, so that both stand in one table.
//! The peers get the settings that their documentation advises, and answer only when an event is durable.

mod drive;
mod postgres;
mod sierradb;
#[cfg(feature = "umadb")]
mod umadb;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::{Parser, Subcommand};
use drive::{Figure, Row};
use serde::Serialize;

/// Measures what people would use instead of Leadfold
#[derive(Debug, Parser)]
#[command(after_help = "Example:\n  peers run postgres-batched --traffic traffic.ndjson")]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Tell the peers, what each does and doesn't do, and how it is set, as JSON
    #[command(after_help = "Example:\n  peers list")]
    List,
    /// Measure one peer once, with a server of its own, and print its figures as JSON
    #[command(after_help = "Example:\n  peers run umadb --traffic traffic.ndjson --seconds 5")]
    Run {
        /// Its name, as `peers list` tells it
        name: String,
        /// CloudEvents, one a line, as `leadfold generate` makes them
        #[arg(long)]
        traffic: PathBuf,
        /// How long each measurement lasts at most; it ends before when the traffic is used up
        #[arg(long, default_value_t = 8)]
        seconds: u64,
    },
}

/// A peer, as it is told.
#[derive(Serialize)]
struct Peer {
    name: &'static str,
    does: &'static str,
    lacks: &'static str,
    settings: &'static str,
    #[serde(skip)]
    measure: Measure,
}

/// Measures a peer on rows, each way for so long at most.
type Measure = fn(&[Row], Duration) -> anyhow::Result<Vec<Figure>>;

/// The figures of a round.
#[derive(Serialize)]
struct Round<'a> {
    peer: &'a str,
    figures: Vec<Figure>,
}

fn peers() -> Vec<Peer> {
    let mut peers = vec![
        Peer {
            name: "postgres-single",
            does: "one transaction for each interaction: dedupe by message id, version check, upsert of the lead's row",
            lacks: "identities, rules, deadlines, scores, seals, chain; its clients hold the streams' versions in memory",
            settings: "PostgreSQL 15, synchronous_commit=on, 2 GB shared_buffers, 64 MB wal_buffers, lz4, rare checkpoints",
            measure: postgres::single,
        },
        Peer {
            name: "postgres-batched",
            does: "the same, 500 interactions in a transaction",
            lacks: "as postgres-single; an answer to a single interaction",
            settings: "as postgres-single",
            measure: postgres::batched,
        },
        Peer {
            name: "sierradb",
            does: "append to the visitor's stream with a check of its version; read of streams",
            lacks: "dedupe by message id, lead rows, rules, seals, chain; what was answered can be read a little later only",
            settings: "SierraDB 0.3.1 as it comes: one node, a sync every 5 ms under load and 50 ms at rest",
            measure: sierradb::as_it_comes,
        },
        Peer {
            name: "sierradb-tuned",
            does: "as sierradb",
            lacks: "as sierradb",
            settings: "sync.interval_ms = 2, sync.idle_interval_ms = 1, sync.max_batch_size = 1, sync.min_bytes = 1",
            measure: sierradb::tuned,
        },
    ];
    peers.extend(with_features());
    peers
}

#[cfg(feature = "umadb")]
fn with_features() -> Option<Peer> {
    Some(Peer {
        name: "umadb",
        does: "append with a condition on the visitor's tag, or of 500 events without one; dense positions; sequential read",
        lacks: "dedupe by message id in batches, lead rows, rules, seals, chain",
        settings: "UmaDB 0.7.8 as it comes: group commit, fdatasync before the answer, gRPC",
        measure: umadb::measure,
    })
}

#[cfg(not(feature = "umadb"))]
const fn with_features() -> Option<Peer> {
    None
}

fn main() -> anyhow::Result<()> {
    let peers = peers();
    match Args::parse().verb {
        Verb::List => println!("{}", serde_json::to_string_pretty(&peers)?),
        Verb::Run { name, traffic, seconds } => {
            let Some(peer) = peers.iter().find(|peer| peer.name == name) else {
                let known: Vec<&str> = peers.iter().map(|peer| peer.name).collect();
                bail!("there is no peer \"{name}\"; there are {}", known.join(", "));
            };
            let figures = (peer.measure)(&drive::read(&traffic)?, Duration::from_secs(seconds))?;
            println!("{}", serde_json::to_string_pretty(&Round { peer: peer.name, figures })?);
        }
    }
    Ok(())
}
