//! A service that is measured: started as a user would, and ended with the measurement.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::Args;
use crate::import::{peak_memory, processor_time};

/// How long a service may take to get somewhere.
const PATIENCE: Duration = Duration::from_secs(600);
/// Processor seconds of a second in which a service does something.
const BUSY: f64 = 0.05;
/// Bytes of a block as the system counts them.
const SECTOR: u64 = 512;
/// How long a connection may rest before it is used again.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// A running service with a data folder of its own.
pub(crate) struct Running {
    child: Child,
    url: String,
    /// Gone once it is killed to be started again.
    data: Option<TempDir>,
    client: reqwest::Client,
}

/// A data folder with the policy in force.
pub(crate) fn new_folder(args: &Args) -> anyhow::Result<TempDir> {
    let data = tempfile::tempdir().context("cannot make a temporary folder")?;
    let adopted = command(args, data.path()).args(["policy", "adopt"]).arg(&args.policy).status();
    ensure!(adopted.context("cannot adopt the policy")?.success(), "cannot adopt the policy");
    Ok(data)
}

fn command(args: &Args, data: &Path) -> Command {
    let mut command = Command::new(&args.leadfold);
    command.arg("--data").arg(data).stdout(Stdio::null());
    command
}

impl Running {
    /// Starts a service on an empty folder with the policy in force.
    pub(crate) fn start(args: &Args, more: &[&str]) -> anyhow::Result<Self> {
        Self::serve(args, new_folder(args)?, more)
    }

    /// Starts a service on a folder.
    pub(crate) fn serve(args: &Args, data: TempDir, more: &[&str]) -> anyhow::Result<Self> {
        // An error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut child = command(args, data.path())
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(more)
            .env("LEADFOLD_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the service")?;
        let out = child.stdout.take().context("the service has no output")?;
        let mut first = String::new();
        BufReader::new(out).read_line(&mut first).context("the service says nothing")?;
        let url = first.trim().strip_prefix("listening on ").map(ToOwned::to_owned);
        let url = url.context("the service doesn't say where it listens")?;
        // The service closes connections that rest for longer, and PostgreSQL has its turn between two questions.
        let client = reqwest::Client::builder().pool_idle_timeout(IDLE_MAX).build().context("cannot make a client")?;
        Ok(Self { child, url, data: Some(data), client })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub(crate) fn client(&self) -> reqwest::Client {
        self.client.clone()
    }

    /// A number of `/metrics`; 0 while it is not there.
    pub(crate) async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let text = self.client.get(self.url("/metrics")).send().await?.text().await?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.and_then(|number| number.trim().parse().ok()).unwrap_or(0.0))
    }

    /// Waits until both read models hold everything that a feed has brought.
    pub(crate) async fn caught_up(&self, messages: u64) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let read = self.metric("leadfold_feed_messages_total").await? as u64;
            let lag = self.metric("leadfold_listing_lag_records").await? as u64;
            let queued = self.metric("leadfold_intake_queued_bytes").await? as u64;
            let analytics_lag = self.metric("leadfold_analytics_lag_records").await? as u64;
            if read >= messages && lag == 0 && analytics_lag == 0 && queued == 0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the service doesn't get there")
    }

    /// Waits until it does nothing any more: files that were just made are put together for a while.
    pub(crate) async fn at_rest(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut quiet = 0;
        while started.elapsed() < PATIENCE {
            let (before, _) = self.used();
            tokio::time::sleep(Duration::from_secs(1)).await;
            quiet = if self.used().0 - before < BUSY { quiet + 1 } else { 0 };
            if quiet == 3 {
                return Ok(());
            }
        }
        bail!("the service doesn't come to rest")
    }

    /// Kills it in the midst of what it does; its folder stays.
    pub(crate) fn kill(mut self) -> anyhow::Result<TempDir> {
        self.child.kill().context("cannot kill the service")?;
        self.child.wait().context("cannot wait for the service")?;
        self.data.take().context("the service has no folder")
    }

    /// Bytes of its folder on disk.
    pub(crate) fn disk_bytes(&self) -> anyhow::Result<u64> {
        folder_bytes(self.data.as_ref().context("the service has no folder")?.path())
    }

    /// Bytes that it has had written to disk since it started.
    pub(crate) fn written_bytes(&self) -> anyhow::Result<u64> {
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.child.id()))?;
        let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
        Ok(line.context("the system doesn't tell what a process writes")?.trim().parse()?)
    }

    /// Processor seconds so far, and the peak of memory in MiB.
    pub(crate) fn used(&self) -> (f64, f64) {
        let folder = format!("/proc/{}", self.child.id());
        let peak = peak_memory(&folder).unwrap_or_default() as f64 / f64::from(1 << 20);
        (processor_time(&folder).unwrap_or_default(), peak)
    }

    /// What it holds now, in MiB.
    pub(crate) fn memory(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let held = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        let held: f64 = held.context("the system doesn't tell how much memory a process holds")?.trim().parse()?;
        Ok(held / 1_024.0)
    }

    /// From now on the peak is one of what comes.
    pub(crate) fn forget_peak(&self) -> anyhow::Result<()> {
        let forget = format!("/proc/{}/clear_refs", self.child.id());
        std::fs::write(forget, "5").context("cannot set the peak of memory back")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes of a folder's files on disk, those of its folders included.
pub(crate) fn folder_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).context("cannot read the folder")? {
        let entry = entry?;
        // What is gone meanwhile takes nothing.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { folder_bytes(&entry.path())? } else { metadata.blocks() * SECTOR };
    }
    Ok(bytes)
}
