//! What all peers have in common: the traffic, a server of their own, and figures.

use std::fs::{self, File};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

const PATIENCE: Duration = Duration::from_secs(60);
/// The kernel counts processor time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// An event as a store sees it.
pub(crate) struct Row {
    /// The visitor.
    pub(crate) stream: String,
    /// Source and id.
    pub(crate) message: String,
    /// The whole event, as JSON.
    pub(crate) payload: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    id: &'a str,
    source: &'a str,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(default)]
    visitor_id: Option<&'a str>,
}

/// Reads the traffic. Interactions without a visitor id belong to a stream of their own.
pub(crate) fn read(traffic: &Path) -> anyhow::Result<Vec<Row>> {
    let file = File::open(traffic).with_context(|| format!("cannot open {}", traffic.display()))?;
    let mut rows = Vec::new();
    for line in BufReader::new(file).lines() {
        let payload = line.context("cannot read the traffic")?;
        let event: Envelope<'_> = serde_json::from_str(&payload).context("cannot decode an event")?;
        let message = format!("{} {}", event.source, event.id);
        let stream = event.data.visitor_id.map_or_else(|| message.replace(' ', "-"), ToOwned::to_owned);
        rows.push(Row { stream, message, payload });
    }
    Ok(rows)
}

/// Gives each client its streams, so that the order within a stream is kept; each row with its number in the stream, from 1.
pub(crate) fn shares(rows: &[Row], clients: usize) -> Vec<Vec<(&Row, u32)>> {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let mut versions = std::collections::HashMap::<&str, u32>::new();
    let mut shares = vec![Vec::new(); clients];
    for row in rows {
        let version = versions.entry(&row.stream).or_default();
        *version += 1;
        let share = hasher.hash_one(&row.stream) as usize % clients.max(1);
        shares.iter_mut().skip(share).take(1).for_each(|share| share.push((row, *version)));
    }
    shares
}

/// What one way of using a peer came to.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Figure {
    /// `append` or `read`.
    pub(crate) path: &'static str,
    /// Events of a request.
    pub(crate) batch: usize,
    pub(crate) clients: usize,
    pub(crate) events: u64,
    pub(crate) seconds: f64,
    /// Of the server and its children.
    pub(crate) cpu_seconds: Option<f64>,
    pub(crate) peak_bytes: Option<u64>,
    pub(crate) disk_bytes: Option<u64>,
    /// Of a request.
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
}

/// Times of requests by several clients, and the events of those that were answered.
#[derive(Default)]
pub(crate) struct Answered {
    pub(crate) events: u64,
    pub(crate) times: Vec<Duration>,
}

impl Answered {
    pub(crate) fn add(&mut self, other: Self) {
        self.events += other.events;
        self.times.extend(other.times);
    }

    /// The figure of an append by that many clients that began then.
    pub(crate) fn figure(mut self, batch: usize, clients: usize, started: Instant) -> Figure {
        let seconds = started.elapsed().as_secs_f64();
        self.times.sort_unstable();
        let at = |percent: usize| {
            let time = self.times.get(self.times.len().saturating_sub(1) * percent / 100)?;
            (batch == 1).then_some(time.as_secs_f64() * 1_000.0)
        };
        let (p50_ms, p99_ms) = (at(50), at(99));
        Figure { path: "append", batch, clients, events: self.events, seconds, p50_ms, p99_ms, ..Figure::default() }
    }
}

/// Processor seconds and peak of memory of a process and its children.
pub(crate) fn used(process: u32) -> (f64, u64) {
    let folder = PathBuf::from(format!("/proc/{process}"));
    let (mut cpu, mut peak) = (cpu_of(&folder).unwrap_or_default(), peak_of(&folder).unwrap_or_default());
    let children = fs::read_to_string(folder.join(format!("task/{process}/children"))).unwrap_or_default();
    for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
        let (child_cpu, child_peak) = used(child);
        cpu += child_cpu;
        // They share most of it.
        peak = peak.max(child_peak);
    }
    (cpu, peak)
}

/// User and system time: fields 14 and 15 of `stat`, and of children that have ended, 16 and 17.
fn cpu_of(folder: &Path) -> Option<f64> {
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<f64>().ok());
    Some(ticks.sum::<f64>() / TICKS_PER_SECOND)
}

fn peak_of(folder: &Path) -> Option<u64> {
    let status = fs::read_to_string(folder.join("status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1_024)
}

/// Bytes of a folder's files.
pub(crate) fn folder_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).context("cannot read the peer's folder")? {
        let entry = entry?;
        // What is gone meanwhile takes nothing.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { folder_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

/// A port that nobody uses.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").context("cannot take a port")?.local_addr()?.port())
}

/// A peer's program, as `scripts/setup.sh peers` installs it.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let set = std::env::var_os("LEADFOLD_PEER_TOOLS").map(PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let tools = set.or_else(|| Some(cache?.join("leadfold/tools/peers")));
    let path = tools.map(|tools| tools.join("bin").join(name)).filter(|path| path.is_file());
    let searched = || {
        let places = std::env::var_os("PATH")?;
        std::env::split_paths(&places).map(|place| place.join(name)).find(|path| path.is_file())
    };
    path.or_else(searched).with_context(|| format!("{name} isn't installed; `scripts/setup.sh peers` installs it"))
}

/// A server that ends with the measurement.
pub(crate) struct Server(Child);

impl Server {
    /// Starts a server and waits until it takes connections on that port.
    pub(crate) fn start(command: &mut Command, port: u16) -> anyhow::Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut server = Self(child.with_context(|| format!("cannot start {}", command.get_program().display()))?);
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(server);
            }
            if let Some(status) = server.0.try_wait()? {
                bail!("{} ended by itself: {status}", command.get_program().display());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("{} doesn't take connections", command.get_program().display())
    }

    /// Notes in the last figure what the server took up to now, and what it has on disk.
    pub(crate) fn note(&self, figure: &mut Figure, folder: &Path, cpu_before: f64) -> anyhow::Result<()> {
        let (cpu, peak) = self.used();
        figure.cpu_seconds = Some(cpu - cpu_before);
        figure.peak_bytes = Some(peak);
        figure.disk_bytes = Some(folder_bytes(folder)?);
        Ok(())
    }

    pub(crate) fn used(&self) -> (f64, u64) {
        used(self.0.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stream_belongs_to_one_client_in_its_order() {
        let row = |stream: &str| Row { stream: stream.to_owned(), message: String::new(), payload: String::new() };
        let rows: Vec<Row> = ["a", "b", "a", "c", "b", "a"].into_iter().map(row).collect();
        let mut all: Vec<(String, u32)> = Vec::new();
        for share in shares(&rows, 3) {
            let mut seen = std::collections::HashMap::new();
            for (row, version) in share {
                let before = seen.insert(row.stream.clone(), version).unwrap_or_default();
                assert_eq!(version, before + 1, "{}", row.stream);
                all.push((row.stream.clone(), version));
            }
        }
        all.sort();
        let expected = [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2), ("c", 1)];
        assert_eq!(all, expected.map(|(stream, version)| (stream.to_owned(), version)));
    }

    #[test]
    fn only_requests_of_one_event_tell_how_long_they_took() {
        let times = || (1..=100).map(Duration::from_millis).collect();
        let figure = |batch| Answered { events: 100, times: times() }.figure(batch, 1, Instant::now());
        assert_eq!((figure(1).p50_ms, figure(1).p99_ms), (Some(50.0), Some(99.0)));
        assert_eq!((figure(500).p50_ms, figure(500).p99_ms), (None, None));
    }
}
