//! How fast the listing and the analytics tables are made from the log, and how long their answers take, beside PostgreSQL
//! over the same data in the same run.

#[path = "../peers/src/postgres/cluster.rs"]
mod cluster;
mod postgres;
pub(crate) mod questions;

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::Args;
use crate::import::watch;
use crate::page::percentile;
use crate::running::{Running, new_folder};
use postgres::Peer;
use questions::{Ask, Question};

/// How often each page is read.
pub(crate) const PAGE_READINGS: usize = 200;
/// How often each report is asked for.
pub(crate) const REPORT_READINGS: usize = 30;
const MEBIBYTE: f64 = 1_048_576.0;

pub(crate) fn measure(args: &Args, traffic: &Path, folder: &Path) -> anyhow::Result<()> {
    let data = new_folder(args)?;
    let leadfold = |verb: &[&str]| {
        let mut command = Command::new(&args.leadfold);
        command.arg("--data").arg(data.path()).args(verb);
        command
    };
    let imported = leadfold(&["import"]).arg(traffic).stdout(Stdio::null()).status();
    ensure!(imported.context("cannot import the traffic")?.success(), "cannot import the traffic");
    println!("model | records | records/s | CPU s | peak MiB");
    for model in ["listing", "analytics"] {
        rebuild(leadfold(&["--json", "projections", "rebuild", model]), model)?;
    }
    let exports = folder.join("exports");
    std::fs::create_dir(&exports).context("cannot make a folder")?;
    println!("export | seconds | MiB");
    for what in ["leads", "interactions", "events", "score"] {
        let file = exports.join(format!("{what}.csv"));
        let started = Instant::now();
        let written = leadfold(&["export", what, "--format", "csv", "--out"]).arg(&file).stderr(Stdio::null()).status();
        ensure!(written.context("cannot export")?.success(), "cannot export {what}");
        let bytes = std::fs::metadata(&file)?.len();
        println!("{what} | {:.2} | {:.1}", started.elapsed().as_secs_f64(), bytes as f64 / MEBIBYTE);
    }
    let peer = Peer::start(&exports)?;
    let service = Running::serve(args, data, &[])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(ask_all(&service, &peer))
}

fn rebuild(mut command: Command, model: &str) -> anyhow::Result<()> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("cannot start the program")?;
    let mut out = child.stdout.take().context("the program has no output")?;
    let (cpu, peak) = watch(&mut child)?;
    let mut said = String::new();
    out.read_to_string(&mut said)?;
    let said: Value = serde_json::from_str(said.trim()).context("the program says something else")?;
    let number = |name: &str| said.get(name).and_then(Value::as_f64).unwrap_or_default();
    let (records, seconds) = (number("position"), number("seconds"));
    println!("{model} | {records:.0} | {:.0} | {cpu:.1} | {:.0}", records / seconds, peak as f64 / MEBIBYTE);
    Ok(())
}

async fn ask_all(service: &Running, peer: &Peer) -> anyhow::Result<()> {
    let (leads, questions) = questions::all(service).await?;
    service.at_rest().await?;
    println!("{leads} leads; milliseconds, of Leadfold over HTTP, of PostgreSQL by psql's clock");
    println!("question | p50 | p99 | PostgreSQL p50 | p99 | ratio of p50");
    for question in &questions {
        let readings = if question.is_page { PAGE_READINGS } else { REPORT_READINGS };
        let ours = read(service, question, readings).await?;
        let theirs = peer.ask(&question.sql, readings.min(50))?;
        let (half, their_half) = (percentile(&ours, 50), percentile(&theirs, 50));
        if theirs.is_empty() {
            println!("{} | {half:.1} | {:.1} | - | - | -", question.name, percentile(&ours, 99));
            continue;
        }
        println!(
            "{} | {half:.1} | {:.1} | {their_half:.1} | {:.1} | {:.1}",
            question.name,
            percentile(&ours, 99),
            percentile(&theirs, 99),
            their_half / half,
        );
    }
    let (cpu, peak) = service.used();
    println!("the service took {cpu:.1} CPU s and {peak:.0} MiB at most");
    Ok(())
}

/// Milliseconds of each reading, sorted.
pub(crate) async fn read(service: &Running, question: &Question, readings: usize) -> anyhow::Result<Vec<f64>> {
    let client = service.client();
    let mut times = Vec::with_capacity(readings);
    for reading in 0..=readings {
        let started = Instant::now();
        let request = match &question.ask {
            Ask::Get(path) => client.get(service.url(path)),
            Ask::Post(path, body) => {
                let request = client.post(service.url(path)).header("content-type", "application/json");
                request.body(body.to_string())
            }
        };
        let answer = request.send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        ensure!(status == 200, "{} is answered with {status}: {}", question.name, String::from_utf8_lossy(&body));
        // The first one finds nothing at hand.
        if reading > 0 {
            times.push(started.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}
