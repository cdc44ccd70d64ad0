//! What the tests of the service share: a folder to serve, the running service, and ways to ask it.

mod client;
mod event;
mod follow;
mod running;
mod tools;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) use client::{Answer, Client, Recorded};
pub(crate) use event::{Event, before_now, rfc3339};
pub(crate) use follow::{Change, Follow};
pub(crate) use running::Running;
pub(crate) use tools::tool;

/// The clock of every service that doesn't live in the present.
pub(crate) const NOW: &str = "2026-11-01T00:00:00Z";
const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace is there")
}

/// The policy of the example shop, whose tenant is `acme`.
pub(crate) fn shop_policy() -> String {
    std::fs::read_to_string(workspace().join("examples/shop/policy.toml")).expect("the example can be read")
}

/// The same for another tenant.
pub(crate) fn policy_of(tenant: &str) -> String {
    shop_policy().replace("tenant = \"acme\"", &format!("tenant = \"{tenant}\""))
}

/// Looks again and again until there is something to see, for a minute at most.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A folder to serve, removed in the end.
pub(crate) struct Site {
    root: TempDir,
    /// Where time stands still; `None` for the present.
    clock: Option<String>,
}

impl Site {
    /// A folder without any tenant, whose time stands still at [`NOW`].
    pub(crate) fn empty() -> Self {
        Self::with_clock(Some(NOW.to_owned()))
    }

    /// The same with the example shop's policy.
    pub(crate) fn shop() -> Self {
        let site = Self::empty();
        site.adopt(&shop_policy());
        site
    }

    /// A folder with this policy, whose time is the present.
    pub(crate) fn present(policy: &str) -> Self {
        let site = Self::with_clock(None);
        site.adopt(policy);
        site
    }

    fn with_clock(clock: Option<String>) -> Self {
        let site = Self { root: tempfile::tempdir().expect("a temporary folder can be made"), clock };
        site.write("master.key", MASTER_KEY);
        site
    }

    /// Lets time stand still at another moment, for whatever runs from now on.
    pub(crate) fn set_clock(&mut self, time: &str) {
        self.clock = Some(time.to_owned());
    }

    /// A place in the folder, beside the data.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file beside the data.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("a file can be written");
        path
    }

    /// Adopts a policy with the program.
    #[track_caller]
    pub(crate) fn adopt(&self, policy: &str) {
        self.write("policy.toml", policy);
        self.done(&["policy", "adopt", "policy.toml"]);
    }

    /// The program, about to run in the folder with the settings of all runs and no others.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leadfold"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LEADFOLD_")) {
            command.env_remove(name);
        }
        command.current_dir(self.root.path()).stdin(Stdio::null()).args(args);
        command.env("LEADFOLD_DATA", "data").env("LEADFOLD_OPERATOR", "olga");
        command.env("LEADFOLD_MASTER_KEY_FILE", self.path("master.key"));
        if let Some(clock) = &self.clock {
            command.env("LEADFOLD_CLOCK", clock);
        }
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program starts")
    }

    /// Runs the program, which must succeed, and returns its standard output.
    #[track_caller]
    pub(crate) fn done(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("output is UTF-8")
    }

    /// Makes an API key; returns its id and the key itself.
    #[track_caller]
    pub(crate) fn key(&self, role: &str, tenant: &str) -> (String, String) {
        let made = self.done(&["keys", "create", "--json", "--role", role, "--tenant", tenant, "--name", role]);
        let made: Value = serde_json::from_str(&made).expect("one object");
        let text = |name: &str| made[name].as_str().expect("text").to_owned();
        (text("id"), text("key"))
    }

    /// Starts the service on a free port and waits until it is ready.
    #[track_caller]
    pub(crate) fn serve(&self) -> Running {
        self.serve_with(&[])
    }

    /// The same with further flags.
    #[track_caller]
    pub(crate) fn serve_with(&self, flags: &[&str]) -> Running {
        let args: Vec<&str> = ["serve", "--listen", "127.0.0.1:0"].iter().chain(flags).copied().collect();
        Running::start(self.command(&args))
    }
}
