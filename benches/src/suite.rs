//! Everything, side by side: ceilings, paths and peers in turn, several times, as one table and as plots.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::models::questions;
use crate::page::percentile;
use crate::peers::{self, Peer};
use crate::plot::{self, Bar};
use crate::results::{Beside, Figure, Ratio, Results, Spread, Unit, ratio_table};
use crate::running::{Running, folder_bytes};
use crate::{Args, ceilings, feed, http, import, latency, models, parts, scoring};

const DISK: &str = "ceiling: disk, same bytes, fdatasync per 5,000";
const ROCKSDB: &str = "ceiling: RocksDB, same bytes, synced per 5,000";
const ROCKSDB_SCAN: &str = "ceiling: RocksDB, scan with checksums";
const JSON: &str = "ceiling: JSON, envelope decoded, one core";
const JETSTREAM: &str = "ceiling: JetStream, pulled, nothing done";
const IMPORT: &str = "import, listing complete";
const IMPORT_BARE: &str = "import without scoring rules, listing complete";
const NATS_FED: &str = "NATS-fed, both read models complete";
const HTTP_FED: &str = "HTTP-fed, batches of 500, 4 clients";
const APPEND: &str = "log append alone, one thread";
const SCAN: &str = "log scan with chain, one thread";
const DECODE: &str = "records decoded, one thread";
const ENCODE: &str = "records encoded, one thread";
const DECIDE: &str = "decide alone, one thread";
const FOLD: &str = "fold alone, one thread";
const REPLAY: &str = "replay through the decider";
const VERIFY: &str = "verify, read models aside";
const LISTING: &str = "listing made from the log";
const ANALYTICS: &str = "analytics tables made from the log";
const RESTART: &str = "restart after kill -9";
const PAGES: &str = "page of the listing, slowest p99";
const REPORTS: &str = "report, slowest p99";
const ALONE_HALF: &str = "one client, durable answer, p50";
const ALONE_SLOW: &str = "one client, durable answer, p99";
const LISTED_HALF: &str = "interaction to listing at 20,000/s, p50";
const LISTED_SLOW: &str = "interaction to listing at 20,000/s, p99";
const SINGLE: &str = "postgres-single: append by 1, 16 clients";
const BATCHED: &str = "postgres-batched: append by 500, 4 clients";
const UMADB: &str = "umadb: append by 500, 8 clients";
const UMADB_READ: &str = "umadb: read";
const LOAD: u64 = 20_000;
/// A tenth of the traffic comes in before a service is killed.
const MORE: u64 = 10;
const MEBIBYTE: f64 = 1_048_576.0;
/// How often each page and each report is asked for.
const PAGE_READINGS: usize = 50;
const REPORT_READINGS: usize = 10;

/// What is compared in the table, with the goals of the project.
const BESIDE: [Beside; 20] = [
    beside(IMPORT, ROCKSDB, Some(0.30)),
    beside(IMPORT_BARE, ROCKSDB, Some(0.30)),
    beside(IMPORT, SINGLE, Some(40.0)),
    beside(IMPORT, BATCHED, Some(2.0)),
    beside(IMPORT, JSON, None),
    beside(NATS_FED, JETSTREAM, Some(0.25)),
    beside(NATS_FED, SINGLE, Some(15.0)),
    beside(NATS_FED, BATCHED, Some(2.0)),
    beside(HTTP_FED, SINGLE, None),
    beside(HTTP_FED, ROCKSDB, None),
    beside(APPEND, DISK, None),
    beside(APPEND, ROCKSDB, None),
    beside(APPEND, UMADB, Some(1.0)),
    beside(SCAN, ROCKSDB_SCAN, None),
    beside(SCAN, UMADB_READ, None),
    beside(REPLAY, SCAN, None),
    beside(VERIFY, SCAN, None),
    beside(LISTING, SCAN, None),
    beside(ANALYTICS, SCAN, None),
    beside(ALONE_HALF, "umadb: append by 1, 1 clients, p50", None),
];

const fn beside(path: &'static str, other: &'static str, goal: Option<f64>) -> Beside {
    Beside { path, other, goal }
}

/// Goals that are no ratios: the most milliseconds or seconds, or the least a second.
const GOALS: [(&str, f64); 8] = [
    (NATS_FED, 100_000.0),
    (IMPORT, 150_000.0),
    (REPLAY, 1_000_000.0),
    (ANALYTICS, 300_000.0),
    (LISTING, 60_000.0),
    (ALONE_HALF, 1.0),
    (LISTED_SLOW, 250.0),
    (RESTART, 5.0),
];

/// The whole run, as it is written to a file.
#[derive(Serialize)]
struct Report<'a> {
    title: &'a str,
    results: &'a Results,
    ratios: &'a [Ratio],
    peers: &'a [Peer],
}

pub(crate) fn measure(args: &Args, traffic: &Path, folder: &Path) -> anyhow::Result<()> {
    let mut results = Results::default();
    let known = args.peers.as_deref().map(peers::all).transpose()?.unwrap_or_default();
    let bare = folder.join("bare.toml");
    let policy = fs::read_to_string(&args.policy).context("cannot read the policy")?;
    fs::write(&bare, scoring::bare(&policy)).context("cannot write a policy")?;
    let more = folder.join("more.ndjson");
    import::generate_more(&args.leadfold, &more, args.visitors / MORE, args.interactions / MORE)?;
    for round in 1..=args.rounds {
        eprintln!("round {round} of {}", args.rounds);
        imports(args, traffic, folder, &bare, &mut results)?;
        audits(args, &folder.join("data"), &mut results)?;
        questions_of(args, folder, &more, &mut results)?;
        services(args, traffic, &mut results)?;
        for peer in &known {
            if let Some(program) = &args.peers {
                peers::measure(program, &peer.name, traffic, args.peer_seconds, &mut results)?;
            }
        }
    }
    write_out(args, &results, &known)
}

/// Imports, ceilings with as many bytes, and the parts alone.
fn imports(args: &Args, traffic: &Path, folder: &Path, bare: &Path, results: &mut Results) -> anyhow::Result<()> {
    for (name, policy) in [(IMPORT_BARE, bare), (IMPORT, args.policy.as_path())] {
        let it = import::measure(&args.leadfold, policy, traffic, folder)?;
        let figure = Figure {
            value: args.interactions as f64 / it.seconds,
            cpu_seconds: Some(it.cpu_seconds),
            peak_mib: Some(it.peak_bytes as f64 / MEBIBYTE),
            bytes_each: Some(folder_bytes(&folder.join("data"))? as f64 / args.interactions as f64),
        };
        results.add(name, Unit::PerSecond, figure);
        if name == IMPORT {
            let (records, bytes) = (it.records, it.log_bytes / it.records.max(1));
            let disk = ceilings::disk(&folder.join("sequential"), records, bytes)?;
            results.add(DISK, Unit::PerSecond, Figure::of(disk));
            let written = ceilings::rocksdb(&folder.join("ceiling"), records, bytes)?;
            results.add(ROCKSDB, Unit::PerSecond, Figure::of(written.writes));
            results.add(ROCKSDB_SCAN, Unit::PerSecond, Figure::of(written.scans));
        }
    }
    results.add(JSON, Unit::PerSecond, Figure::of(ceilings::json(traffic)?));
    let parts = parts::measure(&folder.join("data"), folder)?;
    for (name, rate) in [
        (APPEND, parts.append),
        (SCAN, parts.scan),
        (DECODE, parts.decode),
        (ENCODE, parts.encode),
        (DECIDE, parts.decide),
        (FOLD, parts.fold),
    ] {
        results.add(name, Unit::PerSecond, Figure::of(rate));
    }
    Ok(())
}

/// What works through the whole log, by the command line.
fn audits(args: &Args, data: &Path, results: &mut Results) -> anyhow::Result<()> {
    let (records, _) = ceilings::log_size(&data.join("log"))?;
    for (name, verb) in [
        (REPLAY, &["replay"][..]),
        (VERIFY, &["verify", "--skip-models"]),
        (LISTING, &["projections", "rebuild", "listing"]),
        (ANALYTICS, &["projections", "rebuild", "analytics"]),
    ] {
        let mut command = Command::new(&args.leadfold);
        command.arg("--data").arg(data).args(verb).stdout(Stdio::null()).stderr(Stdio::null());
        let started = Instant::now();
        let mut child = command.spawn().context("cannot start the program")?;
        let (cpu, peak) = import::watch(&mut child).with_context(|| format!("cannot {}", verb.join(" ")))?;
        let figure = Figure {
            value: records as f64 / started.elapsed().as_secs_f64(),
            cpu_seconds: Some(cpu),
            peak_mib: Some(peak as f64 / MEBIBYTE),
            bytes_each: None,
        };
        results.add(name, Unit::PerSecond, figure);
    }
    Ok(())
}

/// Pages and reports of a service on the imported folder, and how long it takes to be there again after a kill.
fn questions_of(args: &Args, folder: &Path, more: &Path, results: &mut Results) -> anyhow::Result<()> {
    let data = tempfile::tempdir_in(folder).context("cannot make a temporary folder")?;
    fs::remove_dir(data.path()).context("cannot remove a folder")?;
    fs::rename(folder.join("data"), data.path()).context("cannot move the data folder")?;
    let service = Running::serve(args, data, &[])?;
    let runtime = http::runtime()?;
    let (pages, reports) = runtime.block_on(async {
        service.at_rest().await?;
        let (_, questions) = questions::all(&service).await?;
        let (mut pages, mut reports) = (0.0_f64, 0.0_f64);
        for question in &questions {
            let (slowest, readings) =
                if question.is_page { (&mut pages, PAGE_READINGS) } else { (&mut reports, REPORT_READINGS) };
            *slowest = slowest.max(percentile(&models::read(&service, question, readings).await?, 99));
        }
        anyhow::Ok((pages, reports))
    })?;
    results.add(PAGES, Unit::Milliseconds, Figure::of(pages));
    results.add(REPORTS, Unit::Milliseconds, Figure::of(reports));
    // So that the tables are behind the log.
    runtime.block_on(http::feed(&service, more))?;
    let data = service.kill()?;
    let started = Instant::now();
    let service = Running::serve(args, data, &[])?;
    results.add(RESTART, Unit::Seconds, Figure::of(started.elapsed().as_secs_f64()));
    drop(service);
    Ok(())
}

/// Services that are fed.
fn services(args: &Args, traffic: &Path, results: &mut Results) -> anyhow::Result<()> {
    let fed = feed::round(args, traffic)?;
    results.add(JETSTREAM, Unit::PerSecond, Figure::of(fed.alone));
    let (cpu, peak) = (Some(fed.cpu_seconds), Some(fed.peak_mib));
    let figure = Figure { value: fed.rate, cpu_seconds: cpu, peak_mib: peak, bytes_each: None };
    results.add(NATS_FED, Unit::PerSecond, figure);
    let service = Running::start(args, &[])?;
    let value = http::runtime()?.block_on(http::feed(&service, traffic))?;
    let (cpu, peak) = service.used();
    let bytes_each = Some(service.disk_bytes()? as f64 / args.interactions as f64);
    let figure = Figure { value, cpu_seconds: Some(cpu), peak_mib: Some(peak), bytes_each };
    results.add(HTTP_FED, Unit::PerSecond, figure);
    drop(service);
    let alone = latency::alone(args)?;
    results.add(ALONE_HALF, Unit::Milliseconds, Figure::of(alone.at(50.0)));
    results.add(ALONE_SLOW, Unit::Milliseconds, Figure::of(alone.at(99.0)));
    let (_, listed) = latency::to_listing(args, traffic, LOAD)?;
    results.add(LISTED_HALF, Unit::Milliseconds, Figure::of(listed.at(50.0)));
    results.add(LISTED_SLOW, Unit::Milliseconds, Figure::of(listed.at(99.0)));
    Ok(())
}

/// Writes the table, the figures and the plots, and prints the table.
fn write_out(args: &Args, results: &Results, known: &[Peer]) -> anyhow::Result<()> {
    let ratios = results.ratios(&BESIDE);
    let (interactions, visitors, rounds) = (args.interactions, args.visitors, args.rounds);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let date = chrono::Utc::now().format("%Y-%m-%d");
    let title = format!("{interactions} interactions of {visitors} visitors, {rounds} rounds, {cores} cores, {date}");
    let mut text = format!("# {title}\n\n{}\n", results.table());
    let _ = writeln!(text, "Ratios within a round; above 1 the path is the faster one.\n\n{}", ratio_table(&ratios));
    let _ = writeln!(text, "{}", goals(results));
    if known.is_empty() {
        text.push_str("No peers were measured: --peers names the program that starts them (`make bench` does).\n");
    } else {
        text.push_str(&peers::table(known));
    }
    let folder = &args.out;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let file = |name: &str| -> PathBuf { folder.join(name) };
    fs::write(file("results.md"), &text).context("cannot write the table")?;
    let report = Report { title: &title, results, ratios: &ratios, peers: known };
    fs::write(file("results.json"), serde_json::to_vec_pretty(&report)?).context("cannot write the figures")?;
    draw(results, Unit::PerSecond, "Interactions, records or events a second", &file("rates.svg"))?;
    draw(results, Unit::Milliseconds, "Milliseconds", &file("times.svg"))?;
    println!("{text}");
    println!("Written to {}: results.md, results.json, rates.svg, times.svg", folder.display());
    Ok(())
}

fn draw(results: &Results, unit: Unit, title: &str, file: &Path) -> anyhow::Result<()> {
    let of_unit = results.paths.iter().filter(|path| path.unit == unit);
    let is_ours = |name: &str| !name.contains(": ");
    let bar = |path: &crate::results::Path| {
        Some(Bar { name: path.name.clone(), spread: path.spread()?, is_ours: is_ours(&path.name) })
    };
    plot::bars(file, title, unit.sign(), &of_unit.filter_map(bar).collect::<Vec<_>>())
}

/// What is wanted in itself, in Markdown.
fn goals(results: &Results) -> String {
    let mut text = "| path | median | wanted |\n|---|---:|---|\n".to_owned();
    for (name, goal) in GOALS {
        let Some((path, Spread { median, .. })) = results.path(name).and_then(|path| Some((path, path.spread()?)))
        else {
            continue;
        };
        let (sign, reached) =
            if path.unit.more_is_better() { ("≥", median >= goal) } else { ("≤", median <= goal) };
        let (median, goal) = (crate::results::number(median), crate::results::number(goal));
        let word = if reached { "reached" } else { "missed" };
        let _ = writeln!(text, "| {name} | {median} {} | {sign} {goal} {word} |", path.unit.sign());
    }
    text
}

/// Fails early where the peers' program isn't there.
pub(crate) fn check(args: &Args) -> anyhow::Result<()> {
    let Some(program) = &args.peers else { return Ok(()) };
    ensure!(program.is_file(), "there is no {}; `make bench` builds it", program.display());
    Ok(())
}
