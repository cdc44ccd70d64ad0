//! How each path changes with the number of leads: the same measurements on folders of several sizes, as a table and plots.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::models::questions;
use crate::page::percentile;
use crate::plot::{self, Curve};
use crate::results::number;
use crate::running::{Running, new_folder};
use crate::{Args, ceilings, http, import, models};

const MEBIBYTE: f64 = 1_048_576.0;
/// The last interactions of each size are taken by a running service, which then has all the leads of the others.
const FED: u64 = 300_000;
const PAGE_READINGS: usize = 50;
const REPORT_READINGS: usize = 5;

/// What is measured at each size; the names are the table's columns.
const IMPORT: &str = "import /s";
const HTTP: &str = "HTTP-fed on top of it /s";
const REPLAY: &str = "replay, records/s";
const LISTING: &str = "listing made anew, records/s";
const ANALYTICS: &str = "analytics made anew, records/s";
const RATES: [&str; 5] = [IMPORT, HTTP, REPLAY, LISTING, ANALYTICS];

/// What one size came to.
#[derive(Serialize)]
struct Size {
    leads: u64,
    open: u64,
    figures: Vec<(String, f64)>,
}

impl Size {
    fn of(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

pub(crate) fn measure(args: &Args, folder: &Path) -> anyhow::Result<()> {
    let (traffic, fed) = (folder.join("growing.ndjson"), folder.join("fed.ndjson"));
    let mut sizes = Vec::new();
    for leads in &args.sizes {
        eprintln!("about {leads} leads");
        let interactions = leads.saturating_mul(args.per_lead);
        import::generate_recent(&args.leadfold, &traffic, leads.saturating_mul(3) / 5, interactions + FED)?;
        let moved = import::split(&traffic, interactions, &fed)?;
        ensure!(moved == FED, "the traffic has {moved} lines more than {interactions} instead of {FED}");
        sizes.push(at(args, &traffic, &fed, interactions)?);
        // What was measured so far is there when a larger size doesn't fit.
        write_out(args, &sizes)?;
    }
    println!("{}", table(&sizes));
    println!("Written to {}: growth.md, growth.json, growth-rates.svg, growth-times.svg", args.out.display());
    Ok(())
}

fn at(args: &Args, traffic: &Path, fed: &Path, interactions: u64) -> anyhow::Result<Size> {
    let data = new_folder(args)?;
    let mut figures = Vec::new();
    let mut add = |name: &str, value: f64| {
        eprintln!("  {name}: {}", number(value));
        figures.push((name.to_owned(), value));
    };
    let seconds = run(args, data.path(), &["import"], Some(traffic))?;
    fs::remove_file(traffic).context("cannot remove the traffic")?;
    add(IMPORT, interactions as f64 / seconds);
    let (records, log_bytes) = ceilings::log_size(&data.path().join("log"))?;
    for (name, verb) in [
        (LISTING, &["projections", "rebuild", "listing"][..]),
        (ANALYTICS, &["projections", "rebuild", "analytics"]),
        (REPLAY, &["replay"]),
    ] {
        add(name, records as f64 / run(args, data.path(), verb, None)?);
    }
    let service = Running::serve(args, data, &[])?;
    let runtime = http::runtime()?;
    let (leads, open) = runtime.block_on(ask(&service, &mut add))?;
    add("disk, bytes an interaction", service.disk_bytes()? as f64 / interactions as f64);
    let written = service.written_bytes()?;
    add(HTTP, runtime.block_on(http::feed(&service, fed))?);
    let bytes_each = log_bytes as f64 / records as f64;
    let grown = service.written_bytes()? - written;
    add("bytes written for each of the log, fed", grown as f64 / (FED as f64 * bytes_each));
    add("memory fed, MiB", service.used().1);
    let data = service.kill()?;
    let started = Instant::now();
    let service = Running::serve(args, data, &[])?;
    add("restart after kill -9, s", started.elapsed().as_secs_f64());
    drop(service);
    Ok(Size { leads, open, figures })
}

/// Memory and answers of a service at rest; returns how many leads there are, and how many of them are open.
async fn ask(service: &Running, add: &mut impl FnMut(&str, f64)) -> anyhow::Result<(u64, u64)> {
    service.at_rest().await?;
    let open = questions::count(service, "status=open").await?;
    let memory = service.memory()?;
    add("memory at rest, MiB", memory);
    add("the same, bytes an open lead", memory * MEBIBYTE / open.max(1) as f64);
    let (leads, questions) = questions::all(service).await?;
    let (mut page, mut report) = (0.0_f64, 0.0_f64);
    for question in &questions {
        let (slowest, readings) =
            if question.is_page { (&mut page, PAGE_READINGS) } else { (&mut report, REPORT_READINGS) };
        *slowest = slowest.max(percentile(&models::read(service, question, readings).await?, 50));
    }
    add("slowest page, p50 ms", page);
    add("slowest report, p50 ms", report);
    Ok((leads, open))
}

/// Runs the program to its end and returns the seconds.
fn run(args: &Args, data: &Path, verb: &[&str], file: Option<&Path>) -> anyhow::Result<f64> {
    let mut command = Command::new(&args.leadfold);
    command.arg("--data").arg(data).args(verb).args(file).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let status = command.status().context("cannot start the program")?;
    ensure!(status.success(), "cannot {}", verb.join(" "));
    Ok(started.elapsed().as_secs_f64())
}

fn write_out(args: &Args, sizes: &[Size]) -> anyhow::Result<()> {
    fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let file = |name: &str| args.out.join(name);
    fs::write(file("growth.md"), table(sizes)).context("cannot write the table")?;
    fs::write(file("growth.json"), serde_json::to_vec_pretty(sizes)?).context("cannot write the figures")?;
    plot::curves(
        &file("growth-rates.svg"),
        "Speed by number of leads",
        "a second",
        &curves(sizes, |name| RATES.contains(&name)),
    )?;
    let is_time = |name: &str| name.ends_with(" ms");
    plot::curves(&file("growth-times.svg"), "Answers by number of leads", "ms", &curves(sizes, is_time))
}

fn names(sizes: &[Size]) -> impl Iterator<Item = &str> {
    sizes.first().into_iter().flat_map(|size| size.figures.iter().map(|(name, _)| name.as_str()))
}

fn curves(sizes: &[Size], is_wanted: impl Fn(&str) -> bool) -> Vec<Curve> {
    let curve = |name: &str| {
        let points = sizes.iter().filter_map(|size| Some((size.leads as f64, size.of(name)?)));
        Curve { name: name.to_owned(), points: points.collect() }
    };
    names(sizes).filter(|name| is_wanted(name)).map(curve).collect()
}

/// One line a figure, one column a size, and the ratio of the largest size to the smallest.
fn table(sizes: &[Size]) -> String {
    let heads =
        sizes.iter().map(|size| format!("{} leads, {} open", number(size.leads as f64), number(size.open as f64)));
    let mut text = format!("| path | {} | last to first |\n", heads.collect::<Vec<_>>().join(" | "));
    let _ = writeln!(text, "|---|{}---:|", "---:|".repeat(sizes.len()));
    for name in names(sizes) {
        let cells: Vec<Option<f64>> = sizes.iter().map(|size| size.of(name)).collect();
        let ratio =
            cells.last().copied().flatten().zip(cells.first().copied().flatten()).map(|(last, first)| last / first);
        let shown = cells.iter().chain([&ratio]).map(|cell| cell.map_or_else(|| "–".to_owned(), number));
        let _ = writeln!(text, "| {name} | {} |", shown.collect::<Vec<_>>().join(" | "));
    }
    text
}
