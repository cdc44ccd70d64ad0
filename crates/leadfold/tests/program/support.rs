//! What the tests of the program share: a folder to work in, runs of the program, and what a folder's data come to.
//!
//! Every run has the same clock and the same master key, so that two logs can be compared byte for byte.

pub(crate) mod event;
pub(crate) mod kill;
pub(crate) mod service;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The clock of every run: after all interactions of the tests.
pub(crate) const NOW: &str = "2026-11-01T00:00:00Z";
const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace is there")
}

/// The policy of the example shop.
pub(crate) fn shop_policy() -> PathBuf {
    workspace().join("examples/shop/policy.toml")
}

/// A folder to work in, with the data in `data` and files beside it, all of it removed in the end. The program runs in it,
/// so that messages name files as they are named here.
pub(crate) struct Folder {
    root: TempDir,
}

impl Folder {
    /// A folder without any data.
    pub(crate) fn empty() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder can be made");
        let folder = Self { root };
        folder.write("master.key", MASTER_KEY);
        folder
    }

    /// A folder with this policy.
    pub(crate) fn with_policy(policy: impl AsRef<Path>) -> Self {
        let folder = Self::empty();
        folder.done(["policy", "adopt", policy.as_ref().to_str().expect("paths of tests are text")]);
        folder
    }

    /// A place in the folder.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file into the folder.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("a file can be written");
        path
    }

    /// A copy of the data in another folder.
    pub(crate) fn copied(&self) -> Self {
        let copy = Self::empty();
        copy_all(&self.path("data"), &copy.path("data"));
        copy
    }

    /// The program, about to run on the data.
    pub(crate) fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
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
        command.env("LEADFOLD_DATA", "data").env("LEADFOLD_CLOCK", NOW).env("LEADFOLD_OPERATOR", "olga");
        command.env("LEADFOLD_MASTER_KEY_FILE", self.path("master.key"));
    }

    /// Runs the program to its end.
    pub(crate) fn run<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Run {
        Run::of(&mut self.command(args))
    }

    /// Runs the program, which must succeed without a word on standard error, and returns its standard output.
    #[track_caller]
    pub(crate) fn done<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> String {
        let run = self.run(args);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{}", run.stdout);
        run.stdout
    }

    /// Runs the program with `--json` and returns the object of each line.
    #[track_caller]
    pub(crate) fn json<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Vec<Value> {
        objects(&self.done(args.into_iter().chain(["--json"])))
    }

    /// The only object of an answer.
    #[track_caller]
    pub(crate) fn json_one<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Value {
        let objects = self.json(args);
        let [object] = objects.as_slice() else { panic!("one object, not {objects:?}") };
        object.clone()
    }

    /// Imports a file and returns the counts.
    #[track_caller]
    pub(crate) fn import(&self, file: &str) -> Value {
        self.json_one(["import", file])
    }

    /// Starts the program in the background, without output.
    pub(crate) fn start<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Child {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("the program starts")
    }

    /// Everything that the data come to, after checking that they are whole.
    #[track_caller]
    pub(crate) fn picture(&self) -> Picture {
        let verified = self.json_one(["verify"]);
        assert_eq!(verified["whole"], true, "{verified}");
        let all = ["--json", "--limit", "1000000"];
        Picture {
            root: verified["state_root"].to_string(),
            head: verified["head"].as_u64().expect("a number"),
            chain: verified["chain"].to_string(),
            leads: self.done(["leads"].into_iter().chain(all)),
            orphans: self.done(["orphans"].into_iter().chain(all)),
            quarantine: self.done(["quarantine", "--state", "all"].into_iter().chain(all)),
            analytics: ANALYTICS.map(|sql| self.done(["sql", sql, "--json"])).concat(),
        }
    }

    /// Where the log ends, by the mark beside it; 0 where there is none yet.
    pub(crate) fn log_position(&self) -> u64 {
        let mark = fs::read(self.path("data/log-head")).unwrap_or_default();
        mark.get(16..24).map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().expect("eight bytes")))
    }

    /// How many files the data consist of.
    pub(crate) fn files(&self) -> usize {
        count_files(&self.path("data"))
    }
}

const ANALYTICS: [&str; 3] = [
    "select * from leads order by lead_id",
    "select event, lead_type, reason, count(*), count(lead_id), sum(amount) from lead_events group by 1, 2, 3 order by 1, 2, 3",
    "select channel, action, attach_reason, orphan_reason, count(*), count(lead_id), max(position) from interactions \
     group by 1, 2, 3, 4 order by 1, 2, 3, 4",
];

/// What the data of a folder come to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) root: String,
    pub(crate) head: u64,
    pub(crate) chain: String,
    pub(crate) leads: String,
    pub(crate) orphans: String,
    pub(crate) quarantine: String,
    /// The analytics tables: every lead, and what the others come to.
    pub(crate) analytics: String,
}

impl Picture {
    /// Both logs hold the same bytes, and everything that follows from them is the same.
    #[track_caller]
    pub(crate) fn assert_same(&self, other: &Self) {
        self.assert_same_leads(other);
        assert_eq!(self.quarantine, other.quarantine);
        for (line, other) in self.analytics.lines().zip(other.analytics.lines()) {
            assert_eq!(line, other);
        }
        assert_eq!(self.analytics.lines().count(), other.analytics.lines().count());
        assert_eq!((self.head, &self.chain), (other.head, &other.chain));
    }

    /// Both come to the same leads, whatever the logs.
    #[track_caller]
    pub(crate) fn assert_same_leads(&self, other: &Self) {
        for (line, other) in self.leads.lines().zip(other.leads.lines()) {
            assert_eq!(line, other);
        }
        assert_eq!(self.leads.lines().count(), other.leads.lines().count());
        assert_eq!(self.orphans, other.orphans);
        assert_eq!(self.root, other.root);
    }
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Run {
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Runs a command to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::ended(command.output().expect("the program starts"))
    }

    pub(crate) fn ended(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// The run failed with this code and one line that begins with `error:`, which is returned.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        let line = self.stderr.strip_suffix('\n').unwrap_or(&self.stderr);
        assert!(line.starts_with("error: ") && !line.contains('\n'), "one line, not {line:?}");
        line
    }
}

/// The JSON object of each line.
#[track_caller]
pub(crate) fn objects(text: &str) -> Vec<Value> {
    let object = |line| -> Value { serde_json::from_str(line).expect("a line is one object") };
    let objects: Vec<Value> = text.lines().map(object).collect();
    assert!(objects.iter().all(Value::is_object), "{text}");
    objects
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("the folder is there") {
        let entry = entry.expect("the folder can be read");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("its kind is known").is_dir() {
            copy_all(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a file can be copied");
        }
    }
}

fn count_files(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries.flatten().map(|entry| entry.path()).map(|path| if path.is_dir() { count_files(&path) } else { 1 }).sum()
}
