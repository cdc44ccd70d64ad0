//! Runs the program and watches it.

use std::fs;
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
    let status = Command::new(program)
        .args(["generate", "--seed", "7", "--visitors", &visitors.to_string()])
        .args(["--interactions", &interactions.to_string(), "-o"])
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
