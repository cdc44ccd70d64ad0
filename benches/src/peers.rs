//! What people would use instead: started one after the other through the program in `benches/peers`, on the same traffic.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::results::{Figure, Results, Unit};

const MEBIBYTE: f64 = 1_048_576.0;

/// What a peer does of the job.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Peer {
    pub(crate) name: String,
    does: String,
    lacks: String,
    settings: String,
}

/// What one round of a peer came to.
#[derive(Debug, Deserialize)]
struct Round {
    figures: Vec<Measured>,
}

#[derive(Debug, Deserialize)]
struct Measured {
    path: String,
    batch: u64,
    clients: u64,
    events: u64,
    seconds: f64,
    cpu_seconds: Option<f64>,
    peak_bytes: Option<f64>,
    disk_bytes: Option<f64>,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
}

/// The peers that the program knows.
pub(crate) fn all(program: &Path) -> anyhow::Result<Vec<Peer>> {
    serde_json::from_slice(&ask(Command::new(program).arg("list"))?).context("cannot read the list of peers")
}

/// Measures one round of a peer.
pub(crate) fn measure(
    program: &Path,
    peer: &str,
    traffic: &Path,
    seconds: u32,
    results: &mut Results,
) -> anyhow::Result<()> {
    let seconds = seconds.to_string();
    let answer = ask(Command::new(program).args(["run", peer, "--seconds", &seconds, "--traffic"]).arg(traffic))?;
    let round: Round = serde_json::from_slice(&answer).with_context(|| format!("cannot read the figures of {peer}"))?;
    for it in round.figures {
        let name = name(peer, &it.path, it.batch, it.clients);
        let figure = Figure {
            value: it.events as f64 / it.seconds,
            cpu_seconds: it.cpu_seconds,
            peak_mib: it.peak_bytes.map(|bytes| bytes / MEBIBYTE),
            bytes_each: it.disk_bytes.map(|bytes| bytes / it.events as f64),
        };
        results.add(&name, Unit::PerSecond, figure);
        for (percent, time) in [("p50", it.p50_ms), ("p99", it.p99_ms)] {
            if let Some(time) = time.filter(|_| it.clients == 1) {
                results.add(&format!("{name}, {percent}"), Unit::Milliseconds, Figure::of(time));
            }
        }
    }
    Ok(())
}

/// What a path of a peer is called in tables.
fn name(peer: &str, path: &str, batch: u64, clients: u64) -> String {
    if path == "append" { format!("{peer}: append by {batch}, {clients} clients") } else { format!("{peer}: {path}") }
}

/// What each peer does and does not do, in Markdown.
pub(crate) fn table(peers: &[Peer]) -> String {
    let mut text = "| peer | does | lacks | settings |\n|---|---|---|---|\n".to_owned();
    for Peer { name, does, lacks, settings } in peers {
        let _ = writeln!(text, "| {name} | {does} | {lacks} | {settings} |");
    }
    text
}

fn ask(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot start {command:?}; `make bench` builds it"))?;
    ensure!(output.status.success(), "{command:?} failed: {}", output.status);
    Ok(output.stdout)
}
