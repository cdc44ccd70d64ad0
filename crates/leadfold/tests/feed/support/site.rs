//! A folder with data, and runs of the program on it.
//!
//! All runs have the same master key, and a clock that stands still from the beginning of the test: two folders that read
//! the same stream then hold the same bytes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::serving::Serving;

const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// Tables that follow this often are met at every stage by a kill.
const WRITE_BACK_RECORDS: &str = "150";

/// A folder to work in, with the data in `data` and files beside it, all of it removed in the end.
pub(crate) struct Site {
    root: TempDir,
    clock: DateTime<Utc>,
    runs: AtomicU32,
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Site {
    /// A folder with the policy of the example shop.
    pub(crate) fn with_policy() -> Result<Self> {
        Self::at(Utc::now())
    }

    /// Another one with the same policy, key and clock.
    pub(crate) fn beside(&self) -> Result<Self> {
        Self::at(self.clock)
    }

    fn at(clock: DateTime<Utc>) -> Result<Self> {
        let site = Self { root: tempfile::tempdir()?, clock, runs: AtomicU32::new(0) };
        fs::write(site.path("master.key"), MASTER_KEY)?;
        let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop/policy.toml");
        site.done(&["policy", "adopt", policy.to_str().context("a path of tests is text")?])?;
        Ok(site)
    }

    /// The time at which the clock stands.
    pub(crate) const fn clock(&self) -> DateTime<Utc> {
        self.clock
    }

    /// Sets the clock of all runs from now on.
    pub(crate) const fn set_clock(&mut self, clock: DateTime<Utc>) {
        self.clock = clock;
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The program, about to run on the data.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leadfold"));
        self.prepare(&mut command);
        command.args(args);
        command
    }

    /// Gives a command the folder and the settings of all runs, and no others.
    pub(crate) fn prepare(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LEADFOLD_")) {
            command.env_remove(name);
        }
        command.current_dir(self.root.path()).stdin(Stdio::null());
        command.env("LEADFOLD_DATA", "data").env("LEADFOLD_OPERATOR", "olga");
        command.env("LEADFOLD_CLOCK", self.clock.to_rfc3339_opts(SecondsFormat::Millis, true));
        command.env("LEADFOLD_MASTER_KEY_FILE", self.path("master.key"));
        command.env("LEADFOLD_WRITE_BACK_RECORDS", WRITE_BACK_RECORDS);
    }

    /// Starts the service, with a feed at `nats`.
    pub(crate) fn serve(&self, nats: &str) -> Result<Serving> {
        self.serve_with(&["--nats", nats])
    }

    /// Starts the service with these arguments.
    pub(crate) fn serve_with(&self, args: &[&str]) -> Result<Serving> {
        self.start(self.command(&[&["serve", "--listen", "127.0.0.1:0"], args].concat()))
    }

    /// Starts a command that becomes the service.
    pub(crate) fn start(&self, command: Command) -> Result<Serving> {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        Serving::start(command, self.path(&format!("out-{run}")), self.path(&format!("err-{run}")))
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Result<Ran> {
        let output = self.command(args).output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) })
    }

    /// Runs the program, which must succeed without a word on standard error, and returns its standard output.
    pub(crate) fn done(&self, args: &[&str]) -> Result<String> {
        let ran = self.run(args)?;
        ensure!(ran.code == Some(0) && ran.stderr.is_empty(), "{args:?}: {ran:?}");
        Ok(ran.stdout)
    }

    /// Runs the program with `--json` and returns the object of each line.
    pub(crate) fn json(&self, args: &[&str]) -> Result<Vec<Value>> {
        let lines = self.done(&[args, &["--json"]].concat())?;
        Ok(lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
    }

    /// Everything that the data come to, after checking that they are whole. The service must be stopped.
    pub(crate) fn picture(&self) -> Result<Picture> {
        let verified = self.json(&["verify"])?.pop().context("an answer")?;
        ensure!(verified["whole"] == true, "{verified}");
        let all = ["--json", "--limit", "1000000"];
        Ok(Picture {
            head: verified["head"].as_u64().context("a number")?,
            root: verified["state_root"].to_string(),
            chain: verified["chain"].to_string(),
            leads: self.done(&[&["leads"], &all[..]].concat())?,
            orphans: self.done(&[&["orphans"], &all[..]].concat())?,
            quarantine: self.done(&[&["quarantine", "--state", "all"], &all[..]].concat())?,
        })
    }

    /// Where the log ends, by the mark beside it; 0 where there is none yet.
    pub(crate) fn log_position(&self) -> u64 {
        let mark = fs::read(self.path("data/log-head")).unwrap_or_default();
        mark.get(16..24).map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().expect("eight bytes")))
    }
}

/// What the data of a folder come to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) head: u64,
    pub(crate) root: String,
    pub(crate) chain: String,
    pub(crate) leads: String,
    pub(crate) orphans: String,
    pub(crate) quarantine: String,
}

impl Picture {
    /// Both logs hold the same bytes, and everything that follows from them is the same.
    pub(crate) fn assert_same(&self, other: &Self) {
        for (line, other) in self.leads.lines().zip(other.leads.lines()) {
            assert_eq!(line, other);
        }
        assert_eq!(self.leads.lines().count(), other.leads.lines().count());
        assert_eq!(self.orphans, other.orphans);
        assert_eq!(self.quarantine, other.quarantine);
        assert_eq!((self.head, &self.chain, &self.root), (other.head, &other.chain, &other.root));
    }
}
