//! Runs the program and watches it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::ceilings::log_size;

/// How often the program's use of memory and processor is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The kernel counts processor time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// What an import took.
pub(crate) struct Import {
    pub(crate) seconds: f64,
    /// Of all threads, up to the last look.
    pub(crate) cpu_seconds: f64,
    /// Resident memory at its peak.
    pub(crate) peak_bytes: u64,
    pub(crate) records: u64,
    pub(crate) log_bytes: u64,
}

/// Makes the traffic.
pub(crate) fn generate(program: &Path, traffic: &Path, visitors: u64, interactions: u64) -> anyhow::Result<()> {
    run_generator(program, traffic, visitors, interactions, &["--seed", "7"])
}

/// Makes traffic of other people, in the weeks behind that of [`generate`].
pub(crate) fn generate_more(program: &Path, traffic: &Path, visitors: u64, interactions: u64) -> anyhow::Result<()> {
    run_generator(program, traffic, visitors, interactions, &["--seed", "8", "--start", "2026-02-09T00:00:00Z"])
}

/// Makes traffic of the last four weeks, so that a service that begins now finds leads open.
pub(crate) fn generate_recent(program: &Path, traffic: &Path, visitors: u64, interactions: u64) -> anyhow::Result<()> {
    let start = chrono::Utc::now() - chrono::TimeDelta::days(29);
    let start = start.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    run_generator(program, traffic, visitors, interactions, &["--seed", "7", "--days", "28", "--start", &start])
}

/// Moves all lines behind the first `count` to another file; returns how many that were.
pub(crate) fn split(traffic: &Path, count: u64, rest: &Path) -> anyhow::Result<u64> {
    let file = File::options().read(true).write(true).open(traffic).context("cannot open the traffic")?;
    let mut lines = BufReader::new(&file);
    let (mut line, mut end) = (Vec::new(), 0);
    for _ in 0..count {
        end += lines.read_until(b'\n', &mut line).context("cannot read the traffic")? as u64;
        line.clear();
    }
    let mut out = BufWriter::new(File::create(rest).context("cannot make a file")?);
    let mut moved = 0;
    while lines.read_until(b'\n', &mut line).context("cannot read the traffic")? > 0 {
        out.write_all(&line).context("cannot write the traffic")?;
        line.clear();
        moved += 1;
    }
    out.flush().context("cannot write the traffic")?;
    file.set_len(end).context("cannot cut the traffic")?;
    Ok(moved)
}

fn run_generator(
    program: &Path,
    traffic: &Path,
    visitors: u64,
    interactions: u64,
    more: &[&str],
) -> anyhow::Result<()> {
    let status = Command::new(program)
        .args(["generate", "--visitors", &visitors.to_string()])
        .args(["--interactions", &interactions.to_string()])
        .args(more)
        .arg("-o")
        .arg(traffic)
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {}; build it first (`make build`)", program.display()))?;
    ensure!(status.success(), "cannot generate the traffic");
    Ok(())
}

/// Imports the traffic into a new data folder: decided, durable, listing complete.
pub(crate) fn measure(program: &Path, policy: &Path, traffic: &Path, folder: &Path) -> anyhow::Result<Import> {
    let data = folder.join("data");
    // A folder from an earlier round.
    let _ = fs::remove_dir_all(&data);
    let leadfold = |verb: &[&str], file: &Path| {
        let mut command = Command::new(program);
        command.arg("--data").arg(&data).args(verb).arg(file).stdout(Stdio::null());
        command
    };
    let adopted = leadfold(&["policy", "adopt"], policy).status().context("cannot adopt the policy")?;
    ensure!(adopted.success(), "cannot adopt the policy");
    let started = Instant::now();
    let mut child = leadfold(&["import"], traffic).spawn().context("cannot start the import")?;
    let (cpu_seconds, peak_bytes) = watch(&mut child)?;
    let seconds = started.elapsed().as_secs_f64();
    let (records, log_bytes) = log_size(&data.join("log"))?;
    Ok(Import { seconds, cpu_seconds, peak_bytes, records, log_bytes })
}

/// Waits for the program's end; returns its processor time and its peak of memory.
pub(crate) fn watch(child: &mut Child) -> anyhow::Result<(f64, u64)> {
    let folder = format!("/proc/{}", child.id());
    let (mut cpu_seconds, mut peak_bytes) = (0.0, 0);
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for the program")? {
            ensure!(status.success(), "the program failed");
            return Ok((cpu_seconds, peak_bytes));
        }
        cpu_seconds = processor_time(&folder).unwrap_or(cpu_seconds);
        peak_bytes = peak_memory(&folder).unwrap_or(peak_bytes);
        std::thread::sleep(LOOK_EVERY);
    }
}

/// User and system time, in seconds: fields 14 and 15 of `stat`, counted behind the name in brackets.
pub(crate) fn processor_time(folder: &str) -> Option<f64> {
    let stat = fs::read_to_string(format!("{folder}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

pub(crate) fn peak_memory(folder: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("{folder}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1_024)
}
